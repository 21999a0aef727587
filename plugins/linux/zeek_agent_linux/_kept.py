"""Tables and sources that remember how far every query has read a log."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from zeek_agent_core.api import Host, Marked, Row, Source, Sourced
from zeek_agent_linux._bookmark import Bookmark
from zeek_agent_linux._journal import Start, sequence

HOLD = 120.0
"""Seconds to wait at most for queries to read what they have, before more is given."""


class KeptTable(Sourced):
    """A table with a bookmark; its settings have `catch_up`."""

    def __init__(self, host: Host) -> None:
        """Bind the table to *host*."""
        super().__init__(host)
        self.bookmark = Bookmark(host.agent.state, self.name, self.warn)

    @asynccontextmanager
    async def kept_bookmark(self) -> AsyncIterator[None]:
        """Have the bookmark open; at an end that is wanted, forget what nobody has read."""
        await self.bookmark.open()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.bookmark.rewind()
            raise
        finally:
            await self.bookmark.aclose()

    @property
    def earliest(self) -> int:
        """Before which nothing is of interest any more, in µs since the epoch."""
        return int((time.time() - self.setting("catch_up")) * 1e6)

    def start(self, cursor: object, back: int = 0) -> Start:
        """Return where to begin in the journal: at *cursor*, or so many entries *back*."""
        if not isinstance(cursor, str) or sequence(cursor) is None:
            return Start(None, self.earliest, back)
        return Start(cursor, self.earliest, back)


class Kept(Source):
    """A source that moves the table's bookmark as its rows are read, and does not hurry.

    The bookmark is kept under the source's `place`.
    """

    table: KeptTable

    def __init__(self, table: KeptTable) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._given = self._read = 0
        self._was_read = asyncio.Event()

    async def begin(self, place: Any) -> None:
        """Set the bookmark to *place*, where reading begins, if there is none."""
        if place is not None and self.table.bookmark.place(self.place) is None:
            await self.table.bookmark.begin(self.place, place)

    def marked(self, rows: Sequence[Row], place: Any) -> Marked:
        """Return *rows* as they are to be yielded; *place* is up to where they reach."""
        if place is not None:
            self.table.bookmark.give(self.place, place)
        self._given += len(rows)
        return Marked(rows, (place, self._given))

    def was_read(self, mark: tuple[Any, int]) -> None:
        """Move the bookmark."""
        place, self._read = mark
        self._was_read.set()
        if place is not None:
            self.table.bookmark.was_read(self.place, place)

    async def hold(self) -> None:
        """Wait while queries have much to read: the log keeps the rest, we could not."""
        most = self.table.capacity // 2
        try:
            async with asyncio.timeout(HOLD):
                while self._given - self._read > most:
                    self._was_read.clear()
                    await self._was_read.wait()
        except TimeoutError:
            self._read = self._given  # nobody reads: do not wait for them again
