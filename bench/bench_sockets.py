"""Compare ``sockets`` through SQL with psutil, at 20,000 sockets in 50 processes.

Run as root: ``python bench/bench_sockets.py``. All runs of one line are made
interleaved in this process; figures are medians, so that other work on the
machine falls on both sides.
"""

import asyncio
import os
import resource
import signal
import socket
import statistics
import struct
import sys
import time
from collections.abc import Awaitable, Callable

import psutil
from zeek_agent_linux import _sockdiag
from zeek_agent_linux.sockets import Sockets

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Where

PROCESSES = 50
PAIRS = 200
"""TCP connections with both ends in one process: 50 * 200 * 2 sockets."""
REPEATS = 9
COLUMNS = "pid, family, protocol, local_addr, local_port, remote_addr, remote_port, state"
SIX = "pid, local_addr, local_port, remote_addr, remote_port, state"
WHERE = Where(frozenset(COLUMNS.split(", ")))


def start() -> list[int]:
    """Start processes that hold sockets, and return their IDs."""
    children = []
    for number in range(PROCESSES):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            hold(number, writer)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        children.append(pid)
    return children


def hold(number: int, ready: int) -> None:
    """Open the sockets of one process, then sleep; does not return."""
    try:
        server = socket.socket()
        server.bind((f"127.0.1.{number + 1}", 0))
        server.listen(PAIRS)
        kept = [server]
        # Reset at the end: TIME_WAIT would stay for the next run.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _ in range(PAIRS):
            client = socket.create_connection(server.getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            kept += [client, server.accept()[0]]
        os.write(ready, b".")
        signal.pause()
    finally:
        os._exit(0)


def stop(children: list[int]) -> None:
    """End what was started."""
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def clock(call: Callable[[], Awaitable[object]]) -> float:
    """Return the milliseconds that *call* takes."""
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1e3


async def medians(*calls: Callable[[], Awaitable[object]]) -> list[float]:
    """Return the median time of each call, run in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS):
        for call, taken in zip(calls, times, strict=True):
            taken.append(await clock(call))
    return [statistics.median(taken) for taken in times]


class Counting:
    """Counts requests to the kernel, and the sockets it answers with."""

    def __init__(self) -> None:
        """Put itself before the real function."""
        self.real = _sockdiag.dump
        self.requests = self.sockets = 0
        _sockdiag.dump = self

    def __call__(self, *arguments):
        """Ask the kernel."""
        found = self.real(*arguments)
        self.requests += 1
        self.sockets += len(found)
        return found

    def close(self) -> None:
        """Give the function back."""
        _sockdiag.dump = self.real


def line(what: str, ms: float, ratio: float | None = None, budget: str = "") -> None:
    """Print one line of the table."""
    shown = "" if ratio is None else f"{ratio:8.2f}x"
    print(f"{what:<58}{ms:9.2f} ms {shown:>9}  {budget}")


def later(call: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    """Return *call* as something to await."""

    async def run() -> object:
        return call()

    return run


def rows(table: Sockets, columns: str) -> Callable[[], Awaitable[object]]:
    """Return what takes all rows of *table* itself, without SQL."""
    where = Where(frozenset(columns.split(", ")))
    return later(lambda: sum(1 for _ in table.rows(where)))


def netlink_alone() -> None:
    """Ask for all TCP sockets; make nothing of them."""
    with _sockdiag.connect() as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            _sockdiag.dump(netlink, family, socket.IPPROTO_TCP, _sockdiag.Filter())


async def measure(children: list[int]) -> None:
    """Print the table."""
    table = Sockets(Host())
    async with Database([table]) as db:

        def sql(columns: str, condition: str = "") -> Callable[[], Awaitable[object]]:
            where = f" WHERE {condition}" if condition else ""
            return lambda: db.execute(f"SELECT {columns} FROM sockets{where}")

        def first() -> Callable[[], Awaitable[object]]:
            async def run() -> None:
                table.__init__(table.host)
                await sql(COLUMNS)()

            return run

        rival = later(lambda: psutil.net_connections("inet"))
        everything = sql(COLUMNS)
        print(f"{len((await everything()).rows)} rows; psutil has {len(await rival())}")
        calls = {
            "first time, rows": later(lambda: sum(1 for _ in Sockets(Host()).rows(WHERE))),
            "first time, through SQL": first(),
            "asked again, rows": rows(table, COLUMNS),
            "asked again, through SQL": everything,
            "asked again, through SQL, 6 columns": sql(SIX),
            "asked again, through SQL, count(*)": sql("count(*), min(pid)"),
        }
        floor, *taken = await medians(rival, *calls.values())
        line("psutil.net_connections", floor)
        for what, ms in zip(calls, taken, strict=True):
            least = "1.7x" if what.startswith("first") else "5x"
            line(what, ms, floor / ms, f"budget: at least {least}")
        await selective(table, sql, children[0])


async def selective(table: Sockets, sql: Callable[..., Callable], pid: int) -> None:
    """Print what conditions and columns save."""
    before = table._source._proc._owners.scans
    unowned = sql(COLUMNS.replace("pid, ", ""))
    kernel, taken, again = await medians(later(netlink_alone), unowned, sql(COLUMNS))
    scans = table._source._proc._owners.scans - before
    line("netlink alone", kernel)
    line("without pid and process", taken, taken / again, f"of asked again; {scans} processes")
    count = Counting()
    listeners = sql("pid, local_port", "state = 'LISTEN'")
    found = len((await listeners()).rows)
    count.close()
    held = sql("local_port", f"pid = {pid}")
    none = sql("local_port", f"pid = {os.getppid()}")
    port, again, *taken = await medians(
        sql("pid", "local_port = 9"), sql(COLUMNS), listeners, held, none
    )
    line("state = 'LISTEN'", taken[0], taken[0] / again, "of asked again")
    print(f"    {found} rows; the kernel gave {count.sockets} in {count.requests} requests")
    line("local_port = 9", port, port / again, "of asked again")
    line("pid = (401 sockets)", taken[1], taken[1] / again, "of asked again")
    line("pid = (parent, no IP sockets)", taken[2], taken[2] / again, "of asked again")


def main() -> None:
    """Start the sockets, measure, end them."""
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    children = start()
    try:
        asyncio.run(measure(children))
    finally:
        stop(children)


if __name__ == "__main__":
    sys.exit(main())
