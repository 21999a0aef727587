"""``processes_events`` with processes of known arguments, users and ends, from each source."""

import asyncio
import os
import signal
import socket
import struct
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from zeek_agent_linux._boottime import TICK
from zeek_agent_linux._cnproc import EXEC, LISTEN, SIZE, request
from zeek_agent_linux._procconnector import CONNECTOR
from zeek_agent_linux._processes_connector import ConnectorSource
from zeek_agent_linux._processes_polling import PollingSource
from zeek_agent_linux._processes_tracefs import TraceSource
from zeek_agent_linux.processes import Processes
from zeek_agent_linux.processes_events import ProcessesEvents

from zeek_agent_core.table import Where
from zeek_agent_core.testing.conformance import check_table

FOLLOWING = ["BPF", "proc connector", "tracefs"]
"""Sources that miss no process."""
KINDS = [ConnectorSource, TraceSource, PollingSource]
ALL = [*FOLLOWING, "polling"]
FEW = Where(frozenset({"time", "pid", "ppid", "uid", "state", "duration", "startup"}))
"""What needs nothing from /proc."""


@pytest.mark.parametrize("source", ALL)
def test_conforms(host, source):
    """The table keeps the rules that all tables keep, with each of its sources."""
    check_table(ProcessesEvents(host("/", processes_events={"source": source})))


@pytest.mark.parametrize("source", ALL)
async def test_whole_life(watch, act, actor, tmp_path, source):
    """A process that lasts a while gives all of itself as it starts, and its end."""
    async with watch(ProcessesEvents, source, interval=0.05) as seen:
        before = time.time_ns() // 1000
        pid, _, _ = await act("sleep", 400, "Zürich", cwd=tmp_path)
        after = time.time_ns() // 1000
        *earlier, started = await seen.count(1, pid=pid, state="started")
        (stopped,) = await seen.count(1, pid=pid, state="stopped")
    # Who looks now and then may see the process before it has become the program.
    assert not earlier or source == "polling"
    assert started["cmdline"] == f"{actor} sleep 400 Zürich"
    assert (started["exe"], started["cwd"]) == (actor, str(tmp_path))
    assert started["name"] == actor
    assert (started["ppid"], started["uid"], started["gid"]) == (os.getpid(), 0, 0)
    assert (started["ruid"], started["rgid"]) == (0, 0)
    assert started["cgroup"]
    assert not started["incomplete"]
    if source == "polling":  # it knows the start to a tick, and the end when it looks
        assert before - 2 * TICK // 1000 <= started["time"] < stopped["time"]
    else:
        assert before <= started["time"] < stopped["time"] <= after
        assert 400_000_000 <= stopped["duration"] <= (after - before) * 1000
    assert stopped["startup"] == started["startup"]


@pytest.mark.parametrize("source", FOLLOWING)
async def test_startup_is_that_of_processes(watch, host, act, source):
    """A process has the same `startup` as in the table `processes`, to a tick."""
    async with watch(ProcessesEvents, source, FEW) as seen:
        task = asyncio.create_task(act("sleep", 300))
        await seen.until(lambda: seen.rows(ppid=os.getpid(), state="started"))
        (started,) = seen.rows(ppid=os.getpid(), state="started")
        where = Where(frozenset({"startup"}), allowed={"pid": {started["pid"]}})
        (row,) = Processes(host()).rows(where)
        await task
    assert abs(started["startup"] - row["startup"]) <= TICK


async def test_exit_codes_and_signals(watch, act):
    """Exit codes are the process's own; who is ended by a signal has its number instead."""
    async with watch(ProcessesEvents, "proc connector") as seen:
        ends = {}
        for what, number in [("exit", 0), ("exit", 7), ("exit", 255), ("kill", signal.SIGKILL)]:
            pid, _, _ = await act(what, int(number))
            ends[pid] = (None, number) if what == "kill" else (number, None)
        for pid, end in ends.items():
            (row,) = await seen.count(1, pid=pid, state="stopped")
            assert (row.get("exit_code"), row.get("exit_signal")) == end


@pytest.mark.parametrize("source", FOLLOWING)
async def test_threads_are_no_processes(watch, act, source):
    """Fifty threads give no row: the process starts once and stops once."""
    async with watch(ProcessesEvents, source) as seen:
        pid, status, _ = await act("threads", 50)
        await seen.count(1, pid=pid, state="stopped")
        rows = [row for row in seen.rows() if pid in {row["pid"], row["ppid"]}]
    assert status == 0
    assert [row["state"] for row in rows] == ["started", "stopped"]


