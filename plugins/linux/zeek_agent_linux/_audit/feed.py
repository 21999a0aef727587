"""One stream of audit events for all tables of the agent: it begins with the first of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from zeek_agent_linux._audit.interest import Interest
from zeek_agent_linux._audit.modes import Mode, machine
from zeek_agent_linux._audit.reader import Reader
from zeek_agent_linux._audit.subscription import Lose, Subscription

log = logging.getLogger(__name__)

CHECK_SECONDS = 30.0
"""Between two looks whether everything is still as it was set up."""


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
        opening = asyncio.ensure_future(asyncio.to_thread(mode.open))
        try:
            await asyncio.shield(opening)
        except BaseException:
            await asyncio.wait([opening])  # a thread cannot be stopped half-way
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
