"""The kernel's auditing as a whole: taken, shared, lost, and left as it was found."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit.daemon import FILE, objection
from zeek_agent_linux._audit.hub import feeds_of
from zeek_agent_linux._audit.interest import Interest
from zeek_agent_linux._audit.netlink import HEADER, NETLINK_AUDIT
from zeek_agent_linux._audit.rules import KEY
from zeek_agent_linux._audit.sources import Audisp, Multicast, Netlink
from zeek_agent_linux._audit.status import LOCKED, PANIC, Status
from zeek_agent_linux._audit.streams import Netlink as NetlinkStream
from zeek_agent_linux._audit.syscalls import EXEC
from zeek_agent_linux.file_events import FileEvents
from zeek_agent_linux.process_events import ProcessEvents
from zeek_agent_linux.socket_events import SocketEvents

from zeek_agent_core.api import Host, TableError
from zeek_agent_core.host import AgentFacts

NATIVE = {0xC000003E, 0xC00000B7}
TRUE = "os.execv('/bin/true', ['true'])"
AGENT = """
import asyncio, sys
from pathlib import Path
from zeek_agent_core.api import Host, Where
from zeek_agent_core.events import Collector
from zeek_agent_core.host import AgentFacts
from zeek_agent_linux.process_events import ProcessEvents

async def main():
    table = ProcessEvents(Host(agent=AgentFacts(state=Path(sys.argv[1]))))
    collector = Collector(table)
    collector.read_by(None, Where(table.everything().columns, allowed={"uid": {%d}}))
    task = asyncio.create_task(collector.run())
    while not table.source: await asyncio.sleep(0.02)
    print(table.source, flush=True)
    await task
