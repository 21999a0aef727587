"""The agent of this process as a `Backend`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any, Protocol

from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import Query, Result, Subscription
from zeek_agent_core.repl.backend import Stream

ASKER = "console"
BACKLOG = 2
"""Results that wait for the console; until it takes one, its query does not run again."""
MOST_ERRORS = 8

_NUMBERS = count(1)


class Asked(Protocol):
    """What a console needs of the database."""

    def query(self, sql: str) -> AbstractAsyncContextManager[Stream]:
        """Run a statement."""


class Queries(Protocol):
    """What a console needs of the scheduler."""

    @property
    def installed(self) -> Collection[str]:
        """Ids of the queries there are."""

    async def install(self, query: Query, recipient: Any) -> None:
        """Take on a query."""

    def cancel(self, query_id: str) -> bool:
        """Forget a query."""


class Parts(Protocol):
    """What a console needs of an agent."""

    @property
    def database(self) -> Asked:
        """What runs statements."""

    @property
    def scheduler(self) -> Queries:
        """What repeats them."""


class LocalBackend:
    """Asks the agent of this process."""

    def __init__(
        self, agent: Parts, end: Callable[[], object], ended: asyncio.Event | None = None
    ) -> None:
        """Ask *agent*; *end* ends it, and *ended* is set once it is to end."""
        self._agent = agent
        self._end = end
        self._ended = ended or asyncio.Event()

    def query(self, sql: str) -> AbstractAsyncContextManager[Stream]:
        """Run *sql* once; entering raises `QueryError` where it does not compile."""
        return self._agent.database.query(sql)

    @asynccontextmanager
    async def subscribe(
        self, sql: str, subscription: Subscription, interval: timedelta
    ) -> AsyncIterator[AsyncIterator[Result]]:
        """Run *sql* again and again; leaving the context cancels it."""
        query = Query(
            id=f"{ASKER}-{next(_NUMBERS)}",
            sql=sql,
            interval=interval,
            subscription=subscription,
            asker=ASKER,
        )
        subscriber = Subscriber()
        await self._agent.scheduler.install(query, subscriber)
        try:
            yield subscriber
        finally:
            self._agent.scheduler.cancel(query.id)

    async def terminate(self) -> None:
        """End the agent."""
        self._end()
        self._ended.set()

    async def wait_closed(self) -> None:
        """Return once the agent is to end."""
        await self._ended.wait()


class Subscriber:
    """The recipient of a query; holds a few results until somebody iterates over them."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._queue: asyncio.Queue[Result | QueryError | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(BACKLOG)
        self._is_done = False

    async def result(self, query: Query, result: Result) -> None:  # noqa: ARG002
        """Take a result as soon as there is room for it."""
        await self._room.acquire()
        if not self._is_done:
            self._queue.put_nowait(result)

    def failed(self, query: Query, error: QueryError) -> None:  # noqa: ARG002
        """Take the reason why a run failed."""
        if self._queue.qsize() < MOST_ERRORS:
            self._queue.put_nowait(error)

    def lost(self, query: Query, text: str) -> None:
        """Nothing to add: the agent's log has it."""

    def done(self, query: Query, *, is_cancelled: bool) -> None:  # noqa: ARG002
        """End the iteration after what is here already."""
        self._is_done = True
        self._queue.put_nowait(None)
        self._room.release()

    def __aiter__(self) -> AsyncIterator[Result]:
        """Return itself."""
        return self

    async def __anext__(self) -> Result:
        """Return the next result; raise `QueryError` for a run that failed."""
        item = await self._queue.get()
        if item is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        if isinstance(item, QueryError):
            raise item
        self._room.release()
        return item
