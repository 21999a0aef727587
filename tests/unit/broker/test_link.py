"""Tests of the link: from the scripted Zeek to a real scheduler, and back."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from tests.unit.broker.conftest import QUICK
from zeek_agent_core.broker import destination
from zeek_agent_core.broker.backoff import Backoff
from zeek_agent_core.broker.link import Link
from zeek_agent_core.broker.messages import AgentHello
from zeek_agent_core.broker.session import Session, SessionOptions
from zeek_agent_core.broker.transport import Flavour
from zeek_agent_core.broker.websocket import WebSocket
from zeek_agent_core.errors import StatementError
from zeek_agent_core.events import Events
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.schedule.scheduler import Scheduler
from zeek_agent_core.testing.zeek import HELLO, Zeek
from zeek_agent_core.values import Type

ERROR = "ZeekAgentAPI::agent_error_v1"
BOTH = pytest.mark.parametrize("flavour", [Flavour.CLUSTER, Flavour.BROKER])


class Answer:
    """What running a statement returned."""

    columns = (ResultColumn("n", Type.COUNT), ResultColumn("text", Type.TEXT))
    seconds = 0.0

    def __init__(self, rows):
        self.rows = rows


class Sql:
    """Stands for the database: a statement is the number of rows it returns."""

    def __init__(self):
        self.runs = 0
        self.rows = None

    async def execute(self, sql, _positions):
        self.runs += 1
        if self.rows is not None:
            return Answer(list(self.rows))
        return Answer([(number, f"row {number}") for number in range(int(sql))])

    async def prepare(self, sql):
        if not sql.isdigit():
            raise StatementError(f"no such table: {sql}")
        return frozenset({"numbers"})


class Agent:
    """A link and a scheduler."""

    def __init__(self, address, spread=0.0, backoff=None, permit=None, audit=None, **options):
        self.sql = Sql()
        self.tasks = set()
        self.scheduler = Scheduler(
            execute=self.sql.execute,
            prepare=self.sql.prepare,
            events=Events([], self.spawn),
            spawn=self.spawn,
            tables={"numbers"},
        )
        settings = SessionOptions("z", "H1", "linux", spread=spread, **options)
        self.session = Session(settings, lambda: AgentHello("H1", "i1", tables=("numbers",)))
        self.transports = []
        self.link = Link(
            destination.parse(address),
            self.session,
            self.scheduler,
            self.connect,
            backoff=backoff or Backoff(mean=0.3),
            permit=permit,
            audit=audit,
        )

    def connect(self, endpoint, pace):
        self.transports.append(WebSocket(endpoint, pace=pace, agent_id="H1", timing=QUICK))
        return self.transports[-1]

    def spawn(self, work, name):
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


@asynccontextmanager
async def agent(*addresses, **options):
    """Run an agent that joins one Zeek at *addresses*."""
    made = Agent(",".join(addresses), **options)
    made.spawn(made.scheduler.run(), "scheduler")
    running = asyncio.create_task(made.link.run())
    try:
        yield made
        assert not running.done()
        await made.link.close(0.5)
    finally:
        running.cancel()
        for task in list(made.tasks):
            task.cancel()
        await asyncio.gather(running, *made.tasks, return_exceptions=True)


async def greeted(zeek, **hello):
    """Return the next client, once it has said hello and been answered."""
    client = await zeek.client()
    await client.expect(HELLO)
    client.hello(**hello)
    return client


@BOTH
async def test_query_and_answer(flavour):
    """A query that Zeek installs is run, and its rows come as the event it named."""
    async with Zeek(flavour) as zeek, agent(zeek.destination):
        client = await greeted(zeek)
        client.install("q1", "3", event="E::row", cookie="c")
        assert await client.results("E::row", 3) == [(n, f"row {n}") for n in range(3)]


async def test_repeats_until_cancelled():
    """A scheduled query runs again and again until Zeek cancels it."""
    async with Zeek() as zeek, agent(zeek.destination) as ours:
        client = await greeted(zeek)
        client.install("q1", "1", event="E::row", seconds=0.05)
        await client.results("E::row", 3)
        client.cancel("q1")
        async with asyncio.timeout(5):
            while ours.scheduler.installed:
                await asyncio.sleep(0.01)


async def test_wrong_statement():
    """A statement that does not compile is told to the Zeek that asked."""
    async with Zeek() as zeek, agent(zeek.destination):
        client = await greeted(zeek)
        client.install("q1", "SELECT nonsense")
        error = await client.expect(ERROR)
        assert "no such table: SELECT nonsense" in error.arguments[1]


@pytest.mark.parametrize("lost", [1, 3])
async def test_hello_is_repeated(lost):
    """Zeek may miss the first hellos; they are said again within the back-off time."""
    async with Zeek(lost_hellos=lost) as zeek, agent(zeek.destination, hello_interval=0.1):
        await greeted(zeek)


async def test_comes_back():
    """A Zeek that is killed and started again is joined again, and asks anew."""
    async with Zeek() as zeek, agent(zeek.destination) as ours:
        client = await greeted(zeek)
        client.install("q1", "1", seconds=0.05)
        await client.results("rows", 1)
        await zeek.stop()
        await asyncio.sleep(0.2)
        assert not ours.scheduler.installed
        await zeek.start()
        client = await greeted(zeek)
        client.install("q1", "2", event="again", seconds=0.05)
        assert await client.results("again", 2) == [(0, "row 0"), (1, "row 1")]
        assert ours.link.connects == 2


async def test_changes_while_away_arrive_once():
    """What changes while the connection is cut arrives once when Zeek is back."""
    async with Zeek() as zeek, agent(zeek.destination) as ours:
        ours.sql.rows = []
        client = await greeted(zeek)
        client.install("q1", "0", seconds=0.05, subscription="Differences")
        while ours.sql.runs < 3:
            await asyncio.sleep(0.01)
        await zeek.stop()
        for number in range(100):
            ours.sql.rows.append((number, "while away"))
            await asyncio.sleep(0.005)
        await zeek.start()
        client = await greeted(zeek)
        client.install("q1", "0", seconds=0.05, subscription="Differences")
        rows = await client.results("rows", 100)
        assert sorted(row[0] for row in rows) == list(range(100))
        await asyncio.sleep(0.3)
        assert not [event for event in client.events if event.name == "rows"]


async def test_unconfirmed_rows_are_sent_again():
    """Rows that a stalled Zeek never took are sent to its successor."""
    async with Zeek() as zeek, agent(zeek.destination) as ours:
        ours.sql.rows = []
        client = await greeted(zeek)
        client.install("q1", "0", seconds=0.05, subscription="Differences")
        while ours.sql.runs < 3:
            await asyncio.sleep(0.01)
        zeek.reading.clear()
        await asyncio.sleep(0.1)
        ours.sql.rows = [(number, "x" * 1000) for number in range(3000)]
        await asyncio.sleep(0.5)
        await zeek.stop()
        zeek.reading.set()
        await zeek.start()
        again = await greeted(zeek)
        again.install("q1", "0", seconds=0.05, subscription="Differences")
        rows = [event.arguments[1][0] for event in client.events if event.name == "rows"]
        async with asyncio.timeout(20):
            while set(rows) != set(range(3000)):
                rows += [row[0] for row in await again.results("rows", 1)]
        assert ours.link.connects == 2


async def test_slow_zeek_slows_the_query():
    """While Zeek takes rows slowly the query waits, and the agent holds no more than a window."""
    async with Zeek(seconds_per_event=0.001) as zeek, agent(zeek.destination) as ours:
        client = await greeted(zeek)
        client.install("q1", "2000", seconds=0.05)
        await asyncio.sleep(2.0)
        assert 1 <= ours.sql.runs <= 3
        assert ours.transports[0]._queued_bytes < 1 << 20
        assert ours.scheduler.installed["z/zeek_1/q1"].overruns > 5
        assert zeek.clients[0].is_open


async def test_hello_overtakes_rows():
    """A hello does not wait behind a large result."""
    async with Zeek(seconds_per_event=0.001) as zeek, agent(zeek.destination, hello_interval=0.2):
        client = await greeted(zeek)
        client.install("q1", "100000")
        await client.results("rows", 100)
        client.events.clear()
        await client.expect(HELLO, 8)


async def test_fail_over():
    """Where the first endpoint does not answer, the next one is tried at once."""
    async with Zeek() as dead, Zeek() as zeek:
        await dead.stop()
        async with agent(dead.destination, zeek.destination, backoff=Backoff(mean=1e6)):
            await greeted(zeek)


async def test_a_slow_install_stops_nothing_else():
    """While a statement takes long to compile, the connection is served."""
    async with Zeek(ping_interval=0.1) as zeek, agent(zeek.destination) as ours:
        client = await greeted(zeek)
        ours.sql.prepare = lambda _: asyncio.Event().wait()
        for number in range(100):
            client.install(f"q{number}", "1")
            client.cancel(f"q{number}")
        await asyncio.sleep(0.5)
        assert client.is_open


async def test_goodbye():
    """An agent that ends says so to everybody, and closes the connection properly."""
    async with Zeek() as zeek:
        async with agent(zeek.destination):
            client = await greeted(zeek)
        await client.expect("ZeekAgentAPI::agent_shutdown_v1", 1)
        assert client.close_code == 1000


async def test_failures_are_logged_once(caplog):
    """Attempts that fail for the same reason leave one line in the log."""
    caplog.set_level(logging.INFO)
    async with Zeek() as zeek:
        await zeek.stop()
        async with agent(zeek.destination, backoff=Backoff(mean=0.01)) as ours:
            while len(ours.transports) < 5:
                await asyncio.sleep(0.01)
    lines = [r.message for r in caplog.records if r.name == "zeek_agent_core.broker.link"]
    assert len(lines) == 1
    assert "refused" in lines[0]


async def test_names_are_resolved_each_time(monkeypatch):
    """Each attempt asks anew which address a name has."""
    asked = []
    loop = asyncio.get_running_loop()
    original = loop.getaddrinfo

    async def counting(host, port, **options):
        asked.append(host)
        return await original("127.0.0.1", port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", counting)
    async with Zeek() as zeek:
        await zeek.stop()
        address = f"ws://zeek.test:{zeek.port}"
        async with agent(address, backoff=Backoff(mean=0.01)):
            async with asyncio.timeout(5):
                while len(asked) < 3:
                    await asyncio.sleep(0.01)


async def test_first_snapshots_are_spread_after_a_reconnect():
    """On the first connection queries run at once, after a reconnect within the spread."""
    async with Zeek() as zeek, agent(zeek.destination, spread=1e6) as ours:
        client = await greeted(zeek)
        client.install("q1", "1", seconds=60)
        await client.results("rows", 1)
        client.abort()
        client = await greeted(zeek)
        client.install("q1", "1", seconds=60)
        await asyncio.sleep(0.2)
        assert not ours.scheduler.installed
        assert ours.session.held


async def test_refused_by_policy():
    """A query that the policy refuses never runs, and Zeek is told why."""

    async def permit(query):
        return "not today" if query.sql == "7" else None

    async with Zeek() as zeek, agent(zeek.destination, permit=permit) as ours:
        client = await greeted(zeek)
        client.install("q1", "7")
        error = await client.expect(ERROR)
        assert "not today" in error.arguments[1]
        assert ours.sql.runs == 0
        client.install("q2", "1")
        await client.results("rows", 1)


async def test_audit_sees_everything():
    """Queries that came and rows that went are shown to the audit."""
    seen = []
    async with Zeek() as zeek, agent(zeek.destination, audit=seen.extend):
        client = await greeted(zeek)
        client.install("q1", "2")
        await client.results("rows", 2)
    kinds = [type(order).__name__ for order in seen]
    assert kinds.index("Install") < kinds.index("PublishRows")


async def test_a_fault_of_ours_does_not_end_the_link(caplog):
    """An error in our own code is logged, and the next attempt is made."""
    async with Zeek() as zeek, agent(zeek.destination, backoff=Backoff(mean=0.01)) as ours:
        client = await greeted(zeek)
        lost, ours.session.lost = ours.session.lost, None
        client.abort()
        await asyncio.sleep(0.1)
        ours.session.lost = lost
        await greeted(zeek)
    assert "NoneType" in caplog.text
