"""What processes of a known user do, and the rows that the kernel's auditing gives for it."""

import os
import socket
from pathlib import Path

import pytest
from zeek_agent_linux.file_events import FileEvents
from zeek_agent_linux.process_events import ProcessEvents
from zeek_agent_linux.socket_events import SocketEvents

from zeek_agent_core.api import Host

PROGRAM = Path("/bin/true").resolve()
STATUS = PROGRAM.stat()
LONG = "x" * 20_000


async def test_arguments_come_as_they_were(kernel, running, scratch):
    """Odd bytes, quotes, empty and very long arguments: all are told, in order, with the rest."""
    arguments = ["/bin/true", "a b", "\xff", "", "é", '"', "\n", LONG, *map(str, range(12))]
    raw = [a.encode("latin-1" if a == "\xff" else "utf-8") for a in arguments]
    async with running(ProcessEvents(Host())) as run:
        pid = await scratch(f"os.execv('/bin/true', {raw!r})")
        (row,) = await run.until(lambda rows: rows)
    assert row["args"] == [a if a != "\xff" else "\\xff" for a in arguments]
    assert row["cmdline"] == " ".join(f'"{argument}"' for argument in row["args"])
    assert (row["syscall"], row["pid"], row["ppid"]) == ("execve", pid, os.getpid())
    assert (row["uid"], row["euid"], row["gid"], row["auid"]) == (61_234, 61_234, 0, None)
    assert row["exe"] == str(PROGRAM)
    assert (row["path"], row["inode"], row["mode"]) == ("/bin/true", STATUS.st_ino, STATUS.st_mode)
    assert (row["success"], row["exit"], row["key"]) == (True, 0, "zeek-agent")
    assert row["arch"] == os.uname().machine
    assert run.table.losses == {}


async def test_only_what_succeeds_is_told(kernel, running, scratch):
    """A program that is not there gives no row, the next one does."""
    code = "try: os.execv('/nonexistent', ['x'])\nexcept OSError: os.execv('/bin/true', ['y'])"
    async with running(ProcessEvents(Host())) as run:
        await scratch(code)
        rows = await run.until(lambda rows: rows)
    assert [row["args"] for row in rows] == [["y"]]


async def test_processes_are_told_and_threads_are_not(kernel, running, scratch):
    """Each way to make a process gives a row with the child; a thread gives none."""
    code = """
child = os.fork()
if not child: os._exit(0)
os.waitpid(child, 0)
spawned = os.posix_spawn('/bin/true', ['true'], {})
os.waitpid(spawned, 0)
end = threading.Event()
threads = [threading.Thread(target=end.wait) for _ in range(3)]
for thread in threads: thread.start()
print(child, spawned, *(thread.native_id for thread in threads))
pause()
end.set()
"""
    async with running(ProcessEvents(Host())) as run, scratch.acting(code) as process:
        child, spawned, *threads = map(int, scratch.output)
        wanted = {child, spawned}
        rows = await run.until(
            lambda rows: (
                wanted <= {row.get("child_pid") for row in rows}
                and spawned in {row["pid"] for row in rows}
            )
        )
    made = {row["child_pid"]: row for row in rows if row["syscall"] not in {"execve", "execveat"}}
    assert set(made) == {child, spawned}
    assert set(threads).isdisjoint(made)
    assert {row["pid"] for row in made.values()} == {process.pid}
    assert [row["pid"] for row in rows if row["syscall"] == "execve"] == [spawned]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_both_ends_of_connections_are_told(kernel, running, scratch, address):
    """Bound, connected, accepted: each row has both ends, the port the kernel chose included."""
    family = int(socket.AF_INET6 if ":" in address else socket.AF_INET)
    code = f"""
listener = socket.socket({family})
listener.bind(('{address}', 0)); listener.listen()
client = socket.socket({family}); client.connect(listener.getsockname())
peer, _ = listener.accept()
print(listener.getsockname()[1], client.getsockname()[1])
pause()
"""
    async with running(SocketEvents(Host())) as run, scratch.acting(code) as process:
        server, client = map(int, scratch.output)
        rows = await run.until(lambda rows: len(rows) == 3)
    ends = {
        row["syscall"]: (
            row["local_address"], row["local_port"],
            row.get("remote_address"), row.get("remote_port"), row["protocol"], row["family"],
        )
        for row in rows
    }  # fmt: skip
    assert ends == {
        "bind": (address, server, None, None, 6, family),
        "connect": (address, client, address, server, 6, family),
        "accept4": (address, server, address, client, 6, family),
    }
    assert {(row["pid"], row["uid"], row["success"]) for row in rows} == {
        (process.pid, 61_234, True)
    }
    assert len({row["seuid"] for row in rows}) == 3


async def test_failures_and_unix_sockets(kernel, running, scratch):
    """Refused connections are told with their error; Unix sockets only if they are asked for."""
    code = """
for block in (True, False):
    s = socket.socket(); s.setblocking(block)
    try: s.connect(('127.0.0.1', 1))
    except OSError: pass
u = socket.socket(socket.AF_UNIX)
try: u.connect('/run/nobody')
except OSError: pass
os.execv('/bin/true', ['true'])
"""
    host = Host(settings={"audit": {"unix_sockets": True}})
    for table, count in ((SocketEvents(Host()), 2), (SocketEvents(host), 3)):
        async with running(table) as run:
            await scratch(code)
            rows = await run.until(lambda rows, count=count: len(rows) == count)
        assert [row["exit"] for row in rows[:2]] == [-111, -115]
        assert [row["success"] for row in rows] == [False] * count
        assert [row["remote_address"] for row in rows[2:]] == ["/run/nobody"] * (count - 2)


async def test_files_are_told_where_they_are_asked_for(kernel, running, scratch, place):
    """Opened, created, refused, relative to a descriptor: each file below the directory."""
    watched = place / "a b"
    watched.mkdir(mode=0o777)
    watched.chmod(0o777)
    (watched / "secret").touch(mode=0o600)
    code = f"""
open({str(watched / "new")!r}, 'w').close()
try: open({str(watched / "secret")!r})
except OSError: pass
directory = os.open({str(watched)!r}, os.O_RDONLY)
os.open('new', os.O_RDONLY, dir_fd=directory)
os.chdir({str(watched)!r})
open('../a b/./new').close()
open({str(place / "outside")!r}, 'w').close()
print()
pause()
"""
    host = Host(settings={"audit": {"directories": [str(watched)]}})
    async with running(FileEvents(host)) as run, scratch.acting(code) as process:
        rows = await run.until(lambda rows: len(rows) >= 5)
    assert [(row["path"], row["success"], row["created"]) for row in rows] == [
        (f"{watched}/new", True, True),
        (f"{watched}/secret", False, False),
        (f"{watched}", True, False),
        (f"{watched}/new", True, False),
        (f"{watched}/new", True, False),
    ]
    assert {(row["pid"], row["uid"]) for row in rows} == {(process.pid, 61_234)}
    assert rows[0]["inode"] == (watched / "new").stat().st_ino
    assert rows[1]["exit"] == -13
    assert rows[0]["flags"] & os.O_CREAT
