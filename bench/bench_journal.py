"""Compare ``system_logs_events`` with ``journalctl -o json`` piped through ``json.loads``.

Run as root: ``python bench/bench_journal.py``. A journald of its own is started
and takes 20,000 messages, as fast as they can be written, while the table
follows; then the same messages are read again and again, in turns with the
floor. Figures are medians; rows are in the ring of the table at the end.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from zeek_agent_linux.system_logs_events import SystemLogsEvents

from plugins.linux.tests.journald import Journald, native
from zeek_agent_core.api import Where
from zeek_agent_core.events import Collector
from zeek_agent_core.host import Host

MESSAGES = 20_000
REPEATS = 5
OLD = frozenset({"time", "process", "level", "message", "eventid"})
"""Columns of the C++ agent."""


class Following:
    """The table at work as in the agent; use as ``async with``."""

    def __init__(
        self, journald: Journald, source: str, columns: frozenset[str] | None = None
    ) -> None:
        """Follow *journald* through *source*; no *columns* means all."""
        settings = {"source": source, "directory": str(journald.directory)}
        self.table = SystemLogsEvents(Host(settings={"system_logs_events": settings}))
        if columns is not None:
            self.table.wanted = Where(columns)
        self.collector = Collector(self.table)

    async def __aenter__(self) -> Self:
        """Start it."""
        self.task = asyncio.create_task(self.collector.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        self.task.cancel()
        await asyncio.wait([self.task])

    async def attached(self) -> None:
        """Wait until it misses nothing."""
        while self.table.source is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)

    async def reach(self, count: int) -> None:
        """Wait until so many rows are in the ring."""
        while self.collector.buffer.last < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def write(journald: Journald) -> float:
    """Write the messages in a process of its own; return how long journald took for them."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        with journald.sender() as sender:
            for number in range(MESSAGES):
                entry = {"MESSAGE": f"message {number} of the benchmark", "PRIORITY": "6"}
                sender.send(native({**entry, "SYSLOG_IDENTIFIER": "bench"}))
        os._exit(0)
    os.waitpid(child, 0)
    return time.perf_counter() - began


async def live(journald: Journald, source: str) -> None:
    """Print what following a flood costs."""
    async with Following(journald, source) as following:
        await following.attached()
        began, cpu = time.perf_counter(), time.process_time()
        written = await asyncio.to_thread(write, journald)
        await following.reach(MESSAGES)
        passed, cpu = time.perf_counter() - began, time.process_time() - cpu
        rows = [row["message"] for row in following.collector.buffer.rows(0)]
        right = [f"message {number} of the benchmark" for number in range(MESSAGES)]
        losses = following.collector.losses or "nothing"
    print(
        f"live, {source:<12} written in {written:5.2f} s, all there after {passed:5.2f} s; "
        f"{'each once, in order' if rows == right else 'NOT AS WRITTEN'}; lost {losses}; "
        f"{cpu / MESSAGES * 1e6:5.1f} us of our CPU a message"
    )


def again(journald: Journald, source: str, cursor: str, columns: frozenset[str] | None) -> Callable:
    """Return what reads all messages behind *cursor* into the ring, as after a restart."""

    async def read() -> None:
        following = Following(journald, source, columns)
        following.table.bookmark.give("journal", cursor)
        async with following:
            await following.reach(MESSAGES)

    return read


def floor(journald: Journald) -> Callable:
    """Return what reads them through ``journalctl -o json``."""

    def read() -> None:
        command = ["journalctl", "-D", str(journald.directory), "-o", "json", "-q", "--no-pager"]
        command += ["-n", str(MESSAGES)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            count = sum(1 for line in child.stdout if json.loads(line))
        assert count == MESSAGES

    async def run() -> None:
        read()

    return run


async def clock(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return the time that *call* takes and the CPU that this process uses for it."""
    began, cpu = time.perf_counter(), time.process_time()
    await call()
    return time.perf_counter() - began, time.process_time() - cpu


async def rates(journald: Journald) -> None:
    """Print how fast what is there is read."""
    oldest = journald.control("-o", "json", "-n", str(MESSAGES + 1)).partition("\n")[0]
    cursor = json.loads(oldest)["__CURSOR"]
    calls = {
        "journalctl -o json, json.loads": floor(journald),
        "journal, all columns": again(journald, "journal", cursor, None),
        "journal, columns of the C++ agent": again(journald, "journal", cursor, OLD),
        "journalctl, all columns": again(journald, "journalctl", cursor, None),
        "journalctl, columns of the C++ agent": again(journald, "journalctl", cursor, OLD),
    }
    taken: dict[str, list[tuple[float, float]]] = {what: [] for what in calls}
    for _ in range(REPEATS):
        for what, call in calls.items():
            taken[what].append(await clock(call))
    base = None
    for what, times in taken.items():
        wall = statistics.median(wall for wall, _ in times)
        cpu = statistics.median(cpu for _, cpu in times)
        base = base or wall
        ratio = "" if base == wall else f"{base / wall:5.2f}x  budget: at least 3x"
        print(
            f"{what:<40}{MESSAGES / wall:9.0f} /s {wall / MESSAGES * 1e6:6.1f} us "
            f"{cpu / MESSAGES * 1e6:6.1f} us CPU  {ratio}"
        )


async def measure() -> None:
    """Print all of it."""
    for source in ("journal", "journalctl"):
        with Journald() as journald:
            await live(journald, source)
    with Journald() as journald:
        write(journald)
        journald.sync()
        await rates(journald)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("skipped: needs root")
    asyncio.run(measure())
