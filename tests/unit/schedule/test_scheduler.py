"""Tests of running queries, with a clock that only the test moves."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest

from zeek_agent_core.errors import QueryError, StatementError
from zeek_agent_core.events import EventBuffer
from zeek_agent_core.query import Change, Query, ResultColumn, Subscription
from zeek_agent_core.schedule.scheduler import QUIET, Scheduler
from zeek_agent_core.table import Where

COLUMNS = (ResultColumn("value"),)
INTERVAL = 10
WHERE = Where(frozenset({"value"}), allowed={"value": frozenset({"x"})})


class FakeEvents:
    """Evented tables whose events the test adds."""

    def __init__(self, *names):
        self.buffers = {name: EventBuffer(1000, 1e9) for name in names}
        self.users = Counter()
        self.complete_from = 0
        self.wanted = {}
        self.lost = {}

    def acquire(self, names, _reader):
        self.users.update(self.buffers.keys() & names)

    def release(self, names, _reader):
        self.users.subtract(self.buffers.keys() & names)

    def positions(self, names):
        return {name: self.buffers[name].last for name in self.buffers.keys() & names}

    def complete(self, names):
        return dict.fromkeys(self.positions(names), self.complete_from)

    def want(self, reader, wheres):
        self.wanted[reader.query.id] = wheres

    def losses(self, names):
        return {name: text for name, text in self.lost.items() if name in names}

    def mark_read(self, table, position):
        self.buffers[table].read = position


class Bench:
    """A scheduler on a made-up database: a dictionary of tables."""

    def __init__(self):
        self.time = 1000.0
        self.clock = lambda: self.time
        self.tables = {"t": [("a",)]}
        self.events = FakeEvents("e")
        self.names = {"t", "e"}
        self.executed = []
        self.hold = None
        self.tasks = set()
        self.scheduler = Scheduler(
            execute=self.execute,
            prepare=self.prepare,
            events=self.events,
            spawn=self.spawn,
            tables=self.names,
            now=lambda: self.clock(),
        )

    def spawn(self, work, name):
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def prepare(self, sql):
        await asyncio.sleep(0)
        table = sql.split()[0]
        if table not in self.names:
            raise StatementError(f"no such table: {table}")
        return frozenset({table})

    async def execute(self, sql, positions):
        self.executed.append(sql)
        table = sql.split()[0]
        rows = self.tables.get(table)
        if isinstance(rows, Exception):
            raise rows
        if table in positions:
            rows = list(self.events.buffers[table].rows(*positions[table]))
        if self.hold is not None:
            await self.hold.wait()
        return SimpleNamespace(columns=COLUMNS, rows=list(rows), seconds=0.25, wanted={"e": WHERE})

    async def settle(self):
        while self.tasks:
            await asyncio.gather(*self.tasks)

    async def tick(self, seconds=0.0):
        """Let time pass, run what is due, wait until it is done."""
        self.time += seconds
        due = self.scheduler.tick()
        await self.settle()
        return due

    async def install(self, query_id="q", sql="t", interval=INTERVAL, recipient=None, **more):
        recipient = recipient or Keeper()
        length = None if interval is None else timedelta(seconds=interval)
        await self.scheduler.install(Query(query_id, sql, length, **more), recipient)
        return recipient


class Keeper:
    """Keeps what it is told."""

    def __init__(self):
        self.results = []
        self.errors = []
        self.losses = []
        self.ends = []

    def result(self, query, result):
        self.results.append(result)

    def failed(self, query, error):
        self.errors.append(str(error))

    def done(self, query, *, is_cancelled):
        self.ends.append(is_cancelled)

    def lost(self, query, text):
        self.losses.append(text)

    def last(self):
        """Return the last result, as changes."""
        return list(self.results[-1].changes())

    def values(self):
        """Return the first value of all rows of all results."""
        return [row[0] for result in self.results for _, row in result.changes()]


class Raiser(Keeper):
    """Fails at whatever it is told."""

    def result(self, query, result):
        raise RuntimeError("result")

    def failed(self, query, error):
        raise RuntimeError("failed")

    def lost(self, query, text):
        raise RuntimeError("lost")

    def done(self, query, *, is_cancelled):
        raise RuntimeError("done")


class Slow(Keeper):
    """Takes each result only when it is allowed to."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def result(self, query, result):
        await self.gate.wait()
        self.results.append(result)


@pytest.fixture
async def bench():
    """Return a scheduler to drive."""
    made = Bench()
    yield made
    for task in list(made.tasks):
        task.cancel()


