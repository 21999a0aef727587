"""Statements served without SQLite give what SQLite would give."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.support import table
from zeek_agent_core.columnar import ColumnRows, column_chunk
from zeek_agent_core.errors import QueryError
from zeek_agent_core.sql import direct
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Column
from zeek_agent_core.values import Type

COLUMNS = (
    Column("number", Type.COUNT, "a number"),
    Column("text", Type.TEXT, "a text"),
    Column("real", Type.REAL, "a real"),
    Column("flag", Type.BOOL, "a flag"),
    Column("blob", Type.BLOB, "bytes"),
    Column("set", Type.SET, "a set", element=Type.TEXT),
    Column("_size", Type.COUNT, "a parameter", default=7),
)
VALUES = {
    "number": st.integers(-(1 << 65), 1 << 65) | st.just("wrong"),
    "text": st.text(st.characters(codec=None)) | st.binary(max_size=4),
    "real": st.floats() | st.integers(-5, 5),
    "flag": st.booleans() | st.integers(0, 1),
    "blob": st.binary(max_size=4) | st.text("ab", max_size=3),
    "set": st.frozensets(st.text("ab", max_size=2), max_size=2),
}
ROWS = st.lists(
    st.fixed_dictionaries({}, optional={n: s | st.none() for n, s in VALUES.items()}), max_size=6
)
NAMES = st.lists(st.sampled_from([*VALUES, "_size"]), min_size=1, max_size=4)


async def outcome(rows, sql):
    """Return the rows of *sql*, or what is wrong."""
    async with Database([table(rows, "things", COLUMNS)]) as database:
        try:
            return [tuple(map(repr, row)) for row in (await database.execute(sql)).rows]
        except QueryError as error:
            return str(type(error))


@given(ROWS, NAMES | st.just(["*"]))
def test_it_gives_what_sqlite_gives(rows, names):
    """With and without SQLite the rows are the same, and so are the kinds of error."""
    chosen = ", ".join(f'"{name}"' if name != "*" else name for name in names)
    plain = f"SELECT {chosen} FROM things"
    assert direct.is_plain(plain)
    through = f"{plain} WHERE 1"
    assert not direct.is_plain(through)
    expected = asyncio.run(outcome(rows, through))
    assert asyncio.run(outcome(rows, plain)) == expected
    columns = lambda _: ColumnRows([column_chunk(rows, VALUES)])  # noqa: E731
    for sql in (plain, through):
        assert asyncio.run(outcome(columns, sql)) == expected


def test_what_is_plain():
    """Only columns of one table, without anything to compute, are served directly."""
    assert direct.is_plain("select * from things ;")
    assert direct.is_plain("SELECT a,\n b FROM t")
    for sql in (
        "SELECT a + 1 FROM t",
        "SELECT DISTINCT a FROM t",
        "SELECT a FROM t LIMIT 1",
        "SELECT a FROM t ORDER BY a",
        "SELECT a b FROM t",
        "SELECT * FROM t('x')",
        "SELECT * FROM t, u",
        "SELECT count(*) FROM t",
        "EXPLAIN SELECT a FROM t",
    ):
        assert not direct.is_plain(sql)