asyncio.run(main())
"""


def hosted(state=None, **settings):
    """Return a host with audit settings and a state directory."""
    return Host(settings={"audit": settings}, agent=AgentFacts(state=state))


def audit_sockets():
    """Return how many audit netlink sockets this process has."""
    found = Path("/proc/net/netlink").read_text(encoding="ascii").splitlines()[1:]
    inodes = {line.split()[9] for line in found if line.split()[1] == str(NETLINK_AUDIT)}
    own = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            own.add(str(descriptor.readlink()))
    return len({f"socket:[{inode}]" for inode in inodes} & own)


def open_files():
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_all_is_left_as_it_was(kernel, running, scratch, tmp_path):
    """While a table is read the kernel records for it; afterwards nothing of it is left."""
    before, sockets = kernel.settled(), audit_sockets()
    async with running(ProcessEvents(hosted(tmp_path, backlog_limit=5000))) as run:
        status = kernel.status()
        assert (status.pid, status.enabled) == (os.getpid(), 1)
        assert (status.backlog_limit, status.backlog_wait_time) == (5000, 0)
        assert run.table.source == "netlink"
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert (kernel.settled(), audit_sockets()) == (before, sockets)
    assert not (tmp_path / FILE).exists()


async def test_three_tables_share_one_connection(kernel, running, scratch):
    """All tables read one stream, each gets its own rows, and rules go with their table."""
    host, before = hosted(directories=["/etc"]), audit_sockets()
    code = f"open('/etc/passwd'); socket.socket().bind(('127.0.0.1', 0)); {TRUE}"
    async with running(ProcessEvents(host)) as processes:
        of_one = len(kernel.settled()[-1])
        async with running(SocketEvents(host)) as sockets, running(FileEvents(host)) as files:
            assert audit_sockets() - before == 2 + 1 - 1
            assert len(kernel.settled()[-1]) > of_one
            await scratch(code)
            await processes.until(lambda rows: [row["args"] for row in rows] == [["true"]])
            await sockets.until(lambda rows: [row["syscall"] for row in rows] == ["bind"])
            await files.until(lambda rows: rows and rows[0]["path"] == "/etc/passwd")
        assert len(kernel.settled()[-1]) == of_one
        assert kernel.status().pid == os.getpid()


async def test_the_kernel_records_no_more_than_queries_want(kernel, running):
    """Conditions on user and call are part of the rules, and change with the queries."""
    async with running(ProcessEvents(Host()), syscall={"execve"}) as run:
        (native,) = (r for r in kernel.settled()[-1] if r.arch in NATIVE)
        assert native.calls in ({59}, {221})
        assert (1, 0x40000000, kernel.scratch) in native.terms
        run.collector.read_by("another", run.table.everything())
        await run.until(
            lambda _: all(
                len(rule.calls) > 1 and len(rule.terms) == 1 for rule in kernel.settled()[-1]
            ),
            "rules",
        )


async def test_our_own_calls_are_not_recorded(kernel, running):
    """The rules leave the agent itself out, unless the settings want it."""
    for is_ignored in (True, False):
        async with running(ProcessEvents(hosted(ignore_self=is_ignored))):
            own = [(0, 0x30000000, os.getpid()) in rule.terms for rule in kernel.settled()[-1]]
            assert set(own) == {is_ignored}


async def test_what_a_killed_agent_left_is_removed(kernel, running, tmp_path):
    """Rules and settings of an agent that was killed are put right by the next one."""
    before = kernel.settled()
    agent = kernel.start(
        [sys.executable, "-c", AGENT % kernel.scratch, str(tmp_path)], stdout=-1, text=True
    )
    assert agent.stdout.readline() == "netlink\n"
    agent.send_signal(signal.SIGKILL)
    kernel.end(agent)
    left = kernel.settled()
    assert left[-1]
    assert left[0] == 1
    async with running(ProcessEvents(hosted(tmp_path)), syscall={"execve"}):
        assert kernel.status().pid == os.getpid()
        assert all(len(rule.calls) == 1 for rule in kernel.settled()[-1])
    assert kernel.settled() == before


@pytest.mark.parametrize("text", ["", "[]", "{", '{"boot": 1}', '{"boot": "x", "before": 7}'])
async def test_an_odd_memory_of_an_earlier_run_is_ignored(kernel, running, tmp_path, text):
    """A file that does not say what there was, or is of another start of the host, counts not."""
    before = kernel.settled()
    (tmp_path / FILE).write_text(text)
    async with running(ProcessEvents(hosted(tmp_path))):
        assert json.loads((tmp_path / FILE).read_text())["before"]["enabled"] == before[0]
    assert kernel.settled() == before


async def test_beside_a_daemon_records_come_by_multicast(kernel, running, scratch):
    """With another daemon and its rules, its records are read, and nothing is changed."""
    kernel.load("execve", "connect", "bind")
    kernel.control.set(enabled=1)
    daemon = kernel.daemon()
    before = kernel.settled()
    async with running(ProcessEvents(Host())) as run:
        assert run.table.source == "multicast"
        assert kernel.settled() == before
        await scratch(TRUE)
        (row,) = await run.until(lambda rows: rows)
        assert (row["args"], row["key"]) == (["true"], "zeek-agent-tests")
        assert f"netlink: process {daemon.pid} is the audit daemon" in run.table.last_warning
    assert kernel.settled() == before


async def test_rules_of_ours_beside_a_daemon(kernel, running, scratch):
    """If the settings let it, the agent adds rules beside a daemon, and removes them again."""
    kernel.control.set(enabled=1)
    kernel.daemon()
    before = kernel.settled()
    async with running(ProcessEvents(hosted(manage_rules=True))) as run:
        assert run.table.source == "multicast"
        assert {rule.key for rule in kernel.settled()[-1]} == {KEY}
        await scratch(TRUE)
        await run.until(lambda rows: rows)
    assert kernel.settled() == before


async def test_without_rules_the_table_says_what_is_missing(kernel):
    """Beside a daemon, a table that no rule serves names the calls, and the way out."""
    kernel.control.set(enabled=1)
    kernel.daemon()
    with pytest.raises(TableError, match=r"no audit rule records accept, .*manage_rules"):
        Multicast(SocketEvents(Host())).check()
    with pytest.raises(TableError, match="is the audit daemon"):
        Netlink(SocketEvents(Host())).check()
    with pytest.raises(TableError, match="no socket at /nowhere"):
        Audisp(SocketEvents(hosted(socket="/nowhere"))).check()


async def test_rules_that_cover_a_part_are_enough(kernel, running, scratch):
    """Some of the calls are better than none; what is missing is a warning."""
    kernel.load("execve", uid=None)
    kernel.control.set(enabled=1)
    kernel.daemon()
    async with running(ProcessEvents(Host())) as run:
        await scratch(TRUE)
        await run.until(lambda rows: rows)
        assert run.table.warnings == 2


async def test_files_are_off_until_they_are_asked_for(kernel):
    """Without settings no file is audited, and the table says how to change that."""
    with pytest.raises(TableError, match=r'add "file" to \[tables.audit\] syscalls'):
        Netlink(FileEvents(Host())).check()
    Netlink(FileEvents(hosted(directories=["/etc"]))).check()
    Netlink(FileEvents(hosted(syscalls=["file"]))).check()
    with pytest.raises(TableError, match="auditing is off"):
        Multicast(FileEvents(Host())).check()


async def test_a_directory_that_is_not_there_is_a_warning(kernel, running, tmp_path, caplog):
    """One wrong directory does not cost the others."""
    host = hosted(directories=["/etc", str(tmp_path / "nothing")])
    async with running(FileEvents(host)):
        rules = kernel.settled()[-1]
        assert {text for rule in rules for field, _, text in rule.terms if field == 107} == {"/etc"}
    assert "nothing refused: no such file or directory" in caplog.text


async def test_being_replaced_is_noticed(kernel, running, scratch):
    """When another daemon takes over, the table goes on beside it, and says what it missed."""
    kernel.load("execve")
    host = Host()
    feeds_of(host, check_seconds=0.1)
    async with running(ProcessEvents(host)) as run:
        await scratch(TRUE)
        await run.until(lambda rows: rows)
        kernel.control.set(pid=0)
        daemon = kernel.daemon()
        await run.until(lambda _: run.table.source == "multicast", "source")
        assert run.table.losses["gap"] == 1
        assert [rule for rule in kernel.settled()[-1] if rule.key == KEY] == []
        await scratch(TRUE)
        await run.until(lambda rows: len(rows) == 2)
        assert kernel.status().pid == daemon.pid
    assert kernel.status().pid == daemon.pid


async def test_a_daemon_that_was_let_go_is_one_again(kernel, running, scratch):
    """When the kernel drops its daemon, and no other has come, the agent is it again."""
    host = Host()
    feeds_of(host, check_seconds=0.1)
    async with running(ProcessEvents(host)) as run:
        kernel.control.set(pid=0)
        await run.until(lambda _: kernel.status().pid == os.getpid(), "daemon")
        await scratch(TRUE)
        await run.until(lambda rows: rows)
        assert (run.table.source, run.table.losses) == ("netlink", {})


async def test_rules_that_somebody_removes_come_back(kernel, running, scratch):
    """What `auditctl -D` removes is loaded again at the next look."""
    host = Host()
    feeds_of(host, check_seconds=0.1)
    async with running(ProcessEvents(host)) as run:
        before = kernel.settled()[-1]
        for rule in before:
            kernel.control.delete(rule)
        await run.until(lambda _: len(kernel.settled()[-1]) == len(before), "rules")
        await scratch(TRUE)
        await run.until(lambda rows: rows)


async def test_a_second_daemon_is_refused(kernel, running):
    """While the agent is the daemon, another process cannot become it."""
    async with running(ProcessEvents(Host())) as run:
        with pytest.raises(AssertionError, match="refused -17"):
            kernel.daemon()
        assert (run.table.source, kernel.status().pid) == ("netlink", os.getpid())


BURST = """
for _ in range(300):
    child = os.fork()
    if not child: os.execv('/bin/true', ['true'])
    os.waitpid(child, 0)
