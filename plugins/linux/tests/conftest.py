"""What tests of evented tables share: a program that does things, and what watches it."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import pytest
from hypothesis import settings

from zeek_agent_core.events import Collector
from zeek_agent_core.table import Evented

PATIENCE = 50.0
"""Seconds after which what should be there is missing."""

settings.register_profile("agent", deadline=None)  # time is measured by benchmarks, not by tests
settings.load_profile("agent")


@pytest.fixture(scope="session")
def actor() -> Iterator[str]:
    """Return the path of a small static program; see its source for what it does."""
    source = Path(__file__).parent / "programs/actor.c"
    with TemporaryDirectory(prefix="zeek-agent-") as directory:
        Path(directory).chmod(0o755)  # other users execute it as well
        path = f"{directory}/actor"
        command = ["gcc", "-O2", "-static", "-pthread", "-o", path, str(source)]
        subprocess.run(command, check=True)
        yield path


@dataclass
class Watch:
    """A table that collects."""

    table: Evented
    collector: Collector

    def rows(self, **values) -> list[dict]:
        """Return the rows that have these *values*, in the order they came."""
        wanted = values.items()
        return [dict(row) for row in self.collector.buffer.rows(0) if wanted <= row.items()]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* is true; fail if it is not after a while."""
        async with asyncio.timeout(PATIENCE):
            while True:
                began = monotonic()
                if condition():
                    return
                await asyncio.sleep(max(0.02, 5 * (monotonic() - began)))

    async def count(self, number: int, **values) -> list[dict]:
        """Wait for so many rows that have these *values*, and a moment for more; return all."""
        await self.until(lambda: len(self.rows(**values)) >= number)
        await asyncio.sleep(0.15)
        return self.rows(**values)


@pytest.fixture
def watch(host, monkeypatch):
    """Return a context manager that collects from a table with one of its sources."""
    for module in ("_processes_polling", "_sockets_polling"):
        # Look as often as the settings say, however busy the machine is.
        monkeypatch.setattr(f"zeek_agent_linux.{module}.SHARE", 0)

    @asynccontextmanager
    async def run(kind, source, wanted=None, **keys):
        table = kind(host("/", **{kind.name: {"source": source, **keys}}))
        table.capacity = 1_000_000
        collector = Collector(table)
        collector.read_by("test", wanted)
        task = asyncio.create_task(collector.run(), name="watch")
        watched = Watch(table, collector)
        try:
            await watched.until(lambda: table.source is not None or collector.error)
            assert collector.error is None
            yield watched
        finally:
            task.cancel()
            await asyncio.wait([task])

    return run


@pytest.fixture
def act(actor):
    """Return what runs the program and returns its process ID, status and output."""

    async def run(*arguments: object, **options) -> tuple[int, int, str]:
        process = await asyncio.create_subprocess_exec(
            actor, *map(str, arguments), stdout=subprocess.PIPE, **options
        )
        output, _ = await process.communicate()
        return process.pid, process.returncode, output.decode()

    return run
