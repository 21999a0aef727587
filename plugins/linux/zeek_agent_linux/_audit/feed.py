"""One stream of audit events for all tables of the agent: it begins with the first of them."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic

from zeek_agent_linux._audit.assembler import Assembler, Event
from zeek_agent_linux._audit.gaps import Gaps
from zeek_agent_linux._audit.interest import Interest
from zeek_agent_linux._audit.modes import Mode, machine

log = logging.getLogger(__name__)

SLICE = 500
"""Records that are read before others have their turn: some two milliseconds."""
BUSY = 200
"""Records at a time from which on it pays to wait for more."""
SHORT, LONG = 0.01, 0.1
"""Seconds that are waited, after few records and after many, before reading again."""
MOST_QUEUED = 20_000
"""Events that may wait for one table."""
CHECK_SECONDS = 30.0
"""Between two looks whether everything is still as it was set up."""

Lose = Callable[[str, int], None]


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


class Feed:
    """Reads one stream as long as there are subscriptions."""

    def __init__(self, make: Callable[[], Mode], check_seconds: float = CHECK_SECONDS) -> None:
        """Read the stream of the mode that *make* makes, each time anew."""
        self._make = make
        self._check_seconds = check_seconds
        self._subscriptions: set[Subscription] = set()
        self._lock = asyncio.Lock()
        self._reader: Reader | None = None
        self._task: asyncio.Task[None] | None = None
        self._change: asyncio.Task[None] | None = None
        """Held here, since the event loop forgets tasks that nobody has."""

    @asynccontextmanager
    async def subscribed(self, interest: Interest, lose: Lose) -> AsyncIterator[Subscription]:
        """Have a subscription, and the stream open, as long as the block lasts."""
        subscription = Subscription(interest, lose)
        try:
            async with self._lock:
                self._subscriptions.add(subscription)
                await self._begin()
                for reason in await self._load_rules():
                    log.warning("%s", reason)
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await self._leave()

    async def _begin(self) -> None:
        if self._task is not None and not self._task.done():
            return
        mode = self._make()
        try:
            await asyncio.to_thread(mode.open)
        except BaseException:
            mode.close()
            raise
        self._reader = Reader(mode, self._subscriptions, self._check_seconds)
        self._task = asyncio.create_task(self._reader.run(), name=f"audit {mode.name}")

    async def _load_rules(self) -> list[str]:
        """Load the rules that all subscriptions together need; return what went wrong."""
        reader = self._reader
        if reader is None or reader.mode.keeper is None:
            return []
        wanted = frozenset().union(*(s.interest.rules(machine()) for s in self._subscriptions))
        return await asyncio.to_thread(reader.mode.keeper.load, wanted)

    def interested(self, subscription: Subscription, interest: Interest) -> None:
        """Let *subscription* have another *interest*, soon."""
        subscription.interest = interest
        self._change = asyncio.create_task(self._changed(), name="audit rules")

    async def _changed(self) -> None:
        async with self._lock:
            for reason in await self._load_rules():
                log.warning("%s", reason)

    async def _leave(self) -> None:
        """Go on with fewer rules; with nobody left, end."""
        async with self._lock:
            if self._subscriptions:
                await self._load_rules()
                return
            tasks = [task for task in (self._change, self._task) if task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            self._change = self._task = self._reader = None

    def missing(self, interest: Interest) -> list[str]:
        """Return the calls in *interest* of which no rule records all."""
        return [] if self._reader is None else self._reader.mode.missing(interest.calls)


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