async def test_single_shot(bench):
    """A query without subscription runs once, at once, and is then over."""
    keeper = await bench.install(interval=None)
    assert await bench.tick() is None
    assert keeper.last() == [(None, ("a",))]
    assert keeper.results[0].is_first
    assert keeper.results[0].total == 1
    assert keeper.results[0].duration == timedelta(seconds=0.25)
    assert keeper.ends == [False]
    assert not bench.scheduler.installed


async def test_single_shot_ignores_its_interval(bench):
    """An interval without subscription makes nothing repeat."""
    keeper = await bench.install(interval=1)
    await bench.tick()
    await bench.tick(5)
    assert len(keeper.results) == 1
    assert keeper.ends == [False]


async def test_snapshots(bench):
    """Snapshots send all rows each time, also where nothing changed."""
    keeper = await bench.install(subscription=Subscription.SNAPSHOTS)
    for _ in range(3):
        await bench.tick(INTERVAL)
    assert [list(r.changes()) for r in keeper.results] == [[(None, ("a",))]] * 3
    assert [r.is_first for r in keeper.results] == [True, False, False]


async def test_differences(bench):
    """Differences send nothing first, then what is gone before what has come, sorted."""
    keeper = await bench.install(subscription=Subscription.DIFFERENCES)
    await bench.tick()
    assert (keeper.last(), keeper.results[0].total) == ([], 1)
    bench.tables["t"] = [("z",), ("c",), ("b",)]
    await bench.tick(INTERVAL)
    assert keeper.last() == [
        (Change.DELETE, ("a",)), (Change.ADD, ("b",)), (Change.ADD, ("c",)), (Change.ADD, ("z",)),
    ]  # fmt: skip
    await bench.tick(INTERVAL)
    assert keeper.last() == []
    bench.tables["t"] = []
    await bench.tick(INTERVAL)
    assert keeper.last() == [(Change.DELETE, (value,)) for value in "bcz"]
    assert keeper.results[-1].columns == COLUMNS


async def test_snapshot_plus_differences(bench):
    """The first result has all rows without a change, later ones have changes."""
    keeper = await bench.install(subscription=Subscription.SNAPSHOT_PLUS_DIFFERENCES)
    await bench.tick()
    assert keeper.last() == [(None, ("a",))]
    bench.tables["t"] = [("b",)]
    await bench.tick(INTERVAL)
    assert keeper.last() == [(Change.DELETE, ("a",)), (Change.ADD, ("b",))]


async def test_events_of_a_snapshot_table(bench):
    """Events of a snapshot table are the rows that have come; those gone are silent."""
    keeper = await bench.install(subscription=Subscription.EVENTS)
    await bench.tick()
    assert keeper.last() == []
    bench.tables["t"] = [("b",), ("b",)]
    await bench.tick(INTERVAL)
    assert keeper.last() == [(Change.ADD, ("b",))] * 2


@pytest.mark.parametrize("subscription", [Subscription.EVENTS, Subscription.SNAPSHOTS])
async def test_each_event_once(bench, subscription):
    """Each query gets each event once, equal ones too, however their runs interleave."""
    fast = await bench.install("fast", "e", 5, subscription=subscription)
    slow = await bench.install("slow", "e", 20, subscription=subscription)
    await bench.tick()
    added = 0
    for step in range(60):
        for _ in range(step % 4):
            bench.events.buffers["e"].add([("same",)], 0.0)
            added += 1
        await bench.tick(1)
    await bench.tick(20)
    assert len(fast.values()) == added
    assert len(slow.values()) == added
    assert bench.events.buffers["e"].read == added


async def test_events_begin_with_the_query(bench):
    """A subscription to events does not get those from before it; snapshots do."""
    bench.events.buffers["e"].add([("before",)], 0.0)
    live = await bench.install("live", "e", subscription=Subscription.EVENTS)
    full = await bench.install("full", "e", subscription=Subscription.SNAPSHOTS)
    await bench.tick()
    assert (live.values(), full.values()) == ([], ["before"])


async def test_failed_run_loses_no_event(bench):
    """What a failed run would have read is read by the next one."""
    keeper = await bench.install(sql="e", subscription=Subscription.EVENTS)
    await bench.tick()
    bench.events.buffers["e"].add([("x",)], 0.0)
    bench.tables["e"] = QueryError("broken")
    await bench.tick(INTERVAL)
    del bench.tables["e"]
    bench.tables["e"] = []
    await bench.tick(INTERVAL)
    assert keeper.values() == ["x"]


