"""Processor time that one event costs, from the kernel to the ring, by source.

Run as root: ``python bench/bench_events.py [SOURCE ...]``. A burst of short
processes, or of connections, is made by another program while a table collects
with one of its sources; the time is that of this process alone, rows built.
The floor of a source does nothing but read what the kernel hands out. To add a
source, add a `Case`; a source that cannot work here is named with the reason.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zeek_agent_linux import _processes_tracefs, _sockets_tracefs
from zeek_agent_linux._procconnector import Connector
from zeek_agent_linux._tracefs import Instance
from zeek_agent_linux.processes_events import ProcessesEvents
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.events import Collector
from zeek_agent_core.host import Host
from zeek_agent_core.table import Evented, Where

PROGRAM = Path(__file__).parents[1] / "plugins/linux/tests/programs/actor.c"
AT_A_TIME = 8
QUIET_SECONDS = 2.5
"""The burst is over when nothing has come for that long."""
SETTLE_SECONDS, TRIES = 1.5, 6
EXECS, FORKS, CONNECTIONS = "exec", "fork", "tcp"
WITHOUT_PROC = ("time", "pid", "ppid", "uid", "gid", "state", "duration", "startup")
"""Columns that no source has to read from /proc."""

CONNECTION = (
    "time", "pid", "process", "uid", "protocol", "local_addr", "local_port", "remote_addr",
    "remote_port", "state", "direction", "duration", "seuid",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A source to measure: its table, its load, and what one query wants."""

    source: str
    table: type[Evented]
    load: str
    rows: float
    """Rows that each process or connection of the load gives."""
    count: int = 20_000
    columns: tuple[str, ...] = ()
    """What the query wants; all columns if empty."""
    budget: float | None = None
    """Microseconds for an event."""
    floor: Callable[[], Any] | None = None
    """Enters what hands out the events, and has `drain`."""
    note: str = ""


class ConnectorFloor(Connector):
    """Receives messages and looks at none."""

    def drain(self) -> None:
        """Read until nothing is left."""
        with suppress(BlockingIOError):
            while True:
                self._socket.recvfrom_into(self._buffer)


class TraceFloor:
    """Reads pages and looks at none."""

    def __init__(self, traced: Any) -> None:
        """Trace the events *traced*."""
        self._instance = Instance(Host(), "zeek-agent-bench", traced)

    def __enter__(self) -> Self:
        """Begin to trace."""
        self._instance.open()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._instance.close()

    def drain(self) -> None:
        """Read until nothing is left."""
        for file in self._instance._files.values():
            with suppress(BlockingIOError):
                while os.read(file, 4096):
                    pass


def trace_floor(traced: Any) -> Callable[[], TraceFloor]:
    """Return what makes a floor for the events *traced*."""
    return lambda: TraceFloor(traced)


CASES = (
    Case("BPF", ProcessesEvents, EXECS, 2, budget=8, note="all columns"),
    Case("BPF", SocketsEvents, CONNECTIONS, 4, budget=8, count=50_000, note="TCP, both ends"),
    Case("proc connector", ProcessesEvents, EXECS, 2, columns=WITHOUT_PROC, budget=12,
         floor=ConnectorFloor, note="without /proc"),
    Case("proc connector", ProcessesEvents, EXECS, 2, note="all columns"),
    Case("tracefs", ProcessesEvents, EXECS, 2, columns=WITHOUT_PROC, budget=12,
         floor=trace_floor(_processes_tracefs.TRACED), note="without /proc"),
    Case("tracefs", ProcessesEvents, EXECS, 2, note="all columns"),
    Case("tracefs", SocketsEvents, CONNECTIONS, 4, columns=CONNECTION, budget=12, count=50_000,
         floor=trace_floor(_sockets_tracefs.EVENTS), note="TCP, no bytes"),
    Case("tracefs", SocketsEvents, CONNECTIONS, 4, count=50_000, note="TCP, all columns"),
)  # fmt: skip


@contextmanager
def program() -> Iterator[str]:
    """Compile the program that makes the load."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/actor"
        command = ["gcc", "-O2", "-static", "-pthread", "-o", path, PROGRAM]
        subprocess.run(command, check=True)
        yield path


async def quiet(count: Callable[[], int]) -> None:
    """Wait until *count* has not changed for a while."""
    before = -1
    while before != count():
        before = count()
        await asyncio.sleep(QUIET_SECONDS)


async def burst(path: str, case: Case) -> int:
    """Make the load of *case*; return the process ID of what made it."""
    process = await asyncio.create_subprocess_exec(
        path, case.load, str(case.count), str(AT_A_TIME), stdout=subprocess.DEVNULL
    )
    await process.wait()
    return process.pid


async def measure(path: str, case: Case) -> str:
    """Return the line of a *case*."""
    host = Host(settings={case.table.name: {"source": case.source}})
    table = case.table(host)
    table.capacity = 500_000
    collector = Collector(table)
    where = Where(frozenset(case.columns)) if case.columns else table.everything()
    collector.read_by("bench", where)
    task = asyncio.create_task(collector.run())
    for _ in range(TRIES):
        await asyncio.sleep(SETTLE_SECONDS)
        if table.source is not None or collector.error:
            break
    if table.source is None:
        task.cancel()
        return f"cannot work here: {table.last_warning or collector.error}"
    before, began = collector.buffer.last, time.process_time()
    parent = await burst(path, case)
    await quiet(lambda: collector.buffer.last)
    used = time.process_time() - began
    rows = list(collector.buffer.rows(before))
    task.cancel()
    await asyncio.wait([task])
    return report(case, used, rows, parent, collector.losses)


def report(case: Case, used: float, rows: list[Any], parent: int, losses: Any) -> str:
    """Return what was found as a line."""
    each = used / len(rows) * 1e6 if rows else float("nan")
    expected = int(case.count * case.rows)
    own = [row for row in rows if is_own(row, parent)]
    told = f"budget {case.budget:g}" if case.budget else "no budget"
    return (
        f"{each:7.2f} us an event ({told}), {len(own)} of {expected} rows, "
        f"{len(rows) - len(own)} of others, lost: {losses or 'nothing'}"
    )


def is_own(row: Any, parent: int) -> bool:
    """Return whether *row* is of the load that the process *parent* made."""
    if "ppid" in row:
        return row["ppid"] == parent
    return row["local_addr"] == "127.0.0.1" and row["state"] in {"established", "closed"}


async def floor(path: str, case: Case) -> str:
    """Return what it costs just to read what the kernel hands out for a *case*."""
    with case.floor() as reader:
        began = time.process_time()
        work = asyncio.create_task(burst(path, case))
        while not work.done():
            await asyncio.sleep(0.1)
            reader.drain()
        reader.drain()
        used = time.process_time() - began
    return f"{used / case.count / case.rows * 1e6:7.2f} us an event"


def main() -> int:
    """Print a line for each case."""
    wanted = sys.argv[1:]
    with program() as path:
        for case in CASES:
            if wanted and case.source not in wanted:
                continue
            name = f"{case.table.name}, {case.source}, {case.note}"
            print(f"{name:<52}{asyncio.run(measure(path, case))}", flush=True)
            if case.floor is not None:
                print(f"{'  floor: read and look at nothing':<52}{asyncio.run(floor(path, case))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
