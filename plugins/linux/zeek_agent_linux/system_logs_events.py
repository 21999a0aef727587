"""``system_logs_events``: the journal of systemd, or else the kernel's log and syslog's files."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, hookimpl
from zeek_agent_core.schema import system_logs_events
from zeek_agent_linux import _child, _entries, _journal, _journalctl, _syslogfiles
from zeek_agent_linux._kept import Kept, KeptTable
from zeek_agent_linux._libsystemd import Journal
from zeek_agent_linux._readable import Readable

COALESCE = 0.1
"""Seconds for which what comes to files is gathered."""
BACK = 10
"""Entries before the end to begin with, where no place is known and that is asked for."""


class LogSource(Kept):
    """What the sources of the table share."""

    table: "SystemLogsEvents"

    def plan(self) -> _entries.Plan:
        """Return what to read of an entry of the journal at present."""
        return _entries.Plan(self.table.wanted.columns, self.table.setting("fields"))


class JournalSource(LogSource):
    """The journal through systemd's library, woken by its descriptor."""

    name = "journal"
    place = "journal"
    _follower: _journal.Follower | None = None
    _plan: _entries.Plan

    def check(self) -> None:
        """Raise `OSError` if there is no journal that can be read."""
        _journal.check(self.table.host.prefix, self.table.directory)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what is logged, from the bookmark on."""
        table = self.table
        async with table.kept_bookmark():
            start = table.start(table.bookmark.place(self.place), table.back)
            self._follower = _journal.Follower(table.directory, start, self._row)
            self.wanted_changed()
            async with aclosing(self._follower.chunks()) as chunks:
                async for chunk in chunks:
                    table.lose("damaged", chunk.damaged)
                    table.lose("deleted", chunk.missing)
                    if chunk.rows:
                        yield self.marked(chunk.rows, chunk.cursor)
                        await self.hold()
                    elif chunk.is_start:
                        await self.begin(chunk.cursor)
                        yield ()

    def wanted_changed(self) -> None:
        """Let the journal leave out what no query wants, and read no more than is wanted."""
        self._plan = self.plan()
        if self._follower is not None:
            self._follower.matches = _entries.matches(self.table.wanted)

    def _row(self, journal: Journal) -> Row:
        plan = self._plan
        row: dict[str, Any] = {"time": journal.time()}
        journal.fill(row, plan.steps)
        if plan.wants_more:
            row["fields"] = plan.more(journal.all())
        return row


class JournalctlSource(LogSource):
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
            start = await self._start()
            everything = _entries.Plan(table.everything().columns, table.setting("fields"))
            arguments = _journalctl.arguments(table.directory, start, everything)
            reader = _journalctl.Reader(start)
            async with _child.running("journalctl", arguments) as child:
                await self.begin(start.cursor)
                yield ()
                while True:
                    rows, cursor = reader.read(await child.read(), table.wanted, self.plan())
                    if rows:
                        yield self.marked(rows, cursor)
                        await self.hold()

    async def _start(self) -> _journal.Start:
        """Return where to begin, by a cursor: what comes while the child starts is not missed."""
        start = self.table.start(self.table.bookmark.place(self.place), self.table.back)
        if start.cursor is None:
            count = start.back + 1
            arguments = _journalctl.newest(self.table.directory, count)
            async with _child.running("journalctl", arguments) as child:
                start.cursor = _journalctl.first_cursor(await child.read_all(), count)
        return start


class SyslogSource(LogSource):
    """The kernel's log and the files of syslog, where there is no journal."""

    name = "syslog"
    place = "syslog"

    def check(self) -> None:
        """Raise `OSError` if there is nothing to read."""
        _syslogfiles.check(self.table.host.prefix, self.table.setting("files"))

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what is logged, from the bookmark on."""
        table = self.table
        logs = _syslogfiles.SyslogFiles(table.host.prefix, table.setting("files"))
        async with table.kept_bookmark():
            with logs:
                await asyncio.to_thread(logs.start, table.bookmark.place(self.place))
                if logs.problem is not None:
                    table.warn(logs.problem)
                await self.begin(logs.place())
                yield ()
                ready = Readable(logs.descriptors())
                while True:
                    batch = await asyncio.to_thread(logs.read)
                    table.lose("kernel", batch.lost)
                    table.lose("damaged", batch.damaged)
                    if batch.rows:
                        yield self.marked(batch.rows, logs.place())
                        await self.hold()
                    if not batch.count:
                        await ready.wait(0)
                        await asyncio.sleep(COALESCE)


class SystemLogsEvents(KeptTable, system_logs_events.SystemLogsEvents):  # noqa: D101 - as declared
    origin = Origin(
        source="the journal; `journalctl -o export`; `/dev/kmsg` and files of syslog",
        needs="root, or a group that may read the journal",
        verified="tests with a real journald",
    )
    __doc__ = system_logs_events.SystemLogsEvents.__doc__
    sources = (JournalSource, JournalctlSource, SyslogSource)

    @property
    def directory(self) -> str:
        """Where the journal's files are; empty: where the host has them."""
        return str(self.setting("directory"))

    @property
    def back(self) -> int:
        """How many messages that are there already to begin with."""
        return BACK if self.setting("initial") else 0


@hookimpl
def zeek_agent_tables(host: Host) -> list[SystemLogsEvents]:
    """Offer the table."""
    return [SystemLogsEvents(host)]