async def test_differences_of_an_evented_table(bench):
    """Differences of an evented table add an event, and delete it one interval later."""
    keeper = await bench.install(sql="e", subscription=Subscription.DIFFERENCES)
    await bench.tick()
    bench.events.buffers["e"].add([("x",)], 0.0)
    await bench.tick(INTERVAL)
    assert keeper.last() == [(Change.ADD, ("x",))]
    await bench.tick(INTERVAL)
    assert keeper.last() == [(Change.DELETE, ("x",))]


@pytest.mark.parametrize("interval", [0, None, -1])
async def test_schedule_of_zero(bench, interval):
    """A subscription without a positive interval runs exactly once."""
    keeper = await bench.install(interval=interval, subscription=Subscription.SNAPSHOTS)
    for _ in range(3):
        await bench.tick(INTERVAL)
    assert len(keeper.results) == 1
    assert keeper.ends == [False]


async def test_intervals_are_not_endlessly_short(bench):
    """A query with an interval of next to nothing does not keep the agent spinning."""
    await bench.install(interval=1e-6, subscription=Subscription.SNAPSHOTS)
    await bench.tick()
    assert await bench.tick(0.01) - bench.time > 0.01


async def test_cancel(bench):
    """After a cancel nothing is delivered, and the asker learns that it is over."""
    keeper = await bench.install(sql="e", subscription=Subscription.SNAPSHOTS)
    await bench.tick()
    assert bench.events.users["e"] == 1
    assert bench.scheduler.cancel("q")
    await bench.tick(INTERVAL)
    assert (len(keeper.results), keeper.ends) == (1, [True])
    assert bench.events.users["e"] == 0
    assert not bench.scheduler.cancel("q")


async def test_close(bench):
    """Closing the scheduler cancels all queries, so that no source is left running."""
    keepers = [await bench.install(name, "e", interval=5) for name in "ab"]
    bench.scheduler.close()
    assert [keeper.ends for keeper in keepers] == [[True], [True]]
    assert bench.events.users["e"] == 0
    assert await bench.tick(10) is None


async def test_cancel_while_running(bench):
    """A run under way when its query is cancelled delivers nothing."""
    keeper = await bench.install(subscription=Subscription.SNAPSHOTS)
    bench.hold = asyncio.Event()
    bench.scheduler.tick()
    await asyncio.sleep(0)
    bench.scheduler.cancel("q")
    bench.hold.set()
    await bench.settle()
    assert (keeper.results, keeper.ends) == ([], [True])


async def test_cancel_while_compiling(bench):
    """A query cancelled before it has compiled never runs, and holds no table."""
    installing = asyncio.create_task(bench.install(sql="e", subscription=Subscription.EVENTS))
    await asyncio.sleep(0)
    bench.scheduler.cancel("q")
    keeper = await installing
    assert await bench.tick(INTERVAL) is None
    assert (keeper.results, bench.events.users["e"]) == ([], 0)


async def test_no_overlap(bench, caplog):
    """A run that takes longer than its interval is not started again; it is told once."""
    keeper = await bench.install(subscription=Subscription.SNAPSHOTS)
    bench.hold = asyncio.Event()
    for _ in range(4):
        bench.time += INTERVAL
        bench.scheduler.tick()
        await asyncio.sleep(0)
    assert bench.executed == ["t"]
    assert bench.scheduler.installed["q"].overruns == 3
    assert caplog.text.count("takes longer than its interval") == 1
    bench.hold.set()
    await bench.settle()
    await bench.tick(INTERVAL)
    assert len(keeper.results) == 2


async def test_alike_statements_run_once(bench):
    """Queries of the same text that are due together are collected once."""
    first = await bench.install("one", subscription=Subscription.SNAPSHOTS)
    second = await bench.install("two", subscription=Subscription.DIFFERENCES)
    await bench.install("three", "t other", subscription=Subscription.SNAPSHOTS)
    await bench.tick()
    assert Counter(bench.executed) == {"t": 1, "t other": 1}
    assert (len(first.values()), len(second.results)) == (1, 1)


async def test_alike_statements_at_different_events(bench):
    """Queries of the same text do not share a run when they have read differently far."""
    await bench.install("one", "e", subscription=Subscription.SNAPSHOTS)
    await bench.tick()
    bench.events.buffers["e"].add([("x",)], 0.0)
    await bench.tick(INTERVAL)
    late = await bench.install("two", "e", subscription=Subscription.SNAPSHOTS)
    await bench.tick(INTERVAL)
    assert late.values() == ["x"]


