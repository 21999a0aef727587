"""``system_logs_events``: the journal of systemd, or else the kernel's log and syslog's files."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

from zeek_agent_core.api import Host, Marked, Row, Source, hookimpl
from zeek_agent_core.schema import system_logs_events
from zeek_agent_linux import _child, _entries, _journal, _journalctl
from zeek_agent_linux._bookmark import Bookmark
from zeek_agent_linux._journal import Start
from zeek_agent_linux._libsystemd import Journal

HOLD = 30.0
"""Seconds to wait at most for queries to read what they have, before more is given."""
BACK = 10
"""Entries before the end to begin with, where no place is known and that is asked for."""


class Kept(Source):
    """A source that moves the table's bookmark as its rows are read, and does not hurry."""

    table: "SystemLogsEvents"
    place: ClassVar[str]
    """Under which its bookmark is kept."""

    def __init__(self, table: "SystemLogsEvents") -> None:
        """Serve *table*."""
        super().__init__(table)
        self.plan = _entries.Plan((), ())
        self._given = self._read = 0
        self._was_read = asyncio.Event()
        self.wanted_changed()

    def wanted_changed(self) -> None:
        """Read no more than is wanted."""
        self.plan = _entries.Plan(self.table.wanted.columns, self.table.setting("fields"))

    def marked(self, rows: Sequence[Row], place: Any) -> Marked:
        """Return *rows* as they are to be yielded; *place* is up to where they reach."""
        self.table.bookmark.give(self.place, place)
        self._given += len(rows)
        return Marked(rows, (place, self._given))

    def was_read(self, mark: tuple[Any, int]) -> None:
        """Move the bookmark."""
        place, self._read = mark
        self._was_read.set()
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


class JournalSource(Kept):
    """The journal through systemd's library, woken by its descriptor."""

    name = "journal"
    place = "journal"
    _follower: _journal.Follower | None = None

    def check(self) -> None:
        """Raise `OSError` if there is no journal that can be read."""
        _journal.check(self.table.host.prefix, self.table.directory)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what is logged, from the bookmark on."""
        table = self.table
        async with table.kept_bookmark():
            start = table.start(self.place)
            self._follower = _journal.Follower(table.directory, start, self._row)
            self.wanted_changed()
            async with aclosing(self._follower.chunks()) as chunks:
                async for chunk in chunks:
                    table.lose("damaged", chunk.damaged)
                    if chunk.rows:
                        yield self.marked(chunk.rows, chunk.cursor)
                        await self.hold()
                    elif chunk.is_start:
                        yield ()

    def wanted_changed(self) -> None:
        """Let the journal leave out what no query wants, and read no more than is wanted."""
        super().wanted_changed()
        if self._follower is not None:
            self._follower.matches = _entries.matches(self.table.wanted)

    def _row(self, journal: Journal) -> Row:
        plan = self.plan
        row = plan.row(journal.get, journal.time())
        if plan.wants_more:
            row["fields"] = plan.more(journal.all())
        return row


class JournalctlSource(Kept):
    """The journal through `journalctl`, where the library does not work."""

    name = "journalctl"
    place = "journal"

    def check(self) -> None:
        """Raise `OSError` if there is no such program, or no journal that can be read."""
        _child.find("journalctl")
        _journal.check_files(self.table.host.prefix, self.table.directory)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what is logged, from the bookmark on."""
        table = self.table
        async with table.kept_bookmark():
            start = table.start(self.place)
            everything = _entries.Plan(table.everything().columns, table.setting("fields"))
            arguments = _journalctl.arguments(table.directory, start, everything)
            reader = _journalctl.Reader(start)
            async with _child.running("journalctl", arguments) as child:
                yield ()
                while True:
                    rows, cursor = reader.read(await child.read(), table.wanted, self.plan)
                    if rows:
                        yield self.marked(rows, cursor)
                        await self.hold()


class SystemLogsEvents(system_logs_events.SystemLogsEvents):  # noqa: D101 - as declared
    sources = (JournalSource, JournalctlSource)

    def __init__(self, host: Host) -> None:
        """Bind the table to *host*."""
        super().__init__(host)
        self.bookmark = Bookmark(host.agent.state, self.name, self.warn)

    @property
    def directory(self) -> str:
        """Where the journal's files are; empty: where the host has them."""
        return str(self.setting("directory"))

    def start(self, place: str) -> Start:
        """Return where to begin in the journal, by the bookmark *place*."""
        cursor = self.bookmark.place(place)
        earliest = int((time.time() - self.setting("catch_up")) * 1e6)
        back = BACK if self.setting("initial") else 0
        return Start(cursor if isinstance(cursor, str) else None, earliest, back)

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
