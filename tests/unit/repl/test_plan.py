"""Tests of query plans in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.repl.plan import Step, in_words
from zeek_agent_core.repl.schema import KnownColumn, KnownTable, Schema

SCHEMA = Schema(
    {
        "files_list": KnownTable(
            "files_list",
            columns=(
                KnownColumn("_pattern", is_parameter=True),
                KnownColumn("path", pushdown="=, IN"),
                KnownColumn("size"),
            ),
        )
    }
)


def words(*details, names=None):
    """Return the lines for *details*, one step after the other."""
    steps = [Step(number, 0, detail) for number, detail in enumerate(details, 1)]
    return list(in_words(steps, SCHEMA, names or {}))


def test_pushed_down():
    """A table's step tells its conditions, its columns, and which more it could use."""
    plan = '[[0, 2],[[0, "=", false]]]'
    assert words(f"SCAN files_list VIRTUAL TABLE INDEX 0:{plan}") == [
        "read files_list where pattern = ...",
        "    columns it is asked for: size",
        "    conditions that would save it work: path (=, IN)",
    ]


def test_alias_and_list():
    """An alias is told with its table; a list of values and patterns have words."""
    plan = '[[1],[[1, "=", true], [1, "glob", false]]]'
    assert words(f"SCAN f VIRTUAL TABLE INDEX 0:{plan}", names={"f": "files_list"}) == [
        "read files_list as f where path is one of a list and path GLOB ...",
        "    columns it is asked for: path",
    ]


def test_all_rows():
    """A table that hears of no condition is read as a whole."""
    assert words("SCAN files_list VIRTUAL TABLE INDEX 0:[[], []]")[:2] == [
        "read all rows of files_list",
        "    columns it is asked for: none, only how many rows",
    ]


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ("USE TEMP B-TREE FOR ORDER BY", "sort the rows (ORDER BY)"),
        ("USE TEMP B-TREE FOR LAST TERM OF ORDER BY", "sort the rows (ORDER BY)"),
        ("SCAN CONSTANT ROW", "make a single row"),
        ("SCAN x", "read all of x"),
        ("SCALAR SUBQUERY 1", "run subquery 1 (SCALAR)"),
        ("SCAN other VIRTUAL TABLE INDEX 0:[[0],[]]", "read other"),
        ("something new", "something new"),
    ],
)
def test_other_steps(detail, text):
    """Other steps are put in words; what is not known stays as it is."""
    assert words(detail) == [text]


def test_steps_are_indented():
    """A step that belongs to another stands below it, further in."""
    steps = [Step(3, 0, "CO-ROUTINE x"), Step(5, 3, "SCAN y"), Step(9, 0, "SCAN x")]
    assert list(in_words(steps, SCHEMA, {})) == [
        "compute x row by row", "  read all of y", "read all of x",
    ]  # fmt: skip


@given(st.text(), st.text())
def test_never_fails(detail, plan):
    """No detail, however odd, makes it fail."""
    assert words(detail)
    assert words(f"SCAN files_list VIRTUAL TABLE INDEX 0:[{plan}]")
