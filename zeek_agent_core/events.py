"""Runs evented tables while a query needs them, and holds what they yield.

Each event has a position, counted from 1 for the life of the agent. A query
remembers the position up to which it has read, so it sees each event once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import islice
from threading import Lock
from time import monotonic, time_ns
from typing import Any

from zeek_agent_core.table import Evented
from zeek_agent_core.values import Row

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a named task that the agent owns."""

Sleep = Callable[[float], Coroutine[Any, Any, None]]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a source that ended is started again: at first, and at most."""
BURST = 1000
"""Events after which a source that never waits lets others run."""


class EventBuffer:
    """The newest events of one table, bounded by number and age; for any thread."""

    def __init__(self, capacity: int, retention: float) -> None:
        """Hold at most *capacity* events, none for longer than *retention* seconds."""
        self._events: deque[tuple[float, Row]] = deque(maxlen=capacity)
        self._retention = retention
        self._lock = Lock()
        self.last = 0
        """Position of the newest event."""
        self.dropped = 0
        """Events that gave way although a query might still have wanted them."""
        self.read = 0
        """Up to where every reader has read; older events are lost to nobody."""

    def __len__(self) -> int:
        """Return how many events are held."""
        return len(self._events)

    def add(self, row: Row, now: float) -> None:
        """Append one event that arrived at *now* (monotonic seconds)."""
        with self._lock:
            self._expire(now)
            if len(self._events) == self._events.maxlen:
                self._drop_oldest()
            self._events.append((now, row))
            self.last += 1

    def expire(self, now: float) -> None:
        """Drop what is older than the retention."""
        with self._lock:
            self._expire(now)

    def clear(self) -> None:
        """Let everything go, since nobody reads any more; nothing counts as dropped."""
        with self._lock:
            self._events.clear()
            self.read = self.last

    def _expire(self, now: float) -> None:
        while self._events and self._events[0][0] < now - self._retention:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self.last - len(self._events) + 1
        self.dropped += oldest > self.read
        self._events.popleft()

    def rows(self, after: int, upto: int | None = None) -> Iterator[Row]:
        """Return the events behind position *after*, up to and with position *upto*."""
        with self._lock:
            newer = 0 if upto is None else max(self.last - upto, 0)
            wanted = list(islice(reversed(self._events), newer, max(self.last - after, newer)))
        return (row for _, row in reversed(wanted))


class Collector:
    """One evented table and its task."""

    def __init__(self, table: Evented, sleep: Sleep = asyncio.sleep) -> None:
        """Collect for *table* once started; between two attempts *sleep*."""
        self.table = table
        self._sleep = sleep
        self.buffer = EventBuffer(table.capacity, table.retention.total_seconds())
        self.users = 0
        self.task: asyncio.Task[None] | None = None
        self.error: str | None = None
        """Why the source failed last; None once it gives events again."""

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
        add, burst = self.buffer.add, 0
        async with aclosing(self.table.events()) as events:  # type: ignore[type-var]
            async for came in events:
                for row in [came] if isinstance(came, Mapping) else came:
                    if "time" not in row:
                        row = {"time": time_ns() // 1000, **row}  # noqa: PLW2901 - completed
                    add(row, monotonic())
                if self.error is not None:
                    log.info("table %s works again", self.table.name)
                    self.error = None
                burst += 1
                if burst == BURST:
                    burst = 0
                    await asyncio.sleep(0)


class Events:
    """All evented tables; starts and stops them as queries come and go."""

    def __init__(self, tables: Iterable[Evented], spawn: Spawn) -> None:
        """Collect for *tables* in tasks made by *spawn*."""
        self.collectors = {table.name: Collector(table) for table in tables}
        self._spawn = spawn

    def acquire(self, names: Iterable[str]) -> None:
        """Start those of the tables *names* that no other query has started."""
        for collector in self._named(names):
            collector.users += 1
            if collector.users == 1:
                work = collector.run(collector.task)
                collector.task = self._spawn(work, f"events {collector.table.name}")

    def release(self, names: Iterable[str]) -> None:
        """Stop those of the tables *names* that no other query needs."""
        for collector in self._named(names):
            collector.users -= 1
            if not collector.users and collector.task is not None:
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
        return {c.table.name: c.buffer.last for c in self._named(names)}

    def mark_read(self, table: str, position: int) -> None:
        """Note that every query has read *table* up to *position*."""
        self.collectors[table].buffer.read = position

    def rows(self, table: str, after: int, upto: int | None = None) -> Iterator[Row]:
        """Return the events of *table* behind *after*, up to *upto*; for any thread."""
        return self.collectors[table].buffer.rows(after, upto)
