"""Processor time that one program executed costs by way of the kernel's auditing.

Run as root, on a host without an audit daemon: ``python bench/bench_audit.py``.
The budget is 60 us for an exec, rows built, none of 20,000 lost. The floor
reads the messages that the kernel sends, some seven for an exec, and looks at
none. The last lines are what auditing costs those who are audited.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench_events import AT_A_TIME, EXECS, SETTLE_SECONDS, quiet
from zeek_agent_linux._audit.interest import Interest
from zeek_agent_linux._audit.modes import NetlinkMode, machine
from zeek_agent_linux._audit.rules import EQUAL, UID
from zeek_agent_linux._audit.syscalls import EXEC
from zeek_agent_linux.process_events import ProcessEvents
from zeek_agent_linux.processes_events import ProcessesEvents

from zeek_agent_core.events import Collector
from zeek_agent_core.host import Host
from zeek_agent_core.table import Evented, Where

COUNT = 20_000
SCRATCH = 61_234
"""A user that nobody is: what else happens on the host is not measured."""
BUDGET = 60.0
SOURCE = Path(__file__).parents[1] / "plugins/linux/tests/programs/actor.c"


@contextmanager
def program() -> Iterator[str]:
    """Compile the program that makes the load, where the scratch user can execute it."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = f"{directory}/actor"
        subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", path, SOURCE], check=True)
        yield path


def table_of(kind: type[Evented]) -> Evented:
    """Return a table with auditing as its source, at its default bounds."""
    return kind(Host(settings={"processes_events": {"source": "audit"}}))


async def burst(path: str) -> float:
    """Execute a program `COUNT` times; return how long that took."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        path, EXECS, str(COUNT), str(AT_A_TIME), stdout=subprocess.DEVNULL, user=SCRATCH
    )
    await process.wait()
    return time.monotonic() - began


async def measure(path: str, kind: type[Evented], allowed: Mapping[str, Any]) -> str:
    """Return what an exec costs a table of which queries want *allowed*."""
    table = table_of(kind)
    collector = Collector(table)
    ours = {**allowed, "uid": frozenset({SCRATCH})}
    collector.read_by("bench", Where(table.everything().columns, allowed=ours))
    task = asyncio.create_task(collector.run())
    await asyncio.sleep(SETTLE_SECONDS)
    before, began = collector.buffer.last, time.process_time()
    took = await burst(path)
    await quiet(lambda: collector.buffer.last)
    used = time.process_time() - began
    rows = [row for row in collector.buffer.rows(before) if is_burst(row, path)]
    task.cancel()
    await asyncio.wait([task])
    return (
        f"{used / COUNT * 1e6:7.2f} us an exec (budget {BUDGET:g}), {len(rows)} of {COUNT} told, "
        f"{COUNT / took:.0f} a second, lost: {collector.losses or 'nothing'}"
    )


def is_burst(row: Any, path: str) -> bool:
    """Return whether *row* is an exec of the burst's child."""
    is_exec = row.get("syscall") == "execve" or row.get("state") == "started"
    return is_exec and row["exe"] == path and EXECS not in (row.get("cmdline") or "")


async def floor(path: str) -> str:
    """Return what it costs just to receive what the kernel sends."""
    mode = NetlinkMode(Host())
    mode.open()
    try:
        mode.keeper.load(Interest(EXEC, (((UID, EQUAL, SCRATCH),),)).rules(machine()))
        began = time.process_time()
        work = asyncio.create_task(burst(path))
        while not work.done():
            await asyncio.sleep(0.1)
            receive(mode)
        receive(mode)
        used = time.process_time() - began
    finally:
        mode.close()
    return f"{used / COUNT * 1e6:7.2f} us an exec, {COUNT / work.result():.0f} a second"


def receive(mode: NetlinkMode) -> None:
    """Read until nothing is left."""
    buffer = bytearray(16384)
    with suppress(BlockingIOError):
        while True:
            mode.stream.socket.recvfrom_into(buffer)


async def bare(path: str) -> str:
    """Return how fast programs are executed where nobody looks."""
    return f"{COUNT / await burst(path):.0f} a second"


def main() -> int:
    """Print a line for each way to read."""
    with program() as path:
        print(f"{'nobody looks':<44}{asyncio.run(bare(path))}")
        print(f"{'floor: receive and look at nothing':<44}{asyncio.run(floor(path))}")
        execve: Mapping[str, Any] = {"syscall": frozenset({"execve"})}
        started = {"state": frozenset({"started"})}
        for kind, allowed, note in (
            (ProcessEvents, execve, "execve alone"),
            (ProcessEvents, {}, "with the forks"),
            (ProcessesEvents, started, "started"),
            (ProcessesEvents, {}, "started and stopped"),
        ):
            name = f"{kind.name}, {note}"
            print(f"{name:<44}{asyncio.run(measure(path, kind, allowed))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
