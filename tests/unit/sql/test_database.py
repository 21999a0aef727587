"""Statements run to their end, within bounds, and without harm to each other."""

import asyncio
import sys
import threading
import time
import tracemalloc
from contextlib import suppress

import pytest

from tests.support import FRUIT_ROWS, Beats, fruits, numbers, table
from zeek_agent_core.api import Column, Host, Type
from zeek_agent_core.errors import LimitError, QueryError, StatementError, StoppedError, TableError
from zeek_agent_core.limits import MEBI, Limits
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.sql import database as module
from zeek_agent_core.sql.database import Database

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def quick(monkeypatch):
    """Give hanging threads up early."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)


def hanging(release: threading.Event):
    """Return a table that hangs in a call until *release* is set."""

    def rows(_where):
        yield {"number": 1}
        release.wait(30)
        yield {"number": 2}

    return table(rows, "hanging", (Column("number", Type.COUNT, "a number"),))


async def test_a_result_has_columns_rows_and_tables():
    """A result tells names and types of its columns, and which tables it read."""
    async with Database([fruits(), numbers(3)]) as db:
        result = await db.execute("SELECT name, weight + 1 AS more FROM fruits ORDER BY name")
    assert result.columns == (ResultColumn("name", Type.TEXT), ResultColumn("more"))
    assert result.rows[0] == ("apple", 151)
    assert result.tables == {"fruits"}


async def test_no_rows_still_have_columns():
    """The columns are known even if no row comes."""
    async with Database([fruits()]) as db:
        result = await db.execute("SELECT name FROM fruits WHERE weight < 0")
    assert (result.columns, result.rows) == ((ResultColumn("name", Type.TEXT),), [])


@pytest.mark.parametrize(
    "sql", ["SELECT count(*) FROM beats_events", "SELECT 1 FROM beats_events LIMIT 1"]
)
async def test_a_table_counts_as_read_without_columns(sql):
    """A statement that only counts rows still reads the table."""
    async with Database([Beats(Host())]) as db:
        assert (await db.prepare(sql)).tables == {"beats_events"}
        assert (await db.execute(sql)).tables == {"beats_events"}


async def test_events_come_after_a_position():
    """An evented table is asked for what came after the position of the query."""
    asked = []

    def events(name, after, upto):
        asked.append((name, after, upto))
        return iter([{"number": after + 1}])

    async with Database([Beats(Host())], events=events) as db:
        result = await db.execute(
            "SELECT number FROM beats_events", positions={"beats_events": (41, 50)}
        )
        await db.execute("SELECT number FROM beats_events")
    assert result.rows == [(42,)]
    assert asked == [("beats_events", 41, 50), ("beats_events", 0, None)]


async def test_prepare_does_not_run():
    """Compiling a statement asks the table for nothing."""
    source = fruits()
    async with Database([source]) as db:
        statement = await db.prepare("SELECT * FROM fruits")
    assert statement.tables == {"fruits"}
    assert source.asked == []


async def test_tables_come_and_go():
    """A table added later can be read, one removed cannot."""
    async with Database([]) as db:
        with pytest.raises(StatementError, match="no such table: fruits"):
            await db.execute("SELECT * FROM fruits")
        await db.change([fruits()])
        assert len((await db.execute("SELECT * FROM fruits")).rows) == len(FRUIT_ROWS)
        await db.change(removed=["fruits"])
        with pytest.raises(StatementError, match="no such table: fruits"):
            await db.execute("SELECT * FROM fruits")


async def test_limit_stops_the_producer():
    """A query that has enough rows pulls no more, and closes the generator."""
    source = numbers()
    async with Database([source]) as db:
        rows = (await db.execute("SELECT number FROM numbers LIMIT 3")).rows
        await db.prepare("SELECT 1")  # ends after the first statement was let go
    assert rows == [(0,), (1,), (2,)]
    assert source.pulled <= 4
    assert source.closed == 1


async def test_an_abandoned_result_closes_its_generator():
    """Who leaves a query early leaves nothing running."""
    source = numbers()
    async with Database([source]) as db:
        async with db.query("SELECT number FROM numbers") as running:
            async for batch in running:
                assert batch[0] == (0,)
                break
        await db.prepare("SELECT 1")
        assert source.closed == 1
        assert source.pulled < 10_000


async def test_two_queries_take_turns():
    """A long query does not keep a short one waiting."""
    async with Database([numbers(), fruits()], limits=Limits(seconds=20)) as db:  # noqa: SIM117 - reads better
        async with db.query("SELECT number FROM numbers") as endless:
            batches = aiter(endless)
            assert (await anext(batches))[0] == (0,)
            assert len((await db.execute("SELECT * FROM fruits")).rows) == len(FRUIT_ROWS)
            first = (await anext(batches))[0][0]
            async with db.query("SELECT number FROM numbers") as other:
                assert (await anext(aiter(other)))[0] == (0,)
                assert (await anext(batches))[0][0] > first


async def test_cancelling_one_query_leaves_the_others():
    """Only who was cancelled is told so."""
    limits = Limits(seconds=20, rows=10_000_000)
    async with Database([numbers()], limits=limits) as db:  # noqa: SIM117 - reads better
        async with db.query("SELECT number FROM numbers") as one:
            async with db.query("SELECT number FROM numbers") as other:
                others = aiter(other)
                await anext(others)
                one.cancel()
                with pytest.raises(StoppedError, match="cancelled"):
                    async for _ in one:
                        pass
                assert len(await anext(others)) > 0


async def test_a_cancelled_task_stops_its_statement():
    """Cancelling the asker ends the work in the thread as well."""
    async with Database([numbers()]) as db:
        task = asyncio.create_task(db.execute("SELECT max(number) FROM numbers"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        began = time.perf_counter()
        assert (await db.execute("SELECT 1")).rows == [(1,)]
        assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("sql", "limits", "message"),
    [
        (SLOW, Limits(seconds=0.2, recursion_steps=10**12), "longer than 0.2 s"),
        ("SELECT max(number) FROM numbers", Limits(seconds=0.2), "longer than 0.2 s"),
        ("SELECT number FROM numbers", Limits(seconds=0.2, rows=10**9), "longer than 0.2 s"),
        (SLOW, Limits(recursion_steps=10**6), "too many steps"),
        (SLOW, Limits(recursion_steps=0), "recursive queries are turned off"),
        ("SELECT number FROM numbers", Limits(rows=1000), "more than 1000 rows"),
        ("SELECT hex(zeroblob(100000)) FROM numbers", Limits(result_bytes=MEBI), "larger than 1"),
        ("SELECT randomblob(17000000)", Limits(), "larger than allowed"),
        ("SELECT replace(hex(zeroblob(4000000)), '0', '0123456789')", Limits(), "larger than al"),
        (
            "SELECT group_concat(hex(zeroblob(50000)), '') FROM few a, few b",
            Limits(),
            "larger than allowed",
        ),
        (
            "SELECT randomblob(1000) AS r FROM numbers ORDER BY r",
            Limits(memory_bytes=16 * MEBI),
            "memory",
        ),
        (
            "SELECT DISTINCT randomblob(1000) FROM numbers",
            Limits(memory_bytes=16 * MEBI, rows=10**9, result_bytes=1 << 40),
            "memory",
        ),
        (
            "SELECT count(*) FROM few a, few b, few c, few d, few e",
            Limits(seconds=0.3),
            "longer than 0.3 s",
        ),
        ("SELECT '" + "x" * 200_000 + "'", Limits(), "larger than allowed"),
    ],
)
async def test_bounds_hold(sql, limits, message):
    """Time, rows, memory, sizes and recursion are bounded; the database lives on."""
    async with Database([numbers(), numbers(100, "few")], limits=limits) as db:
        with pytest.raises(LimitError, match=message):
            await db.execute(sql)
        assert (await db.execute("SELECT count(*) FROM few")).rows == [(100,)]


async def test_a_result_of_a_million_rows_hits_the_bound():
    """A table larger than the bound ends with an error that says what to do."""
    async with Database([numbers(1_000_100)]) as db:
        with pytest.raises(LimitError, match="1000000 rows; add conditions or LIMIT"):
            await db.execute("SELECT number FROM numbers")
        assert len((await db.execute("SELECT number FROM numbers LIMIT 9")).rows) == 9


async def test_limits_can_be_given_per_query():
    """A query can have bounds of its own."""
    async with Database([numbers()]) as db:
        with pytest.raises(LimitError, match="more than 5 rows"):
            await db.execute("SELECT number FROM numbers", limits=Limits(rows=5))


async def test_a_few_large_values_are_no_limit_error():
    """A result far below the bound is never refused."""
    async with Database([numbers(3, "few")]) as db:
        for _ in range(8):
            rows = (await db.execute("SELECT zeroblob(15000000), zeroblob(15000000) FROM few")).rows
            assert len(rows) == 3


async def test_large_rows_after_small_ones_are_noticed():
    """The memory that a result takes stays near its bound, wherever the large rows are."""
    sql = "SELECT zeroblob(iif(number < 5000, 1, 1000000)) FROM numbers"
    tracemalloc.start()
    try:
        async with Database([numbers()], limits=Limits(result_bytes=8 * MEBI)) as db:
            with pytest.raises(LimitError, match="larger than 8 MiB"):
                await db.execute(sql)
        assert tracemalloc.get_traced_memory()[1] < 64 * MEBI
    finally:
        tracemalloc.stop()


async def test_waiting_for_a_turn_costs_no_time():
    """The time of a query is that of its own work."""
    limits = Limits(seconds=0.6, rows=10**9)
    async with Database([numbers(200_000), fruits()], limits=limits) as db:
        tasks = [
            asyncio.create_task(db.execute("SELECT max(number) FROM numbers")) for _ in range(8)
        ]
        results = await asyncio.gather(*tasks)
    assert [result.rows for result in results] == [[(199_999,)]] * 8


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM hanging", "SELECT * FROM hanging"])
async def test_a_hanging_table_is_given_up(quick, caplog, sql):
    """A table stuck in a system call loses its thread; the others go on at once."""
    release = threading.Event()
    async with Database([hanging(release), fruits()], limits=Limits(seconds=0.3)) as db:
        try:
            waiting = asyncio.create_task(db.execute(sql))
            await asyncio.sleep(0.05)
            other = asyncio.create_task(db.execute("SELECT count(*) FROM fruits"))
            with pytest.raises(LimitError, match=r"longer than 0\.3 s"):
                await waiting
            with pytest.raises(StoppedError, match="hanging did not react; ask again"):
                await other
            assert (await db.execute("SELECT count(*) FROM fruits")).rows == [(4,)]
            with pytest.raises(TableError, match="still busy"):
                await db.execute(sql)
            assert db.stats["hanging"].errors >= 1
        finally:
            release.set()
        async with asyncio.timeout(5):
            while True:
                with suppress(QueryError):
                    if (await db.execute("SELECT count(*) FROM hanging")).rows == [(2,)]:
                        break
                await asyncio.sleep(0.05)
    assert "hanging does not react" in caplog.text


@pytest.mark.parametrize("sql", ["SELECT number FROM rude", "SELECT max(number) FROM rude"])
async def test_a_table_that_would_end_the_program(sql):
    """A table that calls `sys.exit` fails as one that raises, and the agent goes on."""

    def rows(_where):
        yield {"number": 1}
        sys.exit(3)

    rude = table(rows, "rude", (Column("number", Type.COUNT, "a number"),))
    async with Database([rude]) as db:
        with pytest.raises(TableError, match="rude: SystemExit: 3"):
            await db.execute(sql)
        assert (await db.execute("SELECT 1")).rows == [(1,)]
        assert db.stats["rude"].error == "SystemExit: 3"


async def test_closing_stops_what_runs():
    """Closing ends a running statement at once and tells its asker."""
    db = await Database([numbers()]).__aenter__()
    task = asyncio.create_task(db.execute("SELECT max(number) FROM numbers"))
    await asyncio.sleep(0.1)
    began = time.perf_counter()
    await db.__aexit__(None, None, None)
    assert time.perf_counter() - began < 1.5
    with pytest.raises(StoppedError, match="closing"):
        await task


async def test_closing_while_a_table_hangs(quick):
    """A hanging table holds up neither the close nor its asker, nor is a thread started."""
    release = threading.Event()
    db = await Database([hanging(release)]).__aenter__()
    task = asyncio.create_task(db.execute("SELECT count(*) FROM hanging"))
    await asyncio.sleep(0.1)
    await db.__aexit__(None, None, None)
    with pytest.raises(StoppedError):
        async with asyncio.timeout(5):
            await task
    release.set()
    await asyncio.sleep(0.4)
    names = [thread.name for thread in threading.enumerate()]
    assert "database" not in names


async def test_closing_twice_is_fine():
    """The second close finds nothing to do."""
    db = await Database([]).__aenter__()
    await db.__aexit__(None, None, None)
    await db.__aexit__(None, None, None)


async def test_a_closed_database_refuses_statements():
    """After the close, a statement fails instead of waiting for ever."""
    db = await Database([]).__aenter__()
    await db.__aexit__(None, None, None)
    with pytest.raises(StoppedError):
        async with asyncio.timeout(2):
            await db.execute("SELECT 1")


async def test_statistics_tell_of_runs_and_errors(caplog):
    """Per table: runs, rows, duration, the last error; logged once while it stays the same."""
    broken = True

    def rows(_where):
        yield {"name": "apple"}
        if broken:
            raise OSError(13, "Permission denied", "/proc/fruits")

    async with Database([table(rows)]) as db:
        for _ in range(2):
            with pytest.raises(TableError, match="cannot read /proc/fruits: Permission denied"):
                await db.execute("SELECT * FROM fruits")
        await db.execute("SELECT 1")
        stats = db.stats["fruits"]
        assert (stats.runs, stats.errors) == (2, 2)
        assert stats.error == "cannot read /proc/fruits: Permission denied"
        broken = False
        await db.execute("SELECT * FROM fruits")
        await db.execute("SELECT 1")
        assert (stats.runs, stats.rows, stats.error) == (3, 1, None)
        assert stats.duration is not None
    assert caplog.text.count("cannot read /proc/fruits") == 1


async def test_the_time_used_is_told():
    """A running statement tells how long it has worked."""
    async with Database([numbers(100_000)]) as db:  # noqa: SIM117 - reads better
        async with db.query("SELECT max(number) FROM numbers") as running:
            async for _ in running:
                pass
            assert 0 < running.cpu_seconds < 30
