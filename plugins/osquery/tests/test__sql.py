"""What osquery is sent: no more than is needed, and nothing that a value could smuggle in."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_osquery._sql import is_given, literal, quoted, select

from zeek_agent_core.api import Pattern, Where

COLUMNS = {"name": "name", "pid": "pid", "team": "group"}


def sent(*wanted, **conditions):
    """Return the statement for *wanted* columns."""
    return select("t", COLUMNS, Where(frozenset(wanted), **conditions))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ""),
        ({"allowed": {"pid": {5}}}, ' WHERE "pid" = 5'),
        ({"allowed": {"pid": {5, 7}}}, ' WHERE "pid" IN (5, 7)'),
        ({"allowed": {"name": {"o'k"}}}, " WHERE \"name\" = 'o''k'"),
        ({"allowed": {"name": {""}}}, ' WHERE ("name" = \'\' OR "name" IS NULL)'),
        ({"allowed": {"name": {"a\0b"}}}, ""),
        ({"lows": {"pid": 2}, "highs": {"pid": 9}}, ' WHERE "pid" >= 2 AND "pid" <= 9'),
        ({"highs": {"name": "m"}}, ' WHERE ("name" <= \'m\' OR "name" IS NULL)'),
        ({"lows": {"pid": float("inf")}}, ""),
        ({"lows": {"pid": 1.5}}, ' WHERE "pid" >= 1.5'),
        ({"patterns": {"name": (Pattern("LIKE", "/x/%"),)}}, " WHERE \"name\" LIKE '/x/%'"),
        ({"patterns": {"name": (Pattern("GLOB", "*"),)}},
         ' WHERE ("name" GLOB \'*\' OR "name" IS NULL)'),
    ],
)  # fmt: skip
def test_conditions(conditions, expected):
    """Each condition is written as SQL; what cannot be written is left to us."""
    assert sent("name", **conditions) == f'SELECT "name" FROM "t"{expected}'


def test_needed_columns():
    """What osquery needs it is told bare, and it is `=`, `IN` or `LIKE` that tell it."""
    like = Where(frozenset(["name"]), patterns={"name": (Pattern("LIKE", "%"),)})
    glob = Where(frozenset(["name"]), patterns={"name": (Pattern("GLOB", "a*"),)})
    assert select("t", COLUMNS, like, ["name"]) == 'SELECT "name" FROM "t" WHERE "name" LIKE \'%\''
    assert is_given("name", like)
    assert not is_given("name", glob)
    assert is_given("name", Where(frozenset(), allowed={"name": {""}}))
    assert not is_given("name", Where(frozenset(), allowed={"name": {"a\0"}}))


def test_columns():
    """Osquery's own names are asked for, each once; without any, a row is still a row."""
    assert sent("team", "name") == 'SELECT "name", "group" FROM "t"'
    assert sent() == 'SELECT 1 AS one FROM "t"'


def test_nothing_to_ask():
    """Where no value can match there is nothing to ask."""
    assert sent("name", allowed={"pid": frozenset()}) is None


def test_identifiers():
    """Names cannot end their quotes."""
    assert quoted('a"b; DROP') == '"a""b; DROP"'


@given(st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary()))
def test_literals_are_read_back(value):
    """SQLite reads every literal as the value that it was made of."""
    written = literal(value)
    if written is None:
        assert (isinstance(value, str) and "\0" in value) or value in (
            float("inf"), -float("inf")) or value != value  # fmt: skip  # noqa: PLR0124
        return
    found = sqlite3.connect(":memory:").execute(f"SELECT {written}").fetchone()[0]
    assert found == value
    assert type(found) is type(value)


@given(st.dictionaries(st.sampled_from(["name", "team"]), st.text(), min_size=1))
def test_texts_stay_texts(values):
    """Whatever the values are, the statement finds the row that has them, and no other."""
    db = sqlite3.connect(":memory:")
    db.execute('CREATE TABLE t (name TEXT, "group" TEXT, pid INTEGER)')
    row = {"name": None, "group": None} | {COLUMNS[k]: v for k, v in values.items()}
    db.execute('INSERT INTO t VALUES (:name, :group, 1), (:name || "x", :group || "x", 2)', row)
    sql = sent("pid", allowed={name: {value} for name, value in values.items()})
    found = {pid for (pid,) in db.execute(sql)}
    assert 1 in found
    if not any("\0" in value or not value for value in values.values()):
        assert found == {1}
