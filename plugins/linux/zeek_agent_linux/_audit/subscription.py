"""What one table gets of a feed: batches of events, and the end of it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.interest import Interest

MOST_QUEUED = 20_000
"""Events that may wait for one table."""

Lose = Callable[[str, int], None]
"""Counts events that got lost, by cause."""


class Subscription:
    """What one table gets of a feed."""

    def __init__(self, interest: Interest, lose: Lose) -> None:
        """Want events in which there is *interest*; *lose* counts those that got lost."""
        self.interest = interest
        self.lose = lose
        self._queue: deque[list[Event]] = deque()
        self._queued = 0
        self._news = asyncio.Event()
        self._failure: Exception | None = None

    def put(self, events: list[Event]) -> None:
        """Give the table *events*; if it is slow, they are lost."""
        if self._queued + len(events) > MOST_QUEUED:
            self.lose("queue", len(events))
            return
        self._queue.append(events)
        self._queued += len(events)
        self._news.set()

    def fail(self, error: Exception) -> None:
        """Let the table know that nothing comes any more."""
        self._failure = error
        self._news.set()

    async def batches(self, seconds: float | None = None) -> AsyncIterator[list[Event]]:
        """Yield events that came together, without end; raise what `fail` was told.

        After *seconds* without any, yield an empty list.
        """
        while True:
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                yield []
            self._news.clear()
            while self._queue:
                events = self._queue.popleft()
                self._queued -= len(events)
                yield events
            if self._failure is not None:
                raise self._failure
