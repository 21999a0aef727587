"""Runs evented tables while a query needs them, and holds what they yield.

Each event has a position, counted from 1 for the life of the agent. A query
remembers the position up to which it has read, so it sees each event once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing
from itertools import islice
from time import monotonic, time_ns
from typing import Any

from zeek_agent_core.table import Evented
from zeek_agent_core.values import Row

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a named task that the agent owns."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class EventBuffer:
    """The newest events of one table, bounded by number and age."""

    def __init__(self, capacity: int, retention: float) -> None:
        """Hold at most *capacity* events, none for longer than *retention* seconds."""
        self._events: deque[tuple[float, Row]] = deque(maxlen=capacity)
        self._retention = retention
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
        if len(self._events) == self._events.maxlen:
            self._count_oldest()
        self._events.append((now, row))
        self.last += 1

    def expire(self, now: float) -> None:
        """Drop what is older than the retention."""
        while self._events and self._events[0][0] < now - self._retention:
            self._count_oldest()
            self._events.popleft()

    def _count_oldest(self) -> None:
        oldest = self.last - len(self._events) + 1
        self.dropped += oldest > self.read

    def rows(self, after: int, upto: int | None = None) -> Iterator[Row]:
        """Return the events behind position *after*, up to and with position *upto*.

        Safe to call from another thread than the one that adds.
        """
        held = list(self._events)
        first = self.last - len(held) + 1
        stop = None if upto is None else max(upto - first + 1, 0)
        return (row for _, row in islice(held, max(after - first + 1, 0), stop))


class Collector:
    """One evented table and its task."""

    def __init__(self, table: Evented) -> None:
        """Collect for *table* once started."""
        self.table = table
        self.buffer = EventBuffer(table.capacity, table.retention.total_seconds())
        self.users = 0
        self.task: asyncio.Task[None] | None = None
        self.error: str | None = None

    async def run(self) -> None:
        """Fill the buffer without end; a source that fails is started again, ever more slowly."""
        pause = FIRST_PAUSE
        while True:
            before = self.buffer.last
            try:
                await self._collect()
                reason = "its events ended"
            except Exception as error:  # noqa: BLE001 - a table must not end the agent
                reason = f"{type(error).__name__}: {error}"
            if self.error != reason:
                log.warning("table %s: %s; trying again", self.table.name, reason)
            self.error = reason
            pause = FIRST_PAUSE if self.buffer.last > before else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _collect(self) -> None:
        add = self.buffer.add
        async with aclosing(self.table.events()) as events:  # type: ignore[type-var]
            async for row in events:
                if "time" not in row:
                    row = {"time": time_ns() // 1000, **row}  # noqa: PLW2901 - the row completed
                add(row, monotonic())
                if self.error is not None:
                    log.info("table %s works again", self.table.name)
                    self.error = None


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
            if collector.task is None:
                name = f"events {collector.table.name}"
                collector.task = self._spawn(collector.run(), name)

    def release(self, names: Iterable[str]) -> None:
        """Stop those of the tables *names* that no other query needs."""
        for collector in self._named(names):
            collector.users -= 1
            if not collector.users and collector.task is not None:
                collector.task.cancel()
                collector.task = None

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