"""


async def test_what_the_kernel_loses_is_counted(kernel, running, scratch):
    """Records that the kernel could not hold are lost, and counted by it."""
    host = Host()
    feeds_of(host, check_seconds=0.1)
    async with running(ProcessEvents(host)) as run:
        kernel.control.set(backlog_limit=1)
        await scratch(BURST)
        await run.until(lambda _: run.table.losses.get("kernel"), "loss")


async def test_what_we_are_too_slow_for_is_counted(kernel, running, scratch):
    """When the kernel drops records since we do not read them, it is known how many events."""
    host = Host()
    async with running(ProcessEvents(host), syscall={"execve"}) as run:
        await scratch(TRUE)
        await run.until(lambda rows: len(rows) == 1)
        stream = feeds_of(host)["netlink"]._reader.mode.stream
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        process = kernel.start(
            [sys.executable, "-c", f"import os; os.setuid({kernel.scratch}){BURST}"]
        )
        process.wait()  # blocks the event loop: nothing is read meanwhile
        await run.until(lambda rows: run.table.losses.get("netlink"), "loss")
        await scratch(TRUE)
        await run.until(lambda rows: sum(row["ppid"] == os.getpid() for row in rows) == 2)
    assert len(run.rows) + sum(run.table.losses.values()) >= 302


async def test_forged_messages_are_ignored(kernel):
    """What another process than the kernel sends is no record."""
    stream, taken = NetlinkStream(), []
    forged = b"audit(1700000000.123:1): syscall=59"
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT) as forger:
        port = stream.socket.getsockname()[0]
        forger.sendto(HEADER.pack(16 + len(forged), 1300, 0, 0, 0) + forged, (port, 0))
    assert stream.drain(taken.append, 10) == 1
    assert taken == []
    stream.close()


@pytest.mark.parametrize("kind", [Audisp, Netlink, Multicast])
def test_without_rights_the_reason_is_told(kind):
    """A user who may not audit is told so by every source, and nothing else happens."""
    code = f"""
