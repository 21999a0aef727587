"""The source `audit` of tables that have other sources: what it tells, and when it may."""

import os

import pytest
from zeek_agent_linux._processes_audit import AuditSource as ProcessSource
from zeek_agent_linux._sockets_audit import AuditSource as SocketSource
from zeek_agent_linux.processes_events import ProcessesEvents
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.api import Host, TableError

PROCESSES = Host(settings={"processes_events": {"source": "audit"}})
SOCKETS = Host(settings={"sockets_events": {"source": "audit"}})
LIVES = """
for command in (['/bin/sh', '-c', 'exit 3'], ['/bin/sh', '-c', 'kill -9 $$']):
    child = os.fork()
    if not child: os.execv(command[0], command)
    print(child, flush=True)
    os.waitpid(child, 0)
os.execv('/bin/true', ['true', 'a b'])
"""


async def test_processes_start_and_stop(kernel, running, scratch):
    """Programs are told with all arguments, ends with their code; who was killed is missed."""
    async with running(ProcessesEvents(PROCESSES)) as run:
        assert run.table.source == "audit"
        pid = await scratch(LIVES)
        exits, killed = map(int, scratch.output)
        rows = await run.until(lambda rows: sum(row["state"] == "stopped" for row in rows) == 3)
    told = {(row["pid"], row["state"]): row for row in rows}
    assert set(told) == {
        (p, state) for p in (pid, exits, killed) for state in ("started", "stopped")
    }
    started = told[pid, "started"]
    assert (started["name"], started["cmdline"]) == ("/bin/true", "true a b")
    assert (started["ppid"], started["uid"], started["ruid"]) == (os.getpid(), 61_234, 61_234)
    assert told[exits, "started"]["cmdline"] == "/bin/sh -c exit 3"
    assert (told[exits, "stopped"]["exit_code"], told[exits, "stopped"]["uid"]) == (3, 61_234)
    assert told[pid, "stopped"]["exit_code"] == 0
    assert told[killed, "stopped"].get("exit_code") is None
    assert told[killed, "stopped"]["incomplete"]


async def test_a_program_that_was_there_before_is_told_at_its_end(kernel, running, scratch):
    """A process that executed its program before anybody asked still has an end."""
    async with running(ProcessesEvents(PROCESSES), state={"stopped"}) as run:
        pid = await scratch("os._exit(7)", status=7)
        (row,) = await run.until(lambda rows: rows)
    assert (row["pid"], row["state"], row["exit_code"]) == (pid, "stopped", 7)
    assert row["cmdline"].startswith(row["cmdline"].split()[0])


SERVE = """
listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
client = socket.socket(); client.connect(listener.getsockname())
peer, _ = listener.accept()
udp = socket.socket(type=socket.SOCK_DGRAM); udp.bind(('127.0.0.1', 0))
refused = socket.socket()
try: refused.connect(('127.0.0.1', 1))
except OSError: pass
print(listener.getsockname()[1], client.getsockname()[1], udp.getsockname()[1])
pause()
client.sendall(b"x" * 1000)
peer.recv(2000)
client.close()
peer.close()
"""


async def test_sockets_are_told_with_their_process(kernel, running, scratch):
    """Who listens, who connects and who accepts, with both ends; and what failed, and why."""
    async with running(SocketsEvents(SOCKETS)) as run, scratch.acting(SERVE) as process:
        assert run.table.source == "audit"
        server, client, udp = map(int, scratch.output)
        await run.until(lambda rows: len(rows) == 5)
        await scratch.go_on(process)
        every = await run.until(lambda rows: sum(row["state"] == "closed" for row in rows) == 4)
    rows = [row for row in every if row["state"] != "closed"]
    told = {
        (
            row["state"], row["direction"], row["protocol"], row["local_port"],
            row["remote_addr"], row["remote_port"],
        )
        for row in rows if row["state"] != "failed"
    }  # fmt: skip
    assert told == {
        ("listen", None, 6, server, "0.0.0.0", 0),
        ("listen", None, 17, udp, "0.0.0.0", 0),
        ("established", "out", 6, client, "127.0.0.1", server),
        ("established", "in", 6, server, "127.0.0.1", client),
    }
    (failed,) = (row for row in rows if row["state"] == "failed")
    assert (failed["error"], failed["remote_port"]) == (111, 1)
    assert {(row["pid"], row["uid"], row["family"]) for row in rows} == {
        (process.pid, 61_234, "IPv4")
    }
    assert len({row["seuid"] for row in rows}) == 5
    closed = {(row["direction"], row["local_port"]): row for row in every[-4:]}
    assert {(key, row["seuid"]) for key, row in closed.items()} == {
        ((row["direction"], row["local_port"]), row["seuid"]) for row in rows if row != failed
    }
    ends = closed["out", client], closed["in", server]
    assert [(row["sent"], row["received"]) for row in ends] == [(1000, 0), (0, 1000)]
    assert all(row["duration"] > 0 for row in ends)


@pytest.mark.parametrize(
    ("kind", "source"), [(ProcessesEvents, ProcessSource), (SocketsEvents, SocketSource)]
)
def test_auditing_does_not_begin_by_itself(kernel, kind, source):
    """Rules cost the whole host: without settings, and without a daemon, others serve."""
    before = kernel.settled()
    with pytest.raises(TableError, match=rf'set \[tables.{kind.name}\] source = "audit"'):
        source(kind(Host())).check()
    kernel.load(*source.needed, uid=None)
    with pytest.raises(TableError, match="no other audit daemon"):
        source(kind(Host())).check()
    kernel.control.set(enabled=1)
    kernel.daemon()
    source(kind(Host())).check()
    kernel.control.set(enabled=before[0])


async def test_beside_a_daemon_with_rules_it_serves(kernel, running, scratch):
    """Where programs are audited anyway, that is a better source than those that may be late."""
    kernel.load("execve", "execveat", uid=None)
    kernel.control.set(enabled=1)
    kernel.daemon()
    before = kernel.settled()

    class Table(ProcessesEvents):
        sources = (ProcessSource,)

    async with running(Table(Host())) as run:
        pid = await scratch("os.execv('/bin/true', ['true'])")
        rows = await run.until(lambda rows: len(rows) == 2)
        assert [(row["pid"], row["state"]) for row in rows] == [(pid, "started"), (pid, "stopped")]
        assert kernel.settled() == before
