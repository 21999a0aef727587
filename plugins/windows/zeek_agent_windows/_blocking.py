"""Sources that wait for the system in a thread of their own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from zeek_agent_core.api import Row, Source

WAIT = 0.3
"""Seconds that a read waits at most: after that it can be ended."""


class Reader(Protocol):
    """Something that is opened, read and closed in one thread; all of it may block."""

    def open(self) -> None:
        """Begin; raise `OSError` if that is impossible."""

    def read(self, seconds: float) -> Sequence[Any]:
        """Return what has come, after *seconds* if nothing has."""

    def close(self) -> None:
        """Let go of everything, opened or not."""


class BlockingSource(Source):
    """Reads from a `Reader`, and makes rows of what it gives."""

    def reader(self) -> Reader:
        """Return what is read."""
        raise NotImplementedError

    def rows(self, items: Sequence[Any]) -> Sequence[Row]:
        """Return the rows of what was read; runs in the thread as well."""
        raise NotImplementedError

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield rows; the reader is closed with this generator."""
        run = asyncio.get_running_loop().run_in_executor
        thread = ThreadPoolExecutor(1, f"source {self.name}")
        reader = self.reader()
        try:
            await run(thread, reader.open)
            yield []
            while True:
                rows = await run(thread, partial(self._read, reader))
                if rows:
                    yield rows
        finally:
            await asyncio.shield(run(thread, reader.close))
            thread.shutdown(wait=False)

    def _read(self, reader: Reader) -> Sequence[Row]:
        items = reader.read(WAIT)
        return self.rows(items) if items else ()
