"""Any query over an osquery table gives the rows that SQLite gives over the same data."""

import asyncio
import sqlite3
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zeek_agent_osquery._watching import OsqueryTables

from plugins.osquery.tests.conftest import StandIn
from zeek_agent_core.api import Host
from zeek_agent_core.sql.database import Database

NAMES = [None, "", "a", "A", "ab", "a'b", 'a"b', "b%", "b_", "*", "[x]", "é", "É", "zz", "10", "9"]
NUMBERS = [None, 0, 1, -1, 2, 10, 9, 2**53, -(2**63), 2**63 - 1]
REALS = [None, 0.0, 0.5, -1.5, 1e300, 2.0]
ROWS = [
    [name, NUMBERS[at % len(NUMBERS)], REALS[at % len(REALS)], NAMES[-at % len(NAMES)]]
    for at, name in enumerate(NAMES * 2)
]
COLUMNS = [["name", "TEXT", 0], ["n", "BIGINT", 1], ["r", "DOUBLE", 0], ["tag", "TEXT", 16]]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return two functions that run a statement: over osquery's table, and in plain SQLite."""
    folder = tmp_path_factory.mktemp("standin")
    folder.chmod(0o755)
    standin = StandIn(folder)
    standin.write({"things": {"columns": COLUMNS, "rows": ROWS}})
    standin.start()
    plain = sqlite3.connect(":memory:")
    plain.execute("CREATE TABLE things (name TEXT, n BIGINT, r DOUBLE, tag TEXT)")
    seen = [[name or "", n, r, tag or ""] for name, n, r, tag in ROWS]
    plain.executemany("INSERT INTO things VALUES (?, ?, ?, ?)", seen)
    host = Host(settings={"osquery": {"extensions_socket": standin.path}})
    discovery = OsqueryTables(host)
    with asyncio.Runner(debug=False) as runner:
        database = Database(discovery._look())
        runner.run(database.__aenter__())

        def ours(sql):
            return Counter(runner.run(database.execute(sql)).rows)

        def theirs(sql):
            return Counter(plain.execute(sql).fetchall())

        yield ours, theirs
        runner.run(database.__aexit__(None, None, None))
    discovery.osquery.close()
    plain.close()
    standin.kill()


def literal(value):
    """Return a value as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else repr(value)


texts = st.sampled_from([name for name in NAMES if name is not None]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=3
)
numbers = st.sampled_from([n for n in NUMBERS if n not in (None, -(2**63))]) | st.integers(-3, 12)
reals = st.sampled_from([r for r in REALS if r is not None]) | st.floats(-3, 3)
values = texts | numbers | reals | st.none()
patterns = st.text("aAb%_*?[]éx'", max_size=4)


@st.composite
def conditions(draw, prefix=""):
    """Draw a condition on one column."""
    column = prefix + draw(st.sampled_from(["name", "n", "r", "tag"]))
    kind = draw(st.sampled_from(["compare", "compare", "in", "between", "like", "glob", "null"]))
    if kind == "compare":
        operator = draw(st.sampled_from(["=", "<", "<=", ">", ">=", "<>", "IS"]))
        return f"{column} {operator} {literal(draw(values))}"
    if kind == "in":
        listed = draw(st.lists(values, min_size=1, max_size=4))
        return f"{column} IN ({', '.join(map(literal, listed))})"
    if kind == "between":
        return f"{column} BETWEEN {literal(draw(values))} AND {literal(draw(values))}"
    if kind == "null":
        return f"{column} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    return f"{column} {kind.upper()} {literal(draw(patterns))}"


def combined(prefix=""):
    """Draw conditions joined by AND and OR."""
    return st.recursive(
        conditions(prefix),
        lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        max_leaves=4,
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["*", "name", "n, r", "tag, n", "count(*)", "max(n), min(name)"]), combined()
)
def test_one_table(both, columns, condition):
    """Conditions of all kinds, in any combination, select the same rows."""
    ours, theirs = both
    shown = "name, n, r" if columns == "*" else columns
    assert ours(f"SELECT {columns} FROM things WHERE {condition}") == theirs(
        f"SELECT {shown} FROM things WHERE {condition}"
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["name", "n", "tag"]),
    st.sampled_from(["", "LEFT "]),
    conditions("a."),
    conditions("b."),
)
def test_joins(both, column, kind, first, second):
    """A table joined with itself gives the same pairs."""
    ours, theirs = both
    sql = (
        f"SELECT a.name, b.n FROM osquery_things a {kind}JOIN things b ON a.{column} = b.{column} "
        f"AND {second} WHERE {first}"
    )
    assert ours(sql) == theirs(sql.replace("osquery_", ""))
