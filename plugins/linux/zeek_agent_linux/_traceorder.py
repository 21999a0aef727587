"""Puts the trace events of all processors into one order."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter
from typing import Protocol

from zeek_agent_linux._tracepage import Event

SLACK = 2_000_000
"""Nanoseconds that the newest events are held back: others of that time may not be read yet."""
AGAIN_SECONDS = 0.05
"""When to read again if events were held back, since nothing else may happen."""

_time_of = itemgetter(0)


class Reader(Protocol):
    """What events are read from."""

    def read(self) -> Iterator[list[Event]]:
        """Yield events, some at a time."""


class Ordered:
    """Reads events, and holds back those that may come out of order."""

    def __init__(self, reader: Reader) -> None:
        """Read from *reader*."""
        self._reader = reader
        self._held: list[Event] = []
        self.until = 0
        """Until when the events returned so far are complete, in nanoseconds since boot."""

    @property
    def is_holding(self) -> bool:
        """Whether there are events that have been read but not returned."""
        return bool(self._held)

    async def read(self) -> list[Event]:
        """Return events in the order of time."""
        self.until = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - SLACK
        events = self._held
        for some in self._reader.read():
            events += some
            await asyncio.sleep(0)
        events.sort(key=_time_of)
        end = bisect_left(events, self.until, key=_time_of)
        self._held = events[end:]
        return events[:end]
