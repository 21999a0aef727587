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

PROCESSES = 50
PAIRS = 200
"""TCP connections with both ends in one process: 50 * 200 * 2 sockets."""
REPEATS = 9
COLUMNS = "pid, family, protocol, local_addr, local_port, remote_addr, remote_port, state"


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


async def measure(children: list[int]) -> None:
    """Print the table."""
    table = Sockets(Host())
    everything = f"SELECT {COLUMNS} FROM sockets"
    async with Database([table]) as db:

        async def psutil_all() -> int:
            return len(psutil.net_connections("inet"))

        async def warm() -> int:
            return len((await db.execute(everything)).rows)

        async def cold() -> int:
            table.__init__(table.host)
            return len((await db.execute(everything)).rows)

        def sql(statement: str) -> Callable[[], Awaitable[int]]:
            async def run() -> int:
                return len((await db.execute(statement)).rows)

            return run

        async def netlink_only() -> int:
            with _sockdiag.connect() as netlink:
                return sum(
                    len(_sockdiag.dump(netlink, family, 6, _sockdiag.Filter()))
                    for family in (socket.AF_INET, socket.AF_INET6)
                )

        print(f"{await warm()} rows; psutil has {await psutil_all()}")
        floor, first = await medians(psutil_all, cold)
        line("psutil.net_connections", floor)
        line("first time", first, floor / first, "budget: at least 1.7x")
        floor, again = await medians(psutil_all, warm)
        line("psutil.net_connections", floor)
        line("asked again", again, floor / again, "budget: at least 5x")
        process = sql(f"SELECT process, {COLUMNS} FROM sockets")
        floor, named = await medians(psutil_all, process)
        line("asked again, with names", named, floor / named)
        before = table._source._owners.scans
        bare = everything.replace("pid, ", "")
        kernel, unowned, again = await medians(netlink_only, sql(bare), warm)
        scans = table._source._owners.scans - before
        line("netlink alone", kernel)
        line("without pid and process", unowned, unowned / again, f"of asked again; {scans} scans")
        count = Counting()
        listeners = "SELECT pid, local_port FROM sockets WHERE state = 'LISTEN'"
        rows = await sql(listeners)()
        count.close()
        taken = (await medians(sql(listeners)))[0]
        line("state = 'LISTEN'", taken, taken / again, "of asked again")
        print(f"    {rows} rows; the kernel gave {count.sockets} in {count.requests} requests")
        (one, none, again) = await medians(
            sql(f"SELECT local_port FROM sockets WHERE pid = {children[0]}"),
            sql(f"SELECT local_port FROM sockets WHERE pid = {os.getppid()}"),
            warm,
        )
        line("pid = (401 sockets)", one, one / again, "of asked again")
        line("pid = (parent, no IP sockets)", none, none / again, "of asked again")


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
