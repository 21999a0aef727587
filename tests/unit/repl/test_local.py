"""The agent of this process as a backend."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.support import fruits
from zeek_agent_core.errors import QueryError, StatementError, StoppedError
from zeek_agent_core.query import Query, Result, ResultColumn, Subscription
from zeek_agent_core.repl.local import BACKLOG, LocalBackend, Subscriber
from zeek_agent_core.sql.database import Database

SECOND = timedelta(seconds=1)
QUERY = Query("q", "SELECT 1", SECOND, Subscription.SNAPSHOTS)
RESULT = Result((ResultColumn("a"),), rows=[(1,)])


class Scheduler:
    """Keeps what it is given."""

    def __init__(self):
        """Start with no query."""
        self.installed = {}

    async def install(self, query, recipient):
        """Take a query, unless it is wrong."""
        if "wrong" in query.sql:
            raise StatementError("it is wrong")
        self.installed[query.id] = (query, recipient)

    def cancel(self, query_id):
        """Drop a query."""
        query, recipient = self.installed.pop(query_id)
        recipient.done(query, is_cancelled=True)
        return True


class Agent:
    """Two parts of an agent."""

    def __init__(self, database=None):
        """Hold *database*, and a scheduler."""
        self.database = database
        self.scheduler = Scheduler()


@asynccontextmanager
async def asking():
    """Run a backend with a table."""
    async with Database([fruits()]) as database:
        yield LocalBackend(Agent(database), lambda: None)


async def test_a_query_streams_batches():
    """Columns are known at once, rows come, and the cost is known."""
    async with asking() as backend, backend.query("SELECT name FROM fruits") as stream:
        assert [column.name for column in stream.columns] == ["name"]
        rows = [row async for batch in stream for row in batch]
        assert ("apple",) in rows
        assert stream.cpu_seconds > 0


async def test_a_wrong_query_fails_on_entering():
    """What does not compile is told before there is a stream."""
    async with asking() as backend:
        with pytest.raises(StatementError, match="no such table"):
            async with backend.query("SELECT * FROM vegetables"):
                pass


async def test_a_cancelled_query_stops():
    """Who iterates over a cancelled statement gets a StoppedError."""
    async with asking() as backend, backend.query("SELECT name FROM fruits") as stream:
        stream.cancel()
        with pytest.raises(StoppedError):
            [batch async for batch in stream]


async def test_a_subscription_is_a_query_of_the_console():
    """The scheduler holds it as long as the context, with a name of its own."""
    backend = LocalBackend(agent := Agent(), lambda: None)
    async with (
        backend.subscribe("SELECT 1", Subscription.EVENTS, SECOND),
        backend.subscribe("SELECT 1", Subscription.EVENTS, SECOND),
    ):
        held = agent.scheduler.installed
        assert len(held) == 2
        for query, _ in held.values():
            assert (query.asker, query.sql) == ("console", "SELECT 1")
            assert (query.subscription, query.interval) == (Subscription.EVENTS, SECOND)
    assert not held


async def test_a_wrong_subscription_fails_on_entering():
    """What does not compile is told at once, and nothing is left behind."""
    backend = LocalBackend(agent := Agent(), lambda: None)
    with pytest.raises(StatementError):
        async with backend.subscribe("wrong", Subscription.EVENTS, SECOND):
            pass
    assert not agent.scheduler.installed


async def test_results_and_errors_come_in_order():
    """A failed run raises, and the iteration goes on after it."""
    subscriber = Subscriber()
    await subscriber.result(QUERY, RESULT)
    subscriber.failed(QUERY, QueryError("no"))
    await subscriber.result(QUERY, RESULT)
    assert await anext(subscriber) is RESULT
    with pytest.raises(QueryError, match="no"):
        await anext(subscriber)
    assert await anext(subscriber) is RESULT


async def test_a_slow_console_holds_its_own_query_up():
    """With a few results waiting the recipient waits, and goes on once there is room."""
    subscriber = Subscriber()
    for _ in range(BACKLOG):
        await subscriber.result(QUERY, RESULT)
    waiting = asyncio.ensure_future(subscriber.result(QUERY, RESULT))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await anext(subscriber)
    await waiting


async def test_the_end_frees_who_waits():
    """A query that is cancelled while its recipient waits does not wait for ever."""
    subscriber = Subscriber()
    for _ in range(BACKLOG):
        await subscriber.result(QUERY, RESULT)
    waiting = asyncio.ensure_future(subscriber.result(QUERY, RESULT))
    await asyncio.sleep(0)
    subscriber.done(QUERY, is_cancelled=True)
    await waiting
    assert len([result async for result in subscriber]) == BACKLOG
    assert [result async for result in subscriber] == []


async def test_errors_nobody_takes_are_bounded():
    """A console that sleeps does not gather errors for ever."""
    subscriber = Subscriber()
    for number in range(1000):
        subscriber.failed(QUERY, QueryError(str(number)))
    assert subscriber._queue.qsize() < 20


async def test_terminate_ends_the_agent():
    """The agent is told to end, and who waits for that is told too."""
    called = []
    backend = LocalBackend(Agent(), lambda: called.append(1))
    waiting = asyncio.ensure_future(backend.wait_closed())
    await backend.terminate()
    await waiting
    assert called == [1]


async def test_the_end_of_the_agent_is_seen():
    """An agent that is told to end by a signal ends its console too."""
    ended = asyncio.Event()
    backend = LocalBackend(Agent(), lambda: None, ended)
    ended.set()
    await backend.wait_closed()
