"""Tests of what is found in the text of a statement: tables, aliases, arguments."""

import pytest

from zeek_agent_core.repl.lexer import significant
from zeek_agent_core.repl.schema import KnownColumn, KnownTable, Schema
from zeek_agent_core.repl.sources import Source, common_tables, named_tables, parameter

PARAMETERS = tuple(KnownColumn(name, is_parameter=True) for name in ("_pattern", "_ignore"))
SCHEMA = Schema({"lines": KnownTable("lines", "", (KnownColumn("text"), *PARAMETERS))})


def test_sources():
    """All tables of a statement are found, with aliases, arguments and subqueries."""
    text = (
        "SELECT * FROM a, b AS x JOIN c('1', (2)) y ON x.i = y.i WHERE i IN (SELECT j FROM \"d\")"
    )
    assert named_tables(text) == [
        Source("a", "a"), Source("b", "x"), Source("c", "y"), Source("d", "d"),
    ]  # fmt: skip


def test_common_tables():
    """Names that `WITH` gives are found; casts and aliases are none."""
    text = "WITH a AS (SELECT 1), b AS MATERIALIZED (SELECT 2) SELECT x AS y, CAST(z AS TEXT)"
    assert common_tables(text) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT * FROM lines(", "_pattern"),
        ("SELECT * FROM lines((1), ", "_ignore"),
        ("SELECT * FROM lines(1, 2, ", None),
        ("SELECT * FROM lines WHERE _ignore = ", "_ignore"),
        ("SELECT * FROM lines WHERE text = ", None),
        ("SELECT * FROM other(", None),
        ("SELECT upper(", None),
        ("(", None),
        ("=", None),
        ("", None),
    ],
)
def test_parameters(text, name):
    """The parameter whose argument begins is known by its place or its name."""
    found = parameter(significant(text), SCHEMA)
    assert (found and found.name) == name
