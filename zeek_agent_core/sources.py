"""Evented tables that can get their events in several ways, of which one is at work."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from time import monotonic, time_ns
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from zeek_agent_core.errors import ConfigError, TableError
from zeek_agent_core.table import Evented
from zeek_agent_core.values import Row

log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
"""How long the check of a source may take."""
READY_SECONDS = 2.0
"""After which a source that has yielded nothing is taken to be attached."""
OVERLAP_SECONDS = 1.0
"""How long the old source may take to give what happened before the new one was attached."""
BACKLOG = 8
"""Batches that may wait to be taken."""
MARKS = 10_000
"""Marked batches that are remembered; of more the oldest are told of with the next."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
"""Seconds before a better source is tried again: at first, and at most."""


class Marked(list[Row]):
    """A batch whose source wants to know when every query has read it; see `Source.was_read`."""

    def __init__(self, rows: Iterable[Row], mark: Any) -> None:
        """Hold *rows*; *mark* means something to the source alone."""
        super().__init__(rows)
        self.mark = mark


class Source:
    """One way to get the events of a table; derive, and list it in the table's `sources`."""

    name: ClassVar[str]
    """What users see in `zeek_agent_tables` and write in the table's settings."""
    place: ClassVar[str] = ""
    """What it reads, if that lasts, so that nothing is missed while no source reads it.

    Of sources with the same place each goes on where another has stopped.
    """

    def __init__(self, table: "Sourced") -> None:
        """Serve *table*: its host, its settings, what is wanted of it; no I/O here."""
        self.table = table

    def check(self) -> None:
        """Raise `OSError` or `TableError` that says why the source cannot work here.

        Runs in a thread, may take some 100 ms, and leaves nothing behind.
        """

    def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield batches of events without end; ending, or raising, means that it failed.

        Yield an empty batch as soon as nothing is missed any more. It lets go
        of everything when it is closed or cancelled, within a second.
        """
        raise NotImplementedError

    def existing(self) -> Iterable[Row]:
        """Return a row, marked by its state, for each thing that is there already.

        Runs in a thread, once events are no longer missed, if the key `initial`
        of the table's settings is true.
        """
        return ()

    def wanted_changed(self) -> None:
        """Learn that `table.wanted` is another, for a source that filters in the kernel."""

    def was_read(self, mark: Any) -> None:
        """Learn that every query has the rows up to those of the `Marked` batch with *mark*."""


class Sourced(Evented):
    """An evented table with several sources; the first that works serves it.

    While a source fails the next one serves, and it is tried again, ever more
    slowly. The key `source` of the table's settings allows just one of them;
    with `initial` the table begins with what is there already.
    """

    sources: ClassVar[tuple[type[Source], ...]] = ()
    """In order of preference."""
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({"source": "", "initial": False})

    _relay: "Relay | None" = None

    @property
    def source(self) -> str | None:
        """What serves the rows right now."""
        serving = self._relay and self._relay.serving
        return serving.name if serving else None

    def check_settings(self) -> None:
        """Raise `ConfigError` if the settings name a source that the table does not have."""
        names = [kind.name for kind in self.sources]
        wanted = self.setting("source")
        if wanted and wanted not in names:
            key = f"[tables.{self.section()}] source"
            raise ConfigError(f"{key}: {wanted!r} is none of {', '.join(names)}")

    def wanted_changed(self) -> None:
        """Tell the sources at work."""
        if self._relay is not None:
            self._relay.wanted_changed()

    def was_read(self, count: int) -> None:
        """Tell the sources that gave the rows."""
        if self._relay is not None:
            self._relay.was_read(count)

    async def events(self) -> AsyncIterator[Row | Sequence[Row]]:
        """Yield what the best source that works gives."""
        relay = self._relay = Relay(self)
        try:
            async with aclosing(relay.batches()) as batches:  # type: ignore[type-var]
                async for rows in batches:
                    yield rows
        finally:
            self._relay = None
            await relay.aclose()


class Serving:
    """A source at work: a task that puts what it yields into a queue."""

    def __init__(
        self, source: Source, news: "asyncio.Queue[News]", room: asyncio.Semaphore
    ) -> None:
        """Start *source*; *news* gets an empty batch first, and others while there is *room*."""
        self.source = source
        self.name = source.name
        self.is_settled = asyncio.Event()
        """Set once it is attached or has failed."""
        self.attached = 0
        """Since when it misses nothing, in µs since the epoch."""
        self.failure: str | None = None
        self.began = monotonic()
        self._news = news
        self._room = room
        self.task = asyncio.create_task(self._run(), name=f"source {self.name}")

    async def _run(self) -> None:
        late = asyncio.get_running_loop().call_later(READY_SECONDS, self._attach)
        try:
            async with aclosing(self.source.events()) as events:  # type: ignore[type-var]
                async for rows in events:
                    if not self.attached:
                        self._attach()
                    if rows:
                        await self._room.acquire()
                        self._news.put_nowait(News(self, rows))
            self.failure = "its events ended"
        except (Exception, SystemExit) as error:  # a source must not end the agent
            self.failure = reason(error)
        finally:
            late.cancel()
            self.is_settled.set()
        self._news.put_nowait(News(self))

    def _attach(self) -> None:
        if not self.attached:
            self.attached = time_ns() // 1000
            self._news.put_nowait(News(self))
            self.is_settled.set()


class News(NamedTuple):
    """A batch of a source; without rows: it is attached, or has failed."""

    of: Serving | None
    """None: nothing works."""
    rows: Sequence[Row] = ()


class Relay:
    """Finds the best source, passes its rows on, and finds the next one when it fails."""

    def __init__(self, table: Sourced) -> None:
        """Relay for *table*; nothing starts before `batches`."""
        self.table = table
        forced = table.setting("source")
        self._kinds = [kind for kind in table.sources if forced in ("", kind.name)]
        self.serving: Serving | None = None
        self._old: Serving | None = None
        """What served before, as long as it may still have events of that time."""
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self._room = asyncio.Semaphore(BACKLOG)
        self._works: set[Serving] = set()
        self._search: asyncio.Task[None] | None = None
        self._retiring: asyncio.Task[None] | None = None
        self._failures: dict[str, str] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._said: tuple[str, str] | None = None
        self._given = 0
        """Rows passed on."""
        self._marks: deque[tuple[int, Source, Any]] = deque(maxlen=MARKS)
        """Of each marked batch: the rows passed on with it, who gave it, its mark."""

    async def batches(self) -> AsyncIterator[Sequence[Row]]:
        """Yield rows without end; raise `TableError` when no source works."""
        await self._start(self._find)
        has_served = False
        while True:
            news = await self._news.get()
            of = news.of
            if news.rows:
                self._room.release()
                rows = self._due_rows(news)
                self._count(rows, of, news.rows)
                if rows:
                    yield rows
            elif of is None:
                raise TableError(self.table.name, self._reasons(self._kinds))
            elif of.failure is not None:
                await self._end(of)
            elif of in self._works:
                await self._take_over(of)
                if not has_served and self.table.setting("initial"):
                    rows = await self._existing(of.source)
                    self._given += len(rows)
                    yield rows
                has_served = True

    async def aclose(self) -> None:
        """Let go of all sources."""
        tasks = [task for task in (self._search, self._retiring) if task is not None]
        tasks += [work.task for work in self._works]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wanted_changed(self) -> None:
        """Tell the sources at work."""
        for work in self._works:
            work.source.wanted_changed()

    def was_read(self, count: int) -> None:
        """Tell the sources up to where the first *count* rows reach."""
        read: dict[Source, Any] = {}
        while self._marks and self._marks[0][0] <= count:
            _, source, mark = self._marks.popleft()
            read[source] = mark
        for source, mark in read.items():
            source.was_read(mark)

    def _count(self, rows: Sequence[Row], of: Serving | None, batch: Sequence[Row]) -> None:
        self._given += len(rows)
        if of is not None and isinstance(batch, Marked):
            self._marks.append((self._given, of.source, batch.mark))

    def _due_rows(self, news: News) -> Sequence[Row]:
        """Return the rows that are this source's to give: at a change, time decides."""
        if self._old is None or self.serving is None:
            return news.rows if news.of is self.serving else ()
        cut = self.serving.attached
        if news.of is self.serving:
            return [row for row in news.rows if row.get("time", cut) >= cut]
        if news.of is not self._old:
            return ()
        return [row for row in news.rows if row.get("time", cut) < cut]

    async def _take_over(self, new: Serving) -> None:
        """Let *new* serve from the moment it was attached; the one before it gives the rest."""
        if self.serving is not None:
            self._old = self.serving
            self._retiring = asyncio.create_task(self._retire(self._old), name="source retiring")
        self.serving = new
        before = self._kinds[: self._kinds.index(type(new.source))]
        self._say(new.name, self._reasons(before))
        await self._look_for_better(new)

    def _better(self, than: Serving) -> Sequence[type[Source]]:
        """Return the sources that come before one at work, and would give anything else."""
        place = than.source.place
        before = self._kinds[: self._kinds.index(type(than.source))]
        return [kind for kind in before if not place or kind.place != place]

    async def _retire(self, old: Serving) -> None:
        await asyncio.sleep(OVERLAP_SECONDS)
        await self._stop(old)
        self._old = None

    async def _existing(self, source: Source) -> Sequence[Row]:
        try:
            return await asyncio.to_thread(lambda: list(source.existing()))
        except (OSError, TableError) as error:
            self.table.warn(f"what is there already: {reason(error)}")
            return ()

    async def _stop(self, work: Serving) -> None:
        work.task.cancel()
        await asyncio.wait([work.task])
        self._works.discard(work)

    async def _end(self, failed: Serving) -> None:
        """Note that a source has failed; if it was at work, look for another."""
        if failed not in self._works or not failed.attached:
            return
        await self._stop(failed)
        self._note(failed.name, failed.failure or "", monotonic() - failed.began)
        log.warning("table %s: source %s failed: %s", self.table.name, failed.name, failed.failure)
        if failed is self._old:
            return
        if failed is not self.serving and self.serving is not None:
            await self._look_for_better(self.serving)
            return
        if not failed.source.place:
            self.table.lose("gap")
        self.serving = None
        if self._old is not None:
            await self._stop(self._old)
            self._old = None
        await self._start(self._find)

    def _note(self, name: str, failure: str, served: float = 0.0) -> None:
        """Let the source *name* rest, longer each time, unless it has *served* for long."""
        pause = self._pauses.get(name, FIRST_PAUSE)
        pause = FIRST_PAUSE if served > 2 * pause else pause
        self._failures[name] = failure
        self._due[name] = monotonic() + pause
        self._pauses[name] = min(pause * 2, LONGEST_PAUSE)

    def _reasons(self, kinds: Iterable[type[Source]]) -> str:
        """Return why *kinds* do not serve."""
        return "; ".join(f"{k.name}: {self._failures.get(k.name, 'resting')}" for k in kinds)

    def _say(self, name: str, reasons: str) -> None:
        """Make known what serves, and why nothing better does, when that has changed."""
        if self._said == (name, reasons):
            return
        if reasons:
            self.table.warn(f"served by {name}; {reasons}")
        because = f", since {reasons}" if reasons else ""
        log.info("table %s is served by %s%s", self.table.name, name, because)
        self._said = (name, reasons)

    async def _start(self, search: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._search is not None:
            self._search.cancel()
            await asyncio.wait([self._search])
        self._search = asyncio.create_task(search(), name=f"sources of {self.table.name}")

    async def _look_for_better(self, than: Serving) -> None:
        better = self._better(than)
        if better:
            await self._start(partial(self._improve, better))

    async def _find(self) -> None:
        """Start the best source that works; those that failed a moment ago rest."""
        for kind in self._kinds:
            if self._due.get(kind.name, 0.0) <= monotonic() and await self._attempt(kind):
                return
        self._news.put_nowait(News(None))

    async def _improve(self, kinds: Sequence[type[Source]]) -> None:
        """Start one of *kinds* as soon as one works."""
        while True:
            soonest = min(self._due.get(kind.name, 0.0) for kind in kinds)
            await asyncio.sleep(max(soonest - monotonic(), 2 * OVERLAP_SECONDS))
            for kind in kinds:
                if self._due.get(kind.name, 0.0) <= monotonic() and await self._attempt(kind):
                    return

    async def _attempt(self, kind: type[Source]) -> bool:
        """Start a source, if its check lets it; return whether it was attached."""
        source = kind(self.table)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await asyncio.to_thread(source.check)
        except (Exception, SystemExit) as error:  # a source must not end the agent
            self._note(kind.name, reason(error))
            return False
        work = Serving(source, self._news, self._room)
        self._works.add(work)
        try:
            await work.is_settled.wait()
        except asyncio.CancelledError:
            if not work.attached:
                await self._stop(work)
            raise
        if work.attached:
            return True
        self._works.discard(work)
        self._note(kind.name, work.failure or "")
        return False


def reason(error: BaseException) -> str:
    """Return *error* as a reason that people understand."""
    if isinstance(error, TableError):
        return error.reason
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer"
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename}" if error.filename is not None else ""
        return f"{error.strerror[0].lower()}{error.strerror[1:]}{where}"
    return f"{type(error).__name__}: {error}"
