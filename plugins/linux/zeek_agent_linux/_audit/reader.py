"""Reads one open stream to its end: records in, events out to all subscriptions."""

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic

from zeek_agent_linux._audit.assembler import Assembler
from zeek_agent_linux._audit.gaps import Gaps
from zeek_agent_linux._audit.modes import Mode
from zeek_agent_linux._audit.subscription import Subscription

SLICE = 500
"""Records that are read before others have their turn: some two milliseconds."""
BUSY = 200
"""Records at a time from which on it pays to wait for more."""
SHORT, LONG = 0.01, 0.1
"""Seconds that are waited, after few records and after many, before reading again."""


class Reader:
    """Reads one open stream to its end, and closes it."""

    def __init__(self, mode: Mode, subscriptions: set[Subscription], check_seconds: float) -> None:
        """Read for *subscriptions*, which may change."""
        self.mode = mode
        self._subscriptions = subscriptions
        self._check_seconds = check_seconds
        self._assembler = Assembler()
        self._gaps = Gaps()

    async def run(self) -> None:
        """Pass on what comes, without end; when the stream fails, tell the subscriptions."""
        due = monotonic() + self._check_seconds
        try:
            while True:
                await self._wait(due)
                count = await self._drain()
                self._publish()
                if monotonic() >= due:
                    self._check()
                    due = monotonic() + self._check_seconds
                await asyncio.sleep(LONG if count > BUSY else SHORT)
        except Exception as error:  # whatever it is, nobody may wait for ever
            for subscription in self._subscriptions:
                subscription.fail(error)
        finally:
            self._end()

    def _check(self) -> None:
        """See whether all is as it was set up, and what the kernel has lost."""
        self._lose("kernel", self.mode.lost())
        self.mode.check_up()

    def _end(self) -> None:
        with suppress(OSError):
            self._lose("kernel", self.mode.lost())
        self._assembler.finish()
        self._publish()
        self.mode.close()

    async def _wait(self, due: float) -> None:
        """Wait until there is something to read, or something to do."""
        if self._assembler.is_waiting:
            due = min(due, monotonic() + 2 * LONG)
        loop = asyncio.get_running_loop()
        came = loop.create_future()
        loop.add_reader(self.mode.stream.fileno(), partial(_note, came))
        try:
            async with asyncio.timeout(max(due - monotonic(), 0)):
                await came
        except TimeoutError:
            return
        finally:
            loop.remove_reader(self.mode.stream.fileno())

    async def _drain(self) -> int:
        """Read all there is; return how many records that were."""
        assembler, stream = self._assembler, self.mode.stream
        overflows, total = stream.overflows, 0
        while True:
            now = monotonic()
            count = stream.drain(partial(assembler.add, now=now), SLICE)
            total += count
            if count < SLICE:
                break
            self._publish()
            await asyncio.sleep(0)
        has_overflowed = stream.overflows > overflows
        gap = self._gaps.count(assembler.newest, assembler.begun, has_overflowed=has_overflowed)
        self._lose("netlink", gap)
        if has_overflowed:
            self._check()  # the kernel lets go of a daemon that is too slow
        return total

    def _publish(self) -> None:
        assembler = self._assembler
        assembler.expire(monotonic())
        events = assembler.take()
        if events:
            for subscription in self._subscriptions:
                subscription.put(events)
        self._lose("incomplete", assembler.incomplete)
        self._lose("record", assembler.dropped)
        assembler.incomplete = assembler.dropped = 0

    def _lose(self, cause: str, count: int) -> None:
        if count:
            for subscription in self._subscriptions:
                subscription.lose(cause, count)


def _note(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)
