"""A table that waits for somebody else holds up no other statement."""

import asyncio
import threading

import pytest

from tests.support import FRUIT_ROWS, fruits, table
from zeek_agent_core.api import WaitingError
from zeek_agent_core.errors import StoppedError, TableError
from zeek_agent_core.sql.database import Database
from zeek_agent_core.sql.run import MOST_RESTARTS


class Answer:
    """What a table waits for; it is there once `come` is set."""

    def __init__(self, rows=FRUIT_ROWS):
        self.come = threading.Event()
        self.asked = threading.Event()
        self.rows = rows

    def wait(self, seconds):
        self.asked.set()
        return self.come.wait(seconds)


def waiting(answer, name="slow"):
    """Return a table that gives the rows of *answer*."""

    def rows(where):
        if not answer.come.is_set():
            if where.may_wait:
                raise WaitingError(answer.wait)
            answer.come.wait(10)
        yield from answer.rows

    return table(rows, name)


STATEMENTS = ["SELECT name FROM slow", "SELECT name FROM slow WHERE weight > 0"]


@pytest.mark.parametrize("sql", STATEMENTS)
async def test_others_go_on(sql):
    """While one statement waits others are answered; then it has all its rows."""
    answer = Answer()
    async with asyncio.timeout(10), Database([waiting(answer), fruits()]) as database:
        slow = asyncio.create_task(database.execute(sql))
        assert await asyncio.to_thread(answer.asked.wait, 5)
        for _ in range(3):
            assert len((await database.execute("SELECT * FROM fruits")).rows) == len(FRUIT_ROWS)
        assert not slow.done()
        answer.come.set()
        assert len((await slow).rows) == len(FRUIT_ROWS)
        while not database.stats["slow"].runs:
            await asyncio.sleep(0.01)
        assert (database.stats["slow"].rows, database.stats["slow"].errors) == (4, 0)


@pytest.mark.parametrize("sql", STATEMENTS)
async def test_waiting_can_be_stopped(sql):
    """A statement that waits can be cancelled, and nothing of it stays."""
    answer = Answer()
    async with asyncio.timeout(10), Database([waiting(answer)]) as database:
        running = database.query(sql)

        async def read():
            async with running:
                return [batch async for batch in running]

        reading = asyncio.create_task(read())
        assert await asyncio.to_thread(answer.asked.wait, 5)
        running.cancel()
        with pytest.raises(StoppedError):
            await reading
        assert (await database.execute("SELECT 1")).rows == [(1,)]


async def test_what_was_handed_on_is_not_handed_on_again():
    """Once rows are on their way, a table is told to wait in its place; none comes twice."""
    seen = []

    def rows(where):
        seen.append(where.may_wait)
        for number in range(3):
            yield {"name": f"n{number}", "weight": number}

    many = table([{"name": str(number)} for number in range(20_000)], "many")
    sql = "SELECT m.name, s.name FROM many m CROSS JOIN slow s ON s.name > m.name || ''"
    async with asyncio.timeout(20), Database([table(rows, "slow"), many]) as database:
        found = (await database.execute(sql)).rows
    assert len(found) == len(set(found)) == 60_000
    assert seen[0]
    assert not seen[-1]


async def test_restarts_have_an_end():
    """A table that has to wait ever again is told, after some time, to wait in its place."""
    begun = []

    def rows(where):
        begun.append(where.may_wait)
        if where.may_wait:
            raise WaitingError(lambda _: True)
        yield from FRUIT_ROWS

    async with asyncio.timeout(10), Database([table(rows)]) as database:
        assert len((await database.execute("SELECT * FROM fruits")).rows) == len(FRUIT_ROWS)
    assert begun == [True] * MOST_RESTARTS + [False]


async def test_what_goes_wrong_while_waiting():
    """An error after the wait is the table's, told once."""

    def rows(where):
        if where.kept.setdefault("waited", 0) == 0:
            where.kept["waited"] = 1
            raise WaitingError(lambda _: True)
        raise OSError(5, "Input/output error", "/dev/slow")

    async with asyncio.timeout(10), Database([table(rows)]) as database:
        with pytest.raises(TableError, match="cannot read /dev/slow: Input/output error"):
            await database.execute("SELECT * FROM fruits WHERE weight > 0")
        while not database.stats["fruits"].runs:
            await asyncio.sleep(0.01)
        assert database.stats["fruits"].errors == 1


async def test_both_sides_of_a_join_wait():
    """A join of two tables that wait has the rows of the product, each once."""
    one, other = Answer(), Answer()
    tables = [waiting(one, "one"), waiting(other, "other")]
    async with asyncio.timeout(10), Database(tables) as database:
        joining = asyncio.create_task(
            database.execute("SELECT a.name, b.name FROM one a, other b WHERE a.weight > 0")
        )
        assert await asyncio.to_thread(one.asked.wait, 5)
        one.come.set()
        assert await asyncio.to_thread(other.asked.wait, 5)
        other.come.set()
        assert len((await joining).rows) == len(FRUIT_ROWS) ** 2
