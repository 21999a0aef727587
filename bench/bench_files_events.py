"""CPU of ``files_events`` for each event, against a reader that only reads.

Run as root: ``python bench/bench_files_events.py``. A process of its own makes,
writes, closes and deletes 20,000 files on a tmpfs, for each way to hear of it:
a bare reader, which wakes as often and throws everything away, and the table up
to its ring.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from zeek_agent_linux import _fanotify, _inotifier, _inotify
from zeek_agent_linux._readiness import Readiness
from zeek_agent_linux.files_events import WINDOW, FilesEvents

from zeek_agent_core.events import Collector
from zeek_agent_core.host import Host

CYCLES = 20_000
PAUSE = 0.02


def work(directory: Path) -> None:
    """Make, write, close and delete files."""
    for number in range(CYCLES):
        path = f"{directory}/{number % 100}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.write(file, b"x")
        os.close(file)
        os.unlink(path)  # noqa: PTH108 - as quick as can be


async def working(directory: Path) -> None:
    """Let another process do the work."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    code += f"from bench_files_events import work; work({str(directory)!r})"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await child.wait()
    await asyncio.sleep(3 * WINDOW)


async def bare(directory: Path, source: str) -> tuple[float, int, int]:
    """Return the CPU of a reader that counts events, how many there were, and overflows."""
    made = {"fanotify": _fanotify.Fanotify, "inotify": _inotifier.InotifyNotifier}[source]()
    parse = {"fanotify": _fanotify.parse, "inotify": _inotify.parse}[source]
    overflow = {"fanotify": _fanotify.Q_OVERFLOW, "inotify": _inotify.OVERFLOW}[source]
    events = overflows = 0
    with made, Readiness(made.fileno()) as ready:
        made.add(str(directory), is_passage=False)

        async def read() -> None:
            nonlocal events, overflows
            while True:
                await ready.wait()
                await asyncio.sleep(PAUSE)
                try:
                    while data := os.read(made.fileno(), 1 << 18):
                        for event in parse(data):
                            events += 1
                            overflows += bool(event.mask & overflow)
                except BlockingIOError:
                    pass

        task = asyncio.create_task(read())
        cpu = time.process_time()
        await working(directory)
        cpu = time.process_time() - cpu
        task.cancel()
        await asyncio.wait([task])
    return cpu, events, overflows


async def table(directory: Path, source: str) -> tuple[float, int, int, dict]:
    """Return the CPU of the table, how many events its rows stand for, rows, and losses."""
    settings = {"source": source, "paths": (str(directory),)}
    files = FilesEvents(Host(settings={"files_events": settings}))
    collector = Collector(files)
    task = asyncio.create_task(collector.run())
    while files.source is None:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    cpu = time.process_time()
    await working(directory)
    cpu = time.process_time() - cpu
    rows = list(collector.buffer.rows(0))
    task.cancel()
    await asyncio.wait([task])
    return cpu, sum(row["count"] for row in rows), len(rows), collector.losses


async def measure(directory: Path) -> None:
    """Print the table."""
    for source in ("fanotify", "inotify"):
        floor, events, overflows = await bare(directory, source)
        print(
            f"{source:<9} bare reader {events:8} events {floor / events * 1e6:7.2f} us CPU an event"
            f", {floor / CYCLES * 1e6:7.2f} us a file; overflows {overflows}"
        )
        cpu, count, rows, losses = await table(directory, source)
        print(
            f"{source:<9} table {count:14} changes {cpu / count * 1e6:6.2f} us CPU a change"
            f", {cpu / CYCLES * 1e6:7.2f} us a file, {cpu / floor:5.2f}x the bare reader"
            f"; {rows} rows, lost {losses or 'nothing'}"
        )


async def main() -> None:
    """Measure on a file system of its own."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subprocess.run(["mount", "-t", "tmpfs", "bench", str(directory)], check=True)  # noqa: ASYNC221
        stack.callback(subprocess.run, ["umount", "--lazy", str(directory)], check=True)
        await measure(directory)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("skipped: needs root")
    asyncio.run(main())
