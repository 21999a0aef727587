"""Lines for people."""

import ast
import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.local.samples import own, result
from zeek_agent_core.local.pretty import Pretty, cut, quoted
from zeek_agent_core.local.stream import LineStream
from zeek_agent_core.values import Type, to_sql

COLUMNS = [("name", Type.TEXT), ("pid", Type.COUNT), ("since", Type.TIME)]


def written(made, *, width=None, environ=None):
    """Return what the sink writes for *made*, on a terminal if it has a width."""
    stream = io.StringIO()
    Pretty(
        LineStream(stream),
        environ=environ or {},
        local_time=time.gmtime,
        width=width and (lambda: width),
    ).write(own(), made)
    return stream.getvalue()


MADE = result(
    COLUMNS,
    [("init", 1, None)],
    deleted=[("a b", None, 1_500_000)],
    added=[("", 3, None)],
)


def test_file_gets_complete_lines_without_colour():
    """Where no terminal is, lines have the date, a mark and all values but NULLs."""
    assert written(MADE).split("\n") == [
        "2026-11-21 12:00:00   mine name=init pid=1",
        '2026-11-21 12:00:00 - mine name="a b" since=1970-01-01T00:00:01.500000Z',
        '2026-11-21 12:00:00 + mine name="" pid=3',
        "",
    ]


def test_terminal_gets_colours_and_short_lines():
    """A terminal shows the time of day, red and green marks, and lines cut to its width."""
    assert written(MADE, width=40).split("\n") == [
        "12:00:00   mine name=init pid=1",
        '12:00:00 \x1b[31m-\x1b[0m mine name="a b" since=1970-0…',
        '12:00:00 \x1b[32m+\x1b[0m mine name="" pid=3',
        "",
    ]


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(environ):
    """`NO_COLOR` or a dumb terminal leaves the marks plain."""
    assert "\x1b" not in written(MADE, width=40, environ=environ)


def test_values_read_as_people_write_them():
    """Sets, ports and booleans come without their stored form."""
    tables = to_sql(Type.SET, {"b", "a"}, Type.TEXT)
    made = result([("tables", Type.SET), ("admin", Type.BOOL), ("n",)], [(tables, 1, 2)])
    assert written(made).endswith('mine tables="{a, b}" admin=true n=2\n')


def test_controls_of_the_terminal_are_neutralised():
    """Escapes, line ends and characters that turn text around are shown, not obeyed."""
    assert quoted("\x1b]0;x\a\n\x9b\u202e") == r'"\x1b]0;x\x07\n\x9b\u202e"'


@given(st.text(), st.text())
def test_any_text_is_one_safe_line(name, value):
    """Whatever text there is, a row is one line of printable characters and reads back."""
    line = written(result([(name, Type.TEXT)], [(value,)]))
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert (quoted(value) == value) or ast.literal_eval(quoted(value)) == value


@given(st.text(), st.integers(3, 30))
def test_cut_lines_fit(line, width):
    """A cut line never takes more cells than there are, and is a prefix of the whole."""
    from zeek_agent_core.local.pretty import _cells

    shown = cut(line, width)
    assert sum(map(_cells, shown)) <= width
    assert shown == line or (shown[-1] == "…" and line.startswith(shown[:-1]))


def test_wide_characters_take_two_cells():
    """East Asian characters count twice, marks that combine not at all."""
    assert cut("日本語", 5) == "日本…"
    assert cut("e\u0301e\u0301", 2) == "e\u0301e\u0301"


def test_ascii_terminal_gets_an_ascii_ellipsis():
    """A stream that cannot show the ellipsis gets three dots and escapes."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    pretty = Pretty(LineStream(stream), environ={"NO_COLOR": "1"}, width=lambda: 40)
    pretty.write(own(), result([("x",)], [("é" + "y" * 80,)]))
    shown = stream.buffer.getvalue().decode("ascii")
    assert re.fullmatch(r"\d\d:\d\d:\d\d   mine x=\\xe9y+\.\.\.\n", shown)
