"""Compare ``processes`` and ``sockets`` through BPF with C, ``/proc``, netlink and psutil.

Run as root: ``python bench/bench_bpf.py``. Times are those of the processor, in
program and kernel. All runs of one line are made in turns; figures are medians,
so that other work on the machine falls on all sides.
"""

import asyncio
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from bench_processes import COLUMNS
from bench_sockets import COLUMNS as SOCKET_COLUMNS
from bench_sockets import start, stop
from zeek_agent_linux.processes import Processes
from zeek_agent_linux.sockets import Sockets

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Where

PROCESSES = 5000
REPEATS = 9


@contextmanager
def compiled() -> Iterator[str]:
    """Compile the program in C."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/procfloor"
        source = Path(__file__).with_name("procfloor.c")
        subprocess.run(["gcc", "-O2", "-o", path, source], check=True)
        yield path


@contextmanager
def sleepers(path: str, count: int) -> Iterator[None]:
    """Have *count* processes that sleep."""
    with subprocess.Popen(
        [path, "fork", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield
        process.stdin.close()


def in_c(path: str) -> float:
    """Return the milliseconds of the processor that the program in C needs."""
    done = subprocess.run([path, "read", "1"], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1e3


def line(what: str, ms: float, count: int, floor: float | None = None, budget: str = "") -> None:
    """Print one line of the table."""
    ratio = "" if floor is None else f"{floor / ms:6.2f}x faster"
    print(f"{what:<46}{ms:9.2f} ms {ms / count * 1e3:7.2f} us each {ratio:>15}  {budget}")


async def medians(*calls: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of each call, run in turns; a call may return its own."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS):
        for call, taken in zip(calls, times, strict=True):
            began = time.process_time()
            result = call()
            if asyncio.iscoroutine(result):
                await result
            took = (time.process_time() - began) * 1e3
            taken.append(result if isinstance(result, float) else took)
    return [statistics.median(taken) for taken in times]


async def processes(path: str) -> None:
    """Print the lines about processes."""
    statement = f"SELECT {COLUMNS} FROM processes"
    texts = f"SELECT {COLUMNS}, exe, cwd, cmdline FROM processes"
    with sleepers(path, PROCESSES):
        async with (
            Database([Processes(Host())]) as bpf,
            Database([Processes(Host(uses_bpf=False))]) as proc,
        ):
            count = len((await bpf.execute(statement)).rows)
            print(f"{count} processes")
            floor, fast, slow = await medians(
                lambda: in_c(path), lambda: bpf.execute(statement), lambda: proc.execute(statement)
            )
            line("C: open, read, close stat and status", floor, count)
            line("SQL, 13 columns, BPF", fast, count, floor, "budget: at least 4x")
            line("SQL, 13 columns, /proc", slow, count, floor)
            fast, slow = await medians(lambda: bpf.execute(texts), lambda: proc.execute(texts))
            line("SQL, and exe, cwd, cmdline, /proc", slow, count)
            line("SQL, and exe, cwd, cmdline, BPF", fast, count, slow)


@contextmanager
def unaccepted() -> Iterator[None]:
    """Have a connection that waits to be accepted: then each socket has to be looked at."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        yield


async def sockets() -> None:
    """Print the lines about sockets."""
    statement = f"SELECT {SOCKET_COLUMNS} FROM sockets"
    children = start()
    try:
        table = Sockets(Host())
        async with (
            Database([table]) as bpf,
            Database([Sockets(Host(uses_bpf=False))]) as proc,
        ):
            count = len((await bpf.execute(statement)).rows)
            print(f"{count} sockets")
            where = Where(frozenset(SOCKET_COLUMNS.split(", ")))
            rival, rows, fast, slow = await medians(
                lambda: len(psutil.net_connections("inet")),
                lambda: sum(1 for _ in table.rows(where)),
                lambda: bpf.execute(statement),
                lambda: proc.execute(statement),
            )
            line("psutil.net_connections", rival, count)
            line("rows, 8 columns, BPF", rows, count, rival, "budget: at least 8x")
            line("SQL, 8 columns, BPF", fast, count, rival, "budget: at least 8x")
            line("SQL, 8 columns, netlink, asked again", slow, count, rival)
            with unaccepted():
                rival, fast = await medians(
                    lambda: len(psutil.net_connections("inet")), lambda: bpf.execute(statement)
                )
            line("SQL, 8 columns, BPF, a connection waits", fast, count, rival)
    finally:
        stop(children)


def main() -> int:
    """Print the table."""
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 0
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    with compiled() as path:
        asyncio.run(processes(path))
    asyncio.run(sockets())
    return 0


if __name__ == "__main__":
    sys.exit(main())
