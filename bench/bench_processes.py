"""Compare ``processes`` through SQL with a bare read of the same files and with psutil.

Run as ``python bench/bench_processes.py``. All runs of one line are made
interleaved in this process; figures are medians, so that other work on the
machine falls on both sides.
"""

import asyncio
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import psutil
from zeek_agent_linux.processes import Processes

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database

FEW, MANY = 100, 2000
REPEATS = 11
COLUMNS = "name, pid, ppid, uid, gid, ruid, rgid, priority, startup, vsize, rsize, utime, stime"
ATTRIBUTES = [
    "name",
    "pid",
    "ppid",
    "uids",
    "gids",
    "nice",
    "create_time",
    "memory_info",
    "cpu_times",
]


def start(count: int) -> list[int]:
    """Fork processes that sleep, and return their IDs."""
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                signal.pause()
            finally:
                os._exit(0)
        children.append(pid)
    return children


def stop(children: list[int]) -> None:
    """End what was started."""
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def bare() -> int:
    """Open, read and close ``stat`` and ``status`` of each process; understand nothing."""
    count = 0
    for pid in os.listdir("/proc"):  # noqa: PTH208 - as bare as can be
        if pid.isdecimal():
            for name in ("stat", "status"):
                try:
                    file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
                    os.read(file, 4096)
                    os.close(file)
                except OSError:
                    continue
            count += 1
    return count


def with_psutil() -> int:
    """Ask psutil for the same."""
    return sum(1 for process in psutil.process_iter(ATTRIBUTES) if process.info)


async def medians(*calls: Callable[[], Awaitable[object]], repeats: int = REPEATS) -> list[float]:
    """Return the median milliseconds of each call, run in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            began = time.perf_counter()
            await call()
            taken.append((time.perf_counter() - began) * 1e3)
    return [statistics.median(taken) for taken in times]


def later(call: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    """Return *call* as something to await."""

    async def run() -> object:
        return call()

    return run


def line(what: str, ms: float, rest: str = "") -> None:
    """Print one line of the table."""
    print(f"{what:<52}{ms:9.3f} ms  {rest}")


async def opened(db: Database, statement: str) -> Counter[str]:
    """Return how often *statement* opens files of each name."""
    names: Counter[str] = Counter()
    real = os.open

    def count(path, *rest, **named):
        names[str(path).rpartition("/")[2]] += 1
        return real(path, *rest, **named)

    os.open = count
    try:
        await db.execute(statement)
    finally:
        os.open = real
    return names


async def single(db: Database, pid: int) -> list[float]:
    """Return the time to ask for one process, and for three."""

    def sql(condition: str) -> Callable[[], Awaitable[object]]:
        return lambda: db.execute(f"SELECT {COLUMNS} FROM processes WHERE pid {condition}")

    return await medians(sql(f"= {pid}"), sql(f"IN (1, {pid}, {os.getpid()})"), repeats=101)


async def measure(children: list[int]) -> None:
    """Print the table."""
    async with Database([Processes(Host())]) as db:

        def sql(columns: str) -> Callable[[], Awaitable[object]]:
            return lambda: db.execute(f"SELECT {columns} FROM processes")

        few = await single(db, children[0])
        children += start(MANY - FEW)
        many = await single(db, children[0])
        names = await opened(db, "SELECT * FROM processes WHERE pid = 1")
        print(f"{bare()} processes; one process with all columns opens {dict(names)}")
        floor, all_columns = await medians(later(bare), sql(COLUMNS))
        line("bare read of stat and status", floor)
        line(
            "the 13 original columns",
            all_columns,
            f"{all_columns / floor:.2f}x, budget: at most 1.7x",
        )
        rival, all_columns = await medians(later(with_psutil), sql(COLUMNS), repeats=5)
        line("psutil.process_iter", rival)
        line(
            "the 13 original columns",
            all_columns,
            f"{rival / all_columns:.1f}x faster, budget: at least 3x",
        )
        for columns in ("pid", "pid, name", "pid, uid", "pid, name, ppid", "pid, ruid"):
            floor, taken = await medians(later(bare), sql(columns), repeats=5)
            names = await opened(db, f"SELECT {columns} FROM processes")
            line(columns, taken, f"{taken / floor:.2f}x of bare; opens {dict(names)}")
        for what, at_few, at_many in zip(("pid = ?", "pid IN (3)"), few, many, strict=True):
            line(f"{what} at {FEW}, at {MANY} more processes", at_few, f"{at_many:.3f} ms")
        line("all columns", (await medians(sql("*"), repeats=5))[0])


def main() -> None:
    """Start the processes, measure, end them."""
    children = start(FEW)
    try:
        asyncio.run(measure(children))
    finally:
        stop(children)


if __name__ == "__main__":
    main()