async def test_requires_tables(bench):
    """A query waits, unchecked, until the tables it requires are there."""
    keeper = await bench.install(sql="gone !", requires_tables=frozenset({"gone"}))
    await bench.tick(INTERVAL)
    assert (keeper.results, keeper.errors, keeper.ends) == ([], [], [])
    assert bench.scheduler.installed["q"].is_waiting
    bench.names.add("gone")
    bench.tables["gone"] = [("here",)]
    await bench.scheduler.tables_changed()
    await bench.tick()
    assert keeper.values() == ["here"]


async def test_if_missing_tables(bench):
    """A query for hosts without a table waits while the table is there."""
    more = {"if_missing_tables": frozenset({"t"}), "subscription": Subscription.SNAPSHOTS}
    keeper = await bench.install(sql="e", **more)
    await bench.tick(INTERVAL)
    assert bench.events.users["e"] == 0
    bench.names.discard("t")
    await bench.scheduler.tables_changed()
    await bench.tick()
    assert (len(keeper.results), bench.events.users["e"]) == (1, 1)
    bench.names.add("t")
    await bench.scheduler.tables_changed()
    await bench.tick(INTERVAL)
    assert (len(keeper.results), bench.events.users["e"]) == (1, 0)


async def test_tables_go_and_come(bench):
    """Where tables come back a query starts afresh, with a full result first."""
    more = {"subscription": Subscription.SNAPSHOT_PLUS_DIFFERENCES}
    keeper = await bench.install(requires_tables=frozenset({"t"}), **more)
    await bench.tick()
    bench.names.discard("t")
    await bench.scheduler.tables_changed()
    await bench.tick(INTERVAL)
    bench.names.add("t")
    await bench.scheduler.tables_changed()
    await bench.tick(INTERVAL)
    assert [list(r.changes()) for r in keeper.results] == [[(None, ("a",))]] * 2


async def test_tables_go_while_running(bench):
    """A run under way when its tables go is void; the query runs when they are back."""
    keeper = await bench.install(requires_tables=frozenset({"t"}))
    bench.hold = asyncio.Event()
    bench.scheduler.tick()
    await asyncio.sleep(0)
    bench.names.discard("t")
    await bench.scheduler.tables_changed()
    bench.names.add("t")
    await bench.scheduler.tables_changed()
    bench.hold.set()
    await bench.tick()
    assert (keeper.values(), keeper.ends) == (["a"], [False])
    assert len(bench.executed) == 2


async def test_tables_go_while_compiling(bench):
    """A table that goes and comes while a query compiles is acquired once."""
    install = bench.install(sql="e", subscription=Subscription.EVENTS,
                            requires_tables=frozenset({"t"}))  # fmt: skip
    installing = asyncio.create_task(install)
    await asyncio.sleep(0)
    bench.names.discard("t")
    await bench.scheduler.tables_changed()
    bench.names.add("t")
    await bench.scheduler.tables_changed()
    await installing
    assert bench.events.users["e"] == 1


async def test_wrong_statement_after_waiting(bench):
    """A statement that turns out wrong once its tables are there is told, and is over."""
    keeper = await bench.install(sql="wrong", requires_tables=frozenset({"gone"}))
    bench.names.add("gone")
    await bench.scheduler.tables_changed()
    assert keeper.errors == ["no such table: wrong"]
    assert keeper.ends == [False]
    assert not bench.scheduler.installed


async def test_wrong_statement(bench):
    """A statement that does not compile is refused at once and not kept."""
    with pytest.raises(StatementError, match="no such table: wrong"):
        await bench.install(sql="wrong")
    assert not bench.scheduler.installed


async def test_error_once_per_change_of_state(bench, caplog):
    """A failure is told when it is new; after a run that worked it is new again."""
    caplog.set_level(logging.INFO)
    keeper = await bench.install(subscription=Subscription.SNAPSHOTS)
    for rows in [
        [],
        QueryError("one"),
        QueryError("one"),
        QueryError("two"),
        [],
        QueryError("two"),
    ]:
        bench.tables["t"] = rows
        await bench.tick(INTERVAL)
    assert keeper.errors == ["one", "two", "two"]
    assert caplog.text.count("failed: ") == 3
    assert caplog.text.count("works again") == 1
    assert bench.scheduler.installed["q"].errors == 4
    assert len(keeper.results) == 2


async def test_failed_single_shot_is_over(bench):
    """A single run that fails is told and is over."""
    keeper = await bench.install(interval=None)
    bench.tables["t"] = QueryError("broken")
    await bench.tick()
    assert (keeper.errors, keeper.ends) == (["broken"], [False])


