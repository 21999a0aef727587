"""Tests of cells, styles and the layout of tables."""

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from zeek_agent_core.query import ResultColumn
from zeek_agent_core.repl.cells import DIM, PLAIN, RESET, Style, cell, cut, one_line, width
from zeek_agent_core.repl.render import MODES, Grid
from zeek_agent_core.repl.screen import ESCAPES
from zeek_agent_core.values import Type

NAME = ResultColumn("name", Type.TEXT)
TIME = ResultColumn("time", Type.TIME)


def rendered(mode, rows, style=PLAIN, columns=(NAME, TIME)):
    """Return the lines of a result."""
    return list(MODES[mode](columns, rows, style))


@given(st.text(), st.integers(0, 20))
def test_cut(text, size):
    """A text that is cut fits, and says that it was cut; one that fits is left alone."""
    shown = one_line(text)
    short = cut(shown, size)
    assert width(short) <= size
    assert short == shown or size == 0 or (short.endswith("…") and shown.startswith(short[:-1]))


@given(st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10))), st.integers(1, 12))
def test_fixed_widths_align(rows, size):
    """With a fixed width the second column begins in the same place in every line."""
    columns = (NAME, ResultColumn("x", Type.TEXT))
    grid = Grid(columns, rows, Style(widths=(size, 3)))
    for line in [*grid.header(), *grid.lines()]:
        assert wcswidth(line) <= size + 2 + 3


@given(st.lists(st.tuples(st.one_of(st.none(), st.text(max_size=5)), st.none())))
def test_colours_take_no_room(rows):
    """A table in colours is the same table without them."""
    for mode in ("table", "line", "auto"):
        coloured = rendered(mode, rows, Style(colours=True))
        assert [ESCAPES.sub("", line).rstrip() for line in coloured] == rendered(mode, rows)


def test_null_is_told_apart():
    """On a terminal NULL is dim and the text is not; elsewhere it can be any text."""
    rows = [(None, None), ("(null)", None)]
    null, text = rendered("table", rows, Style(colours=True))[2:]
    assert null.startswith(f"{DIM}(null){RESET}")
    assert text.startswith("(null)")
    assert rendered("csv", rows, Style(null="NULL"))[1:] == ["NULL,NULL", "(null),NULL"]
    assert cell(NAME, None, Style(null="\x1b")) == "\\x1b"


def test_times_are_readable_or_exact():
    """Readable times are for people's modes only; programs get all digits."""
    rows = [("x", 1_646_252_056_000_001)]
    exact = "2022-03-02T20:14:16.000001Z"
    assert exact in rendered("table", rows)[-1]
    assert exact not in rendered("table", rows, Style(is_exact=False))[-1]
    assert exact in rendered("csv", rows, Style(is_exact=False))[-1]
    assert exact in rendered("jsonl", rows, Style(is_exact=False))[-1]


def test_auto_is_line_on_narrow_screens():
    """A table that is too wide becomes a line for each value; without a screen it stays."""
    rows = [("a" * 50, None)]
    assert rendered("auto", rows, Style(screen=40)) == rendered("line", rows)
    assert rendered("auto", rows, Style(screen=80)) == rendered("table", rows)
    assert rendered("auto", rows) == rendered("table", rows)
    assert rendered("auto", [], Style(screen=1)) == rendered("table", [])


def test_fit():
    """A grid can be narrowed to a screen, the widest columns first."""
    grid = Grid((NAME, TIME), [("a" * 50, None)])
    grid.fit(30)
    assert grid.total <= 30
    assert "…" in next(iter(grid.lines()))
