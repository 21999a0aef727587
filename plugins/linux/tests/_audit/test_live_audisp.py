"""Records through auditd: the real one, and one that a test plays."""

import asyncio
import socket
from pathlib import Path
from time import time

import pytest
from zeek_agent_linux.process_events import ProcessEvents
from zeek_agent_linux.socket_events import SocketEvents

from zeek_agent_core.api import Host

AUDITD = "/sbin/auditd"
CONFIGURATION = """
local_events = yes
write_logs = no
log_file = {directory}/audit.log
log_format = {format}
flush = NONE
priority_boost = 0
name_format = USER
name = web-1
space_left = 2
space_left_action = IGNORE
admin_space_left = 1
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
overflow_action = IGNORE
plugin_dir = {directory}/plugins.d
"""
PLUGIN = """
active = yes
direction = out
path = builtin_af_unix
type = builtin
args = 0640 {directory}/events
format = string
"""
CODE = """
socket.socket().bind(('127.0.0.1', 0))
os.execv('/bin/true', ['true', 'a b', '', 'x' * 20_000, 'é'])
"""


@pytest.fixture
def auditd(kernel, tmp_path):
    """Return a function that starts the real auditd, with a socket of its own."""
    (tmp_path / "plugins.d").mkdir(mode=0o750)
    tmp_path.chmod(0o750)

    async def start(log_format="ENRICHED"):
        files = {
            "auditd.conf": CONFIGURATION.format(directory=tmp_path, format=log_format),
            "plugins.d/af_unix.conf": PLUGIN.format(directory=tmp_path),
        }
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o640)
        # In the foreground, and with auditing as it is.
        process = kernel.start([AUDITD, "-n", "-s", "nochange", "-c", str(tmp_path)])
        for _ in range(500):
            if (tmp_path / "events").exists() and kernel.status().pid == process.pid:
                return process, Host(settings={"audit": {"socket": str(tmp_path / "events")}})
            await asyncio.sleep(0.02)
        raise AssertionError(f"auditd does not start: {process.poll()}")

    yield start
    Path("/run/auditd.pid").unlink(missing_ok=True)  # if it had to be killed


@pytest.mark.parametrize("log_format", ["RAW", "ENRICHED"])
async def test_auditd_hands_its_records_on(kernel, auditd, running, scratch, log_format):
    """With auditd and its rules, what it dispatches becomes rows, and nothing is changed."""
    kernel.load("execve", "bind")
    kernel.control.set(enabled=1)
    process, host = await auditd(log_format)
    before = kernel.settled()
    async with running(ProcessEvents(host)) as programs, running(SocketEvents(host)) as sockets:
        assert (programs.table.source, sockets.table.source) == ("audisp", "audisp")
        pid = await scratch(CODE)
        (row,) = await programs.until(lambda rows: rows)
        (bound,) = await sockets.until(lambda rows: rows)
    assert row["args"] == ["true", "a b", "", "x" * 20_000, "é"]
    assert (row["pid"], row["uid"], row["key"]) == (pid, 61_234, "zeek-agent-tests")
    assert (bound["syscall"], bound["local_address"]) == ("bind", "127.0.0.1")
    assert kernel.settled() == before
    process.terminate()
    process.wait()


async def test_when_auditd_ends_the_table_goes_on(kernel, auditd, running, scratch):
    """Without auditd the agent takes over as the daemon, and says that it missed something."""
    kernel.load("execve")
    kernel.control.set(enabled=1)
    process, host = await auditd()
    async with running(ProcessEvents(host)) as run:
        await scratch(CODE)
        await run.until(lambda rows: rows)
        process.terminate()
        process.wait()
        await run.until(lambda _: run.table.source == "netlink", "source")
        await scratch(CODE)
        await run.until(lambda rows: len(rows) == 2)
        assert run.table.losses == {"gap": 1}


def lines(serial, text="true"):
    """Return an event as auditd dispatches it."""
    stamp = f"msg=audit({int(time())}.123:{serial}):"
    return (
        f"node=web-1 type=SYSCALL {stamp} arch=c000003e syscall=59 success=yes exit=0 ppid=1 "
        f'pid=7 uid=61234 comm="true" exe="/usr/bin/true" key=(null)\x1dUID="nobody"\n'
        f'node=web-1 type=EXECVE {stamp} argc=1 a0="{text}"\n'
        f"node=web-1 type=EOE {stamp} \n"
    ).encode()


async def test_a_socket_that_nobody_serves_is_passed_over(kernel, running, tmp_path):
    """What a dispatcher that was killed left behind is no reason to see nothing."""
    path = tmp_path / "events"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    kernel.load("execve")
    kernel.control.set(enabled=1)
    kernel.daemon()
    async with running(ProcessEvents(Host(settings={"audit": {"socket": str(path)}}))) as run:
        assert run.table.source == "multicast"
        await run.until(lambda _: "audisp: cannot connect to" in run.table.last_warning, "warning")


async def test_the_socket_may_come_and_go(kernel, running, tmp_path):
    """When the dispatcher closes its socket, multicast serves; it is no error of the agent."""
    path = tmp_path / "events"
    kernel.load("execve")
    kernel.control.set(enabled=1)
    kernel.daemon()
    host = Host(settings={"audit": {"socket": str(path)}})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0)
        async with running(ProcessEvents(host)) as run:
            assert run.table.source == "audisp"
            peer = (await asyncio.get_running_loop().sock_accept(listener))[0]
            peer.sendall(lines(5) + lines(6, "false"))
            rows = await run.until(lambda rows: len(rows) == 2)
            assert [row["args"] for row in rows] == [["true"], ["false"]]
            peer.close()
            listener.close()
            await run.until(lambda _: run.table.source == "multicast", "source")