async def test_unexpected_error(bench, caplog):
    """A fault in the agent itself is told like any other failure, and logged with its trace."""
    keeper = await bench.install(interval=None)
    bench.tables["t"] = ZeroDivisionError("oops")
    await bench.tick()
    assert keeper.errors == ["internal error: ZeroDivisionError: oops"]
    assert keeper.ends == [False]
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("rows", [[("a",)], QueryError("broken")])
async def test_recipient_that_raises(bench, rows):
    """A recipient that fails at everything harms neither the others nor the scheduler."""
    bench.tables["t"] = rows
    await bench.install("bad", recipient=Raiser(), subscription=Subscription.SNAPSHOTS)
    good = await bench.install("good", subscription=Subscription.SNAPSHOTS)
    await bench.install("once", recipient=Raiser(), interval=None)
    for _ in range(2):
        await bench.tick(INTERVAL)
    told = good.results if isinstance(rows, list) else good.errors
    assert len(told) == (2 if isinstance(rows, list) else 1)
    assert bench.scheduler.installed["bad"].runs == 2
    assert bench.scheduler.cancel("bad")
    assert set(bench.scheduler.installed) == {"good"}


async def test_slow_recipient(bench):
    """Who is slow to take a result holds up only itself, and is sent no other meanwhile."""
    slow = await bench.install("slow", recipient=Slow(), subscription=Subscription.SNAPSHOTS)
    good = await bench.install("good", subscription=Subscription.SNAPSHOTS)
    for _ in range(3):
        bench.time += INTERVAL
        bench.scheduler.tick()
        for _ in range(5):
            await asyncio.sleep(0)
    assert (len(good.results), len(slow.results)) == (3, 0)
    slow.gate.set()
    await bench.settle()
    assert len(slow.results) == 1


async def test_id_in_use(bench):
    """A second query of one id is refused and leaves the first as it is."""
    keeper = await bench.install(subscription=Subscription.SNAPSHOTS)
    with pytest.raises(QueryError, match="query id q is in use"):
        await bench.install()
    await bench.tick()
    assert len(keeper.results) == 1


async def test_grid(bench):
    """Queries of one interval run together, at the host's place in it, without drift."""
    await bench.install("one", subscription=Subscription.SNAPSHOTS)
    assert await bench.tick() == 1010
    bench.time = 1007.0
    await bench.install("two", "t 2", subscription=Subscription.SNAPSHOTS)
    assert await bench.tick() == 1010
    assert bench.scheduler.installed["two"].due == 1020
    bench.time = 1013.5
    assert await bench.tick() == 1020


async def test_run_wakes_up(bench):
    """The scheduler's task runs a query as soon as it is installed, and again when due."""
    bench.clock = asyncio.get_running_loop().time
    task = asyncio.create_task(bench.scheduler.run())
    await asyncio.sleep(0.01)
    keeper = await bench.install(interval=0.05, subscription=Subscription.SNAPSHOTS)
    async with asyncio.timeout(5):
        while len(keeper.results) < 3:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


async def test_wants_are_handed_on(bench):
    """After a run the evented tables know what the query wants of them."""
    await bench.install("e", sql="e", subscription=Subscription.EVENTS)
    assert bench.events.wanted == {}
    await bench.tick()
    assert bench.events.wanted == {"e": {"e": WHERE}}


async def test_begins_where_rows_are_complete(bench):
    """A query does not read what others have narrowed before it came."""
    for value in "abc":
        bench.events.buffers["e"].add([(value,)], 0.0)
    bench.events.complete_from = 2
    keeper = await bench.install(sql="e", subscription=Subscription.SNAPSHOTS)
    await bench.tick()
    assert keeper.values() == ["c"]


async def test_losses_are_told_now_and_then(bench):
    """An asker hears of lost events once per change, and not more often than once a minute."""
    bench.events.lost = {"e": "ring 1", "other": "ring 5"}
    keeper = await bench.install(sql="e", subscription=Subscription.EVENTS)
    raiser = await bench.install("r", sql="e", recipient=Raiser(), subscription=Subscription.EVENTS)
    assert isinstance(raiser, Raiser)
    await bench.tick()
    assert keeper.losses == []
    for count in (2, 2, 3):
        bench.events.lost = {"e": f"ring {count}"}
        await bench.tick(INTERVAL)
    text = "table e lost events since the agent started: ring "
    assert keeper.losses == [text + "2"]
    await bench.tick(QUIET)
    await bench.tick(QUIET)
    assert keeper.losses == [text + "2", text + "3"]