@pytest.mark.parametrize("source", FOLLOWING)
async def test_first_thread_ends_first(watch, act, source):
    """A process stops with its last thread, with the status that all of it had."""
    async with watch(ProcessesEvents, source) as seen:
        pid, status, _ = await act("leader")
        (row,) = await seen.count(1, pid=pid, state="stopped")
    assert status == 3
    assert row["duration"] >= 50_000_000
    assert row.get("exit_code") == (None if source == "tracefs" else 3)


@pytest.mark.parametrize("source", FOLLOWING)
async def test_other_thread_executes(watch, act, source):
    """A process whose second thread executes a program goes on under its own ID."""
    async with watch(ProcessesEvents, source) as seen:
        pid, status, _ = await act("execthread")
        await seen.count(1, pid=pid, state="stopped")
        rows = [row for row in seen.rows() if pid in {row["pid"], row["ppid"]}]
    assert status == 0
    assert [row["state"] for row in rows] == ["started", "started", "stopped"]


async def test_users_of_short_processes(watch, act):
    """The IDs are those at each moment, however short it is; root has 0."""
    async with watch(ProcessesEvents, "proc connector", FEW) as seen:
        for _ in range(10):
            pid, status, _ = await act("as", 12345, 54321)
            assert status == 0
            await seen.count(1, pid=pid, state="stopped")
            users = [
                (row["uid"], row["ruid"], row["gid"], row["rgid"]) for row in seen.rows(pid=pid)
            ]
            assert users == [(0, 0, 0, 0), *[(12345, 12345, 54321, 54321)] * 2]


async def test_tracefs_guesses_no_user(watch, act):
    """A source that is not told of other IDs does not claim those of the parent."""
    async with watch(ProcessesEvents, "tracefs") as seen:
        pid, _, _ = await act("as", 12345, 12345)
        await seen.count(1, pid=pid, state="stopped")
    for row in seen.rows(pid=pid):
        assert row["uid"] is None
        assert row["incomplete"]


@pytest.mark.parametrize("source", FOLLOWING)
async def test_forks_only_if_asked_for(watch, act, source):
    """Processes that execute nothing give `forked` if the settings say so, else just their end."""
    for forks in (False, True):
        async with watch(ProcessesEvents, source, FEW, forks=forks) as seen:
            pid, _, _ = await act("fork", 5, 1)
            await seen.count(5, ppid=pid, state="stopped")
        states = Counter(row["state"] for row in seen.rows(ppid=pid))
        assert states == ({"stopped": 5, "forked": 5} if forks else {"stopped": 5})


@pytest.mark.parametrize("source", FOLLOWING)
async def test_one_id_used_again_and_again(watch, act, source):
    """Processes that have had the same ID, one right after the other, stay apart."""
    async with watch(ProcessesEvents, source, FEW, forks=True) as seen:
        _, status, output = await act("reuse", 20)
        assert status == 0
        pid = int(output)
        rows = await seen.count(20, pid=pid, state="stopped")
    assert [row["state"] for row in seen.rows(pid=pid)] == ["forked", "stopped"] * 20
    assert all(row["duration"] < 10**9 for row in rows)
    if source == "proc connector":
        assert [row["exit_code"] for row in rows] == list(range(1, 21))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("source", FOLLOWING)
async def test_burst(watch, act, source):
    """Of 20,000 programs executed as fast as can be, each starts and stops once."""
    async with watch(ProcessesEvents, source, FEW) as seen:
        pid, status, _ = await act("exec", 20_000, 8)
        assert status == 0
        rows = await seen.count(40_000, ppid=pid)
        times = Counter((row["pid"], row["startup"], row["state"]) for row in rows)
    assert Counter(row["state"] for row in rows) == {"started": 20_000, "stopped": 20_000}
    assert set(times.values()) == {1}
    assert seen.collector.losses == {}


@pytest.mark.parametrize("source", FOLLOWING)
async def test_directories_of_short_processes(watch, act, tmp_path, source):
    """A process too short to be looked at has the directory of its parent, if that is there."""
    async with watch(ProcessesEvents, source) as seen:
        pid, _, _ = await act("exec", 50, 1, cwd=tmp_path)
        rows = await seen.count(50, ppid=pid, state="started")
    assert {row["cwd"] for row in rows} <= {str(tmp_path), None}
    assert all(row["incomplete"] for row in rows if row["cmdline"] is None)
    if source == "proc connector":  # it looks at once
        assert sum(row["cwd"] is not None for row in rows) > 25


