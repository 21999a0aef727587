"""Rows that are at hand column by column."""

import asyncio

import pytest

from tests.support import FRUIT_ROWS, FRUITS, table
from zeek_agent_core.api import ColumnRows, column_chunk
from zeek_agent_core.errors import TableError
from zeek_agent_core.sql.database import Database

NAMES = tuple(column.name for column in FRUITS)


def rows_of(sql, *chunks):
    """Return the rows of *sql* over *chunks*."""

    async def execute():
        async with Database([table(lambda _: ColumnRows(chunks))]) as database:
            return (await database.execute(sql)).rows

    return asyncio.run(execute())


def test_rows_and_columns_are_the_same():
    """Rows become columns and rows again; what was absent is NULL."""
    chunk = column_chunk(FRUIT_ROWS, NAMES)
    assert chunk["color"] == ["red", "yellow", "red", None]
    assert list(ColumnRows([chunk])) == [{"color": None, **row} for row in FRUIT_ROWS]
    rows = ColumnRows([chunk])
    assert next(rows)["name"] == "apple"
    assert [row["name"] for row in rows] == ["banana", "cherry", "date"]


@pytest.mark.parametrize("condition", ["", " WHERE 1"])
def test_served_with_and_without_sqlite(condition):
    """All chunks are told, with NULL for columns that one of them lacks."""
    weights = memoryview(bytes([8, 0, 9, 0]))[::2]
    chunks = ({"name": ["fig", "kiwi"], "weight": weights}, {"name": []}, {"name": ["lime"]})
    rows = rows_of(f"SELECT weight, name FROM fruits{condition}", *chunks)
    assert rows == [(8, "fig"), (9, "kiwi"), (None, "lime")]


@pytest.mark.parametrize("condition", ["", " WHERE 1"])
@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        ({"taste": ["sweet"]}, "undeclared columns: taste"),
        ({"name": ["fig", "kiwi"], "weight": [1]}, "shorter"),
        ({"weight": ["heavy"]}, "wrong value in column weight"),
        ({"weight": memoryview((1 << 63).to_bytes(8, "little")).cast("Q")}, "64 bits|too big"),
    ],
)
def test_wrong_chunks_are_errors(chunk, reason, condition):
    """What a table must not give is an error of the table, however it is read."""
    with pytest.raises(TableError, match=reason):
        rows_of(f"SELECT name, weight FROM fruits{condition}", chunk)


def test_stopped_rows_let_the_chunks_go():
    """A query that has enough rows ends the generator of chunks."""
    ended = []

    def chunks():
        try:
            while True:
                yield {"name": ["fig"] * 10}
        finally:
            ended.append(True)

    async def execute():
        async with Database([table(lambda _: ColumnRows(chunks()))]) as database:
            return (await database.execute("SELECT name FROM fruits LIMIT 15")).rows

    assert len(asyncio.run(execute())) == 15
    assert ended == [True]
