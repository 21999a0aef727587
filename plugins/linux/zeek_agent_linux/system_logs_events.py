"""``system_logs_events``: the journal of systemd, or else the kernel's log and syslog's files."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from zeek_agent_core.api import Host, Marked, Row, Source, hookimpl
from zeek_agent_core.schema import system_logs_events
from zeek_agent_linux import _entries, _journal
from zeek_agent_linux._bookmark import Bookmark
from zeek_agent_linux._libsystemd import Journal

HOLD = 30.0
"""Seconds to wait at most for queries to read what they have, before more is given."""


class JournalSource(Source):
    """The journal through systemd's library, woken by its descriptor."""

    name = "journal"
    table: "SystemLogsEvents"

    def __init__(self, table: "SystemLogsEvents") -> None:
        """Serve *table*."""
        super().__init__(table)
        self._plan = _entries.Plan((), ())
        self._follower: _journal.Follower
        self._given = self._read = 0
        self._was_read = asyncio.Event()

    def check(self) -> None:
        """Raise `OSError` if there is no journal that can be read."""
        _journal.check(self.table.host.prefix, self.table.directory)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what is logged, from the bookmark on."""
        table = self.table
        async with table.kept_bookmark():
            self._follower = _journal.Follower(table.directory, table.start(), self._row)
            self.wanted_changed()
            async with aclosing(self._follower.chunks()) as chunks:
                async for chunk in chunks:
                    table.lose("damaged", chunk.damaged)
                    if chunk.cursor is not None:
                        table.bookmark.give("journal", chunk.cursor)
                    if chunk.rows:
                        self._given += len(chunk.rows)
                        yield Marked(chunk.rows, (chunk.cursor, self._given))
                        await self._hold()
                    elif not self._given:
                        yield ()

    def wanted_changed(self) -> None:
        """Let the journal leave out what no query wants, and read no more than is wanted."""
        wanted = self.table.wanted
        self._plan = _entries.Plan(wanted.columns, self.table.setting("fields"))
        self._follower.matches = _entries.matches(wanted)

    def was_read(self, mark: tuple[str | None, int]) -> None:
        """Move the bookmark."""
        cursor, self._read = mark
        self._was_read.set()
        if cursor is not None:
            self.table.bookmark.was_read("journal", cursor)

    async def _hold(self) -> None:
        """Wait while queries have much to read: the journal keeps the rest, we could not."""
        most = self.table.capacity // 2
        try:
            async with asyncio.timeout(HOLD):
                while self._given - self._read > most:
                    self._was_read.clear()
                    await self._was_read.wait()
        except TimeoutError:
            self._read = self._given  # nobody reads: do not wait for them again

    def _row(self, journal: Journal) -> Row:
        plan = self._plan
        row = plan.row(journal.get, journal.time())
        if plan.wants_extra:
            row["fields"] = plan.extra(journal.all())
        return row


class SystemLogsEvents(system_logs_events.SystemLogsEvents):
    sources = (JournalSource,)

    def __init__(self, host: Host) -> None:
        """Bind the table to *host*."""
        super().__init__(host)
        self.bookmark = Bookmark(host.agent.state, self.name, self.warn)

    @property
    def directory(self) -> str:
        """Where the journal's files are; empty: where the host has them."""
        return str(self.setting("directory"))

    def start(self) -> _journal.Start:
        """Return where to begin in the journal."""
        cursor = self.bookmark.place("journal")
        earliest = int((time.time() - self.setting("catch_up")) * 1e6)
        back = _journal.BACK if self.setting("initial") else 0
        return _journal.Start(cursor if isinstance(cursor, str) else None, earliest, back)

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


@hookimpl
def zeek_agent_tables(host: Host) -> list[SystemLogsEvents]:
    """Offer the table."""
    return [SystemLogsEvents(host)]
