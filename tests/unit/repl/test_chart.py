"""Tests of charts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.errors import StatementError
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.repl.cells import Style, width
from zeek_agent_core.repl.chart import KINDS
from zeek_agent_core.values import Type

COLUMNS = (ResultColumn("name", Type.TEXT), ResultColumn("n", Type.COUNT))


def chart(kind, rows, screen=30, columns=COLUMNS):
    """Return the lines of a chart."""
    return list(KINDS[kind](columns, rows, Style(), screen))


def test_bar():
    """Bars are as long as their values, to an eighth of a column, and begin in one column."""
    assert chart("bar", [("a", 16), ("表", 8), ("none", None), ("zero", 0), ("minus", -1)]) == [
        "a          16  ███████████████",
        "表          8  ███████▌",
        "none   (null)",
        "zero        0",
        "minus      -1 -█",
    ]


def test_spark():
    """A sparkline spans from the least to the largest value; NULL leaves a gap."""
    rows = [(None, value) for value in (0, 7, None, 3)]
    assert chart("spark", rows) == ["▁█ ▄", "0 to 7, 4 values"]
    assert chart("spark", [(1,), (1,)], columns=COLUMNS[1:]) == ["▁▁", "1 to 1, 2 values"]
    assert chart("spark", [("x", None)]) == ["no values"]


def test_spark_is_thinned():
    """More values than columns are drawn by the largest of each group."""
    line, ends = chart("spark", [("x", n % 100) for n in range(1000)], screen=10)
    assert line == "██████████"
    assert ends == "0 to 99, 1000 values"


def test_line():
    """A line chart draws two columns of numbers; times count in seconds."""
    columns = (ResultColumn("time", Type.TIME), COLUMNS[1])
    lines = chart("line", [(n * 1_000_000, n * n) for n in range(10)], 60, columns)
    assert len(lines) > 10
    assert all(width(line) <= 60 for line in lines)


@pytest.mark.parametrize(
    ("kind", "columns", "rows", "message"),
    [
        ("bar", COLUMNS[:1], [("a",)], "a chart needs two columns"),
        ("bar", COLUMNS, [("a", "b")], "a chart needs numbers; column n has 'b'"),
        ("line", COLUMNS, [], "nothing to draw"),
        ("line", COLUMNS, [("a", 1)], "column name has 'a'"),
    ],
)
def test_what_cannot_be_drawn(kind, columns, rows, message):
    """Other results are refused with what a chart is made of."""
    with pytest.raises(StatementError, match=message):
        chart(kind, rows, columns=columns)


numbers = st.one_of(
    st.none(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(st.tuples(st.text(max_size=40), numbers)), st.integers(50, 120))
def test_charts_fit_the_screen(rows, screen):
    """Whatever the labels and values, lines fit the screen and hold no commands."""
    columns = (COLUMNS[0], ResultColumn("n"))
    for line in [*chart("bar", rows, screen, columns), chart("spark", rows, screen, columns)[0]]:
        assert line.isprintable()
        assert width(line) <= screen
