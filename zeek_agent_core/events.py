"""Runs evented tables while a query needs them, and holds what they yield.

Each event has a position, counted from 1 for the life of the agent. A query
remembers the position up to which it has read, so it sees each event once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from threading import Lock
from time import monotonic, time_ns
from typing import Any

from zeek_agent_core.table import Evented, Where
from zeek_agent_core.values import Row
from zeek_agent_core.wanted import union

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a named task that the agent owns."""

Sleep = Callable[[float], Coroutine[Any, Any, None]]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a source that ended is started again: at first, and at most."""
TURN = 0.005
"""Seconds after which a source that never waits lets others run."""
QUIET = 60.0
"""Seconds between two messages about what one table lost."""


class EventBuffer:
    """The newest events of one table, bounded by number and age; for any thread."""

    def __init__(self, capacity: int, retention: float) -> None:
        """Hold at most *capacity* events, none for longer than *retention* seconds."""
        self._events: deque[Row] = deque(maxlen=capacity)
        self._capacity = capacity
        self._arrivals: deque[tuple[float, int]] = deque()
        """Of each batch: when it came, and the position of its last event."""
        self._retention = retention
        self._lock = Lock()
        self.last = 0
        """Position of the newest event."""
        self.overflowed = 0
        """Events that gave way to newer ones although a query might still have wanted them."""
        self.expired = 0
        """Events that grew too old although a query might still have wanted them."""
        self.read = 0
        """Up to where every reader has read; older events are lost to nobody."""

    @property
    def dropped(self) -> int:
        """How many events went unread."""
        return self.overflowed + self.expired

    def __len__(self) -> int:
        """Return how many events are held."""
        return len(self._events)

    def add(self, rows: Sequence[Row], now: float) -> None:
        """Append events that arrived at *now* (monotonic seconds)."""
        with self._lock:
            self._expire(now)
            excess = len(self._events) + len(rows) - self._capacity
            if excess > 0:
                self.overflowed += self._unread(self.last - len(self._events) + excess)
            self._events.extend(rows)  # lets the oldest go by itself
            self.last += len(rows)
            self._arrivals.append((now, self.last))

    def expire(self, now: float) -> None:
        """Drop what is older than the retention."""
        with self._lock:
            self._expire(now)

    def clear(self) -> None:
        """Let everything go, since nobody reads any more; nothing counts as dropped."""
        with self._lock:
            self._events.clear()
            self._arrivals.clear()
            self.read = self.last

    def _expire(self, now: float) -> None:
        events, arrivals = self._events, self._arrivals
        while arrivals:
            came, upto = arrivals[0]
            is_gone = upto <= self.last - len(events)  # overflow was faster
            if not is_gone and came >= now - self._retention:
                return
            arrivals.popleft()
            if not is_gone:
                self.expired += self._unread(upto)
                for _ in range(upto - (self.last - len(events))):
                    events.popleft()

    def _unread(self, upto: int) -> int:
        """Return how many events up to position *upto*, held or coming, nobody has read."""
        return max(upto - max(self.read, self.last - len(self._events)), 0)

    def rows(self, after: int, upto: int | None = None) -> Iterator[Row]:
        """Return the events behind position *after*, up to and with position *upto*."""
        with self._lock:
            newer = 0 if upto is None else max(self.last - upto, 0)
            wanted = list(islice(reversed(self._events), newer, max(self.last - after, newer)))
        return reversed(wanted)


class Collector:
    """One evented table: its task, and what its readers want of it."""

    def __init__(self, table: Evented, sleep: Sleep = asyncio.sleep) -> None:
        """Collect for *table* once started; between two attempts *sleep*."""
        self.table = table
        self._sleep = sleep
        self.buffer = EventBuffer(table.capacity, table.retention.total_seconds())
        self.readers: dict[object, Where | None] = {}
        """What each query wants, as far as it is known; None is everything."""
        self.complete = 0
        """The position behind which the rows are as if no query had set a condition."""
        self.task: asyncio.Task[None] | None = None
        self.began = 0
        """The position from which the table counts what it gives, since its task runs."""
        self.error: str | None = None
        """Why the source failed last; None once it gives events again."""
        self._told: Mapping[str, int] = {}
        self._quiet_until = 0.0

    @property
    def users(self) -> int:
        """How many queries read the table."""
        return len(self.readers)

    def read_by(self, reader: object, where: Where | None) -> None:
        """Let *reader* have what it wants of the table; None is everything."""
        self.readers[reader] = where
        self._agree()

    def left_by(self, reader: object) -> None:
        """Forget *reader*."""
        self.readers.pop(reader, None)
        self._agree()

    def _agree(self) -> None:
        """Tell the table what all its readers want together."""
        everything = self.table.everything()
        wheres = [everything if where is None else where for where in self.readers.values()]
        wanted = union(wheres) if wheres else everything
        if self.table.wanted == wanted:
            return
        if self.table.wanted != everything:
            self.complete = self.buffer.last
        self.table.wanted = wanted
        self.table.wanted_changed()

    @property
    def losses(self) -> dict[str, int]:
        """Events that no query got, by cause."""
        losses = dict(self.table.losses)
        for cause, count in (("ring", self.buffer.overflowed), ("age", self.buffer.expired)):
            if count:
                losses[cause] = losses.get(cause, 0) + count
        return losses

    def tell_losses(self, now: float) -> None:
        """Log what was lost since the last time, unless that was a short while ago."""
        if now < self._quiet_until or not (self.table.losses or self.buffer.dropped):
            return
        losses = self.losses
        if losses != self._told:
            self._told, self._quiet_until = losses, now + QUIET
            log.warning("table %s lost events: %s", self.table.name, described(losses))

    async def run(self, previous: asyncio.Task[None] | None = None) -> None:
        """Fill the buffer without end; a source that fails is started again, ever more slowly.

        A task *previous* of the same table must have let go of the source first.
        """
        if previous is not None:
            await asyncio.wait([previous])
        pause = FIRST_PAUSE
        while True:
            before = self.buffer.last
            try:
                await self._collect()
                reason = "its events ended"
            except (Exception, SystemExit) as error:  # a table must not end the agent
                reason = f"{type(error).__name__}: {error}"
            if self.error != reason:
                log.warning("table %s: %s; trying again", self.table.name, reason)
            self.error = reason
            if self.buffer.last > before:
                pause = FIRST_PAUSE
            await self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _collect(self) -> None:
        add, turn = self.buffer.add, monotonic()
        self.began = self.buffer.last
        async with aclosing(self.table.events()) as events:  # type: ignore[type-var]
            async for came in events:
                now = monotonic()
                rows = timed([came] if isinstance(came, Mapping) else came)
                if rows:
                    add(rows, now)
                self.tell_losses(now)
                if self.error is not None:
                    log.info("table %s works again", self.table.name)
                    self.error = None
                if now - turn > TURN:
                    await asyncio.sleep(0)
                    turn = monotonic()


def timed(rows: Sequence[Row]) -> Sequence[Row]:
    """Return *rows* with the present moment as `time` where a row has none."""
    if all("time" in row for row in rows):
        return rows
    now = time_ns() // 1000
    return [row if "time" in row else {"time": now, **row} for row in rows]


def described(losses: Mapping[str, int]) -> str:
    """Return *losses* by cause as text, such as `kernel 12, ring 3`."""
    return ", ".join(f"{cause} {count}" for cause, count in sorted(losses.items()))


class Events:
    """All evented tables; starts and stops them as queries come and go."""

    def __init__(self, tables: Iterable[Evented], spawn: Spawn) -> None:
        """Collect for *tables* in tasks made by *spawn*."""
        self.collectors = {table.name: Collector(table) for table in tables}
        self._spawn = spawn

    def acquire(self, names: Iterable[str], reader: object) -> None:
        """Start those of the tables *names* that no other query than *reader* has started."""
        for collector in self._named(names):
            is_first = not collector.readers
            collector.read_by(reader, None)
            if is_first:
                work = collector.run(collector.task)
                collector.task = self._spawn(work, f"events {collector.table.name}")

    def want(self, reader: object, wheres: Mapping[str, Where]) -> None:
        """Collect no more for *reader*, of each table named, than `Where` admits."""
        for name, where in wheres.items():
            collector = self.collectors.get(name)
            if collector is not None and collector.readers.get(reader, where) != where:
                collector.read_by(reader, where)

    def release(self, names: Iterable[str], reader: object) -> None:
        """Stop those of the tables *names* that no other query than *reader* needs."""
        for collector in self._named(names):
            collector.left_by(reader)
            if not collector.readers and collector.task is not None:
                collector.task.cancel()
                collector.error = None
                collector.buffer.clear()

    def _named(self, names: Iterable[str]) -> list[Collector]:
        return [self.collectors[name] for name in sorted(names) if name in self.collectors]

    def positions(self, names: Iterable[str]) -> dict[str, int]:
        """Return the position of the newest event of each of the tables *names*."""
        now = monotonic()
        for collector in self._named(names):
            collector.buffer.expire(now)
            collector.tell_losses(now)
        return {c.table.name: c.buffer.last for c in self._named(names)}

    def complete(self, names: Iterable[str]) -> dict[str, int]:
        """Return the positions behind which no other query has narrowed the tables *names*."""
        return {c.table.name: c.complete for c in self._named(names)}

    def losses(self, names: Iterable[str]) -> dict[str, str]:
        """Return what the tables *names* have lost since the agent began, as text by cause."""
        return {c.table.name: described(losses) for c in self._named(names) if (losses := c.losses)}

    def mark_read(self, table: str, position: int) -> None:
        """Note that every query has read *table* up to *position*."""
        collector = self.collectors[table]
        collector.buffer.read = position
        collector.table.was_read(position - collector.began)

    def rows(self, table: str, after: int, upto: int | None = None) -> Iterator[Row]:
        """Return the events of *table* behind *after*, up to *upto*; for any thread."""
        return self.collectors[table].buffer.rows(after, upto)
