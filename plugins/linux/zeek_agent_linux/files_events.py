"""``files_events``: what happens to files, from fanotify, inotify or by looking again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from zeek_agent_core.api import ConfigError, Host, Origin, ParameterError, Row, Source, hookimpl
from zeek_agent_core.files.patterns import parse_pattern
from zeek_agent_core.schema import files_events
from zeek_agent_linux import _actors, _fanotify, _inotifier, _rescan, _trees
from zeek_agent_linux._changes import Tally
from zeek_agent_linux._filewatch import FileWatch
from zeek_agent_linux._following import Following
from zeek_agent_linux._happenings import Notifier
from zeek_agent_linux._readable import Readable

WINDOW = 0.1
"""Seconds for which events are put together."""
LATE_SECONDS = 0.3
"""After which it is known who a process was that is gone."""
AT_ONCE = 2000
"""Rows that are given at one time."""
MOST_TOLD = 100
"""Different warnings that are given."""


class WatchSource(Source):
    """Watches directories through a notifier."""

    table: "FilesEvents"
    notifier: ClassVar[Callable[[], Notifier]]
    tells_process: ClassVar[bool] = False
    """Whether the kernel tells which process it was."""
    _ready: Readable | None = None
    _is_changed = False

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to files."""
        table = self.table
        root = table.host.prefix
        notifier = type(self).notifier()
        async with AsyncExitStack() as held:
            held.enter_context(notifier)
            files = FileWatch(notifier, root, table.setting("paths"), table.setting("max_watches"))
            await asyncio.to_thread(files.plan, self._overlaps())
            self._warn(files)
            yield ()
            if self.tells_process:
                await held.enter_async_context(Following(table.host))
            ready = Readable([notifier.fileno()])
            self._ready = ready
            while True:
                if not self._is_changed:
                    await files.wait(ready, WINDOW)
                tally = await files.gather(ready, WINDOW)
                if self._is_changed or files.is_stale:
                    is_news, self._is_changed = files.is_stale, False
                    plan = partial(files.plan, self._overlaps(), is_news=is_news)
                    tally.extend(await asyncio.to_thread(plan))
                self._warn(files)
                table.lose("kernel", files.overflows)
                files.overflows = 0
                if tally.has_unknown:
                    await asyncio.sleep(LATE_SECONDS)
                    tally.name(_actors.remembered)
                rows = table.rows_of(tally)
                for start in range(0, len(rows), AT_ONCE):
                    yield rows[start : start + AT_ONCE]

    def wanted_changed(self) -> None:
        """Watch what is wanted now."""
        self._is_changed = True
        if self._ready is not None:
            self._ready.wake()

    def _overlaps(self) -> _trees.Overlaps:
        return _trees.overlapping(self.table.wanted)

    def _warn(self, files: FileWatch) -> None:
        """Say what is not watched, once."""
        watches = files.watches
        if watches.is_full:
            self.table.tell(
                f"{len(watches)} directories are watched and no more: raise max_watches in "
                "[tables.files_events] (and fs.inotify.max_user_watches), or narrow paths"
            )
        for path, error in watches.refused.items():
            self.table.tell(f"cannot watch {path}: {error.strerror}")
        watches.refused.clear()


class FanotifySource(WatchSource):
    """The kernel's fanotify, which tells the process."""

    name = "fanotify"
    notifier = _fanotify.Fanotify
    tells_process = True

    def check(self) -> None:
        """Raise `OSError` if fanotify does not work here, or not for what is to be watched."""
        _fanotify.check()
        plan = _trees.Plan(self.table.host.prefix, 100, self._overlaps())
        for pattern in self.table.setting("paths"):
            plan.add(pattern)
        with _fanotify.Fanotify() as group:
            for path in plan.directories:
                try:
                    group.add(self.table.host.prefix + path, is_passage=True)
                except FileNotFoundError:
                    continue


class InotifySource(WatchSource):
    """The kernel's inotify, which does not tell the process."""

    name = "inotify"
    notifier = _inotifier.InotifyNotifier

    def check(self) -> None:
        """Raise `OSError` if there can be no more instances."""
        _inotifier.check()


class RescanSource(Source):
    """Compares the files again and again, where the kernel does not tell of them."""

    name = "rescan"
    table: "FilesEvents"

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what differs from one look to the next."""
        before = await asyncio.to_thread(self._look)
        yield ()
        while True:
            await asyncio.sleep(max(self.table.setting("rescan_interval"), 1.0))
            now = time.time_ns() // 1000
            after = await asyncio.to_thread(self._look)
            yield self.table.rows_of(Tally(_rescan.differences(before, after, now)))
            before = after

    def _look(self) -> _rescan.Files:
        table = self.table
        most = table.setting("max_watches")
        plan = _trees.Plan(table.host.prefix, most, _trees.everywhere)
        for pattern in table.setting("paths"):
            plan.add(pattern)
        files, is_whole = _rescan.look(table.host.prefix, plan)
        if not is_whole:
            table.tell("there are too many files to compare: narrow paths in [tables.files_events]")
        return files


class FilesEvents(files_events.FilesEvents):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="fanotify; inotify; looking again and again",
        needs="root for fanotify, which alone knows the process",
        verified="tests on the running kernel",
    )
    sources = (FanotifySource, InotifySource, RescanSource)

    def __init__(self, host: Host) -> None:
        """Bind the table to *host*."""
        super().__init__(host)
        self._told: set[str] = set()

    def check_settings(self) -> None:
        """Raise `ConfigError` for sources and patterns that make no sense."""
        super().check_settings()
        for pattern in self.setting("paths"):
            try:
                parse_pattern(pattern)
            except ParameterError as error:
                raise ConfigError(f"[tables.files_events] paths: {error}") from error

    def tell(self, message: str) -> None:
        """Warn of something that lasts, once."""
        if message not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(message)
            self.warn(message)

    def rows_of(self, changes: Tally) -> list[Row]:
        """Return the rows of *changes* that are wanted."""
        where = self.wanted
        rows = changes.rows()
        if not where.is_narrow:
            return list(rows)
        names = [column.name for column in self.columns if column.pushdown.value]
        return [row for row in rows if all(where.admits(name, row[name]) for name in names)]


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesEvents]:
    """Offer the table."""
    return [FilesEvents(host)]