@pytest.mark.parametrize("source", ALL)
async def test_conditions(watch, act, source):
    """Rows that no query wants are not held."""
    where = Where(FEW.columns, allowed={"state": {"stopped"}, "uid": {12345}})
    async with watch(ProcessesEvents, source, where, interval=0.05) as seen:
        await act("sleep", 200)
        process = await asyncio.create_subprocess_exec("sleep", "1.5", user=12345)
        await process.wait()
        rows = await seen.count(1, pid=process.pid)
    assert [row["state"] for row in rows] == ["stopped"]
    assert {(row["uid"], row["state"]) for row in seen.rows()} == {(12345, "stopped")}


@pytest.mark.parametrize("source", ALL)
async def test_initial(watch, source):
    """If asked for, the table begins with what runs already."""
    async with watch(ProcessesEvents, source, initial=True) as seen:
        (row,) = await seen.count(1, pid=os.getpid(), state="running")
    assert row["ppid"] == os.getppid()
    assert row["cmdline"]


@pytest.mark.parametrize("source", FOLLOWING)
async def test_processes_from_before(watch, actor, source):
    """A process that ran before the first query ends with its name, start and user."""
    process = await asyncio.create_subprocess_exec(actor, "sleep", "30000", user=12345)
    async with watch(ProcessesEvents, source) as seen:
        await asyncio.sleep(0.5)  # until it is known
        process.kill()
        await process.wait()
        (row,) = await seen.count(1, pid=process.pid, state="stopped")
    assert (row["exe"], row["uid"], row["ppid"]) == (actor, 12345, os.getpid())
    assert row["duration"] > 0
    if source == "proc connector":
        assert row["exit_signal"] == signal.SIGKILL


async def test_full_buffer_is_counted(watch, act, monkeypatch):
    """What the kernel could not deliver is counted by its sequence numbers, and all goes on."""
    monkeypatch.setattr("zeek_agent_linux._procconnector.BUFFER", 1 << 16)
    async with watch(ProcessesEvents, "proc connector", FEW, forks=True) as seen:
        pid, _, _ = await act("fork", 4000, 8)
        await seen.until(lambda: seen.collector.losses)
        again = 0
        while not seen.rows(pid=again, state="stopped"):
            again, _, _ = await act("exit", 5)
            await asyncio.sleep(0.3)
    got = len(seen.rows(ppid=pid))
    assert got < 8000
    assert seen.collector.losses["kernel"] >= 8000 - got


async def test_forged_messages(watch, act):
    """A message that another process sends is not believed, and is reported."""
    async with watch(ProcessesEvents, "proc connector", FEW) as seen:
        fake = bytearray(request(LISTEN, 0).ljust(SIZE, b"\0"))
        struct.pack_into("=I", fake, 0, SIZE)
        struct.pack_into("=IIQ", fake, 36, EXEC, 0, time.monotonic_ns())
        struct.pack_into("=ii", fake, 52, 4_000_000, 4_000_000)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, CONNECTOR) as forger:
            for port in listeners():
                with suppress(OSError):
                    forger.sendto(fake, (port, 0))
        await seen.until(lambda: seen.table.warnings)
        pid, _, _ = await act("one")
        await seen.count(1, pid=pid, state="stopped")
    assert "did not come from the kernel" in seen.table.last_warning
    assert not seen.rows(pid=4_000_000)


def listeners():
    """Return the netlink ports of those in this process that hear of processes."""
    inodes = set()
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            inodes.add(file.stat().st_ino)
    lines = Path("/proc/net/netlink").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return [int(f[2]) for f in fields if int(f[1]) == CONNECTOR and int(f[9]) in inodes]


def resident():
    """Return how many pages of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.parametrize("kind", KINDS)
async def test_started_and_stopped_often(host, kind):
    """A source that is started and stopped again and again leaves nothing behind."""

    def held():
        tasks = asyncio.all_tasks()
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), len(tasks)

    counts, sizes = set(), []
    for _ in range(25):
        events = kind(ProcessesEvents(host())).events()
        assert not await anext(events)
        await events.aclose()
        counts.add(held())
        sizes.append(resident())
    assert len(counts) == 1
    assert sizes[-1] - sizes[4] < 256  # pages


@pytest.mark.parametrize("kind", KINDS)
def test_without_rights(host, kind):
    """Without rights a source says so before anything starts, or works all the same."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            kind(ProcessesEvents(host())).check()
            os.write(writer, b"works")
        except OSError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.wait()
    said = os.read(reader, 1000).decode()
    assert ("works" in said) == (kind.name == "polling")
    if kind.name != "polling":
        assert "not permitted" in said
    os.close(reader)
    os.close(writer)