import os
from zeek_agent_core.api import Host
from zeek_agent_linux._audit.sources import {kind.__name__} as kind
from zeek_agent_linux.process_events import ProcessEvents
table = ProcessEvents(Host())
os.setuid(65534)
try: kind(table).check()
except OSError as error: print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "auditing is not permitted (CAP_AUDIT_CONTROL, CAP_AUDIT_READ)\n"


@given(st.binary(max_size=200), st.integers(0, 70_000))
def test_cut_messages_are_no_records(raw, kind):
    """Whatever a message holds, and however short it is, it is read or passed over."""
    stream = NetlinkStream()
    message = raw[:4] + kind.to_bytes(4, "little") + raw[4:]
    for each in (message, message.ljust(16, b"x")[:16] + b"audit(1.2:3): " + raw):
        for size in {0, 8, 15, 16, 20, len(each)}:
            stream.record(bytearray(each), min(size, len(each)))
    stream.close()


async def test_a_hundred_starts_leave_nothing(kernel):
    """However often auditing begins and ends, nothing of it stays, here or in the kernel."""
    host, before = Host(), kernel.settled()
    feed = feeds_of(host)["netlink"]
    interest = Interest(EXEC, (((1, 0x40000000, kernel.scratch),),))
    descriptors = open_files()
    for _ in range(100):
        async with feed.subscribed(interest, lambda *_: None):
            pass
    assert kernel.settled() == before
    assert open_files() == descriptors


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status(enabled=LOCKED), "locked"),
        (Status(failure=PANIC), "halt"),
        (Status(pid=1), "process 1 is the audit daemon"),
        (Status(pid=2**22 + 1), None),
        (Status(pid=os.getpid()), None),
        (Status(), None),
    ],
)
def test_some_states_are_left_alone(status, reason):
    """Locked rules, a host that halts at a loss, a living daemon: the agent keeps its hands off."""
    found = objection(status)
    assert (reason is None and found is None) or reason in found
