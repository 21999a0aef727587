"""Tests of results as text."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from zeek_agent_core.query import ResultColumn
from zeek_agent_core.repl.render import MODES, cell, one_line, width
from zeek_agent_core.values import Type

NAME = ResultColumn("name", Type.TEXT)
PID = ResultColumn("pid", Type.COUNT)
ANY = ResultColumn("any")

names = st.text(min_size=1, max_size=8)
NASTY = ["\x1b[2J", "a\nb", "表格", "e\u0301", "👩‍💻", "\u200b", "|"]
values = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=12),
    st.binary(max_size=8), st.sampled_from(NASTY),
)  # fmt: skip


def rendered(mode, columns, rows):
    """Return the lines of a result."""
    return list(MODES[mode](columns, rows))


@st.composite
def results(draw):
    """Draw a result without declared types."""
    columns = tuple(ResultColumn(name) for name in draw(st.lists(names, min_size=1, max_size=4)))
    row = st.tuples(*[values] * len(columns))
    return columns, draw(st.lists(row, max_size=6))


@given(results())
def test_grid_stays_aligned(result):
    """Whatever the cells hold, each column begins and ends where the rule says."""
    columns, rows = result
    header, rule, *lines = rendered("table", columns, rows)
    assert len(lines) == len(rows)
    sizes = [len(part) for part in rule.split("  ")]
    total = sum(sizes) + 2 * (len(sizes) - 1)
    for line, shown in [
        (header, [one_line(column.name) for column in columns]),
        *zip(lines, [[cell(c, v) for c, v in zip(columns, r, strict=True)] for r in rows],
             strict=True),
    ]:  # fmt: skip
        assert line.isprintable()
        assert wcswidth(line) <= total
        rest = line
        for text, size in zip(shown, sizes, strict=True):
            before = (size - width(text)) * " "
            kept = next(c for c in (before + text, text + before) if rest.startswith(c.rstrip()))
            rest = rest[len(kept) + 2 :]
        assert not rest


@given(st.text())
def test_one_line(text):
    """Text on a terminal has no line break and no command; what can be shown stays."""
    shown = one_line(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@given(results())
def test_csv_reads_back(result):
    """CSV holds each cell in full, whatever is in it; NULL is empty."""
    columns, rows = result
    text = "\n".join(rendered("csv", columns, rows)) + "\n"
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert header == [column.name for column in columns]
    for line, row in zip(lines, rows, strict=True):
        for shown, value in zip(line, row, strict=True):
            if value is None:
                assert shown == ""
            elif isinstance(value, bytes):
                assert shown == value.decode("utf-8", "backslashreplace")
            else:
                assert type(value)(shown) == value


@given(results())
def test_json_reads_back(result):
    """JSON holds each value in full; names that occur twice get a number."""
    columns, rows = result
    [*objects] = json.loads("\n".join(rendered("json", columns, rows)), parse_constant=pytest.fail)
    lines = [json.loads(line) for line in rendered("jsonl", columns, rows)]
    assert objects == lines
    for made, row in zip(objects, rows, strict=True):
        assert len(made) == len(columns)
        for shown, value in zip(made.values(), row, strict=True):
            if isinstance(value, bytes):
                assert shown == value.decode("utf-8", "backslashreplace")
            elif value in (float("inf"), float("-inf")):
                assert float(shown) == value
            else:
                assert shown == value


@given(results())
def test_markdown_keeps_its_cells(result):
    """A Markdown table has as many cells in each line as it has columns."""
    columns, rows = result
    for line in rendered("markdown", columns, rows):
        assert line.isprintable()
        assert line.replace("\\|", "").count("|") == len(columns) + 1


def test_table():
    """Text stands to the left, numbers to the right, NULL is shown, ends are not padded."""
    rows = [("init", 1), ("表", None), ("a\tb", 1234567)]
    assert rendered("table", (NAME, PID), rows) == [
        "name      pid",
        "----  -------",
        "init        1",
        "表     (null)",
        "a\\tb  1234567",
    ]


def test_table_without_rows():
    """A result without rows still shows its columns."""
    assert rendered("table", (NAME, PID), []) == ["name  pid", "----  ---"]
    assert rendered("json", (NAME,), []) == ["[]"]
    assert rendered("jsonl", (NAME,), []) == []
    assert rendered("csv", (NAME,), []) == ["name"]


def test_line():
    """In line mode each value has a line, and rows are apart."""
    assert rendered("line", (NAME, PID), [("a", 1), (None, 2)]) == [
        "name = a", " pid = 1", "", "name = (null)", " pid = 2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "shown", "in_json"),
    [
        (Type.TIME, 1646252056000001, "2022-03-02T20:14:16.000001Z", "2022-03-02T20:14:16.000001Z"),
        (Type.INTERVAL, 1_500_000_000, "1.5s", 1.5),
        (Type.BOOL, 1, "true", True),
        (Type.COUNT, 5, "5", 5),
        (Type.BLOB, b"\xff\n", "\\xff\\n", "\\xff\n"),
        (Type.PORT, '{"port":80,"proto":"tcp"}', "80/tcp", "80/tcp"),
        (Type.SET, '{"elem":"text","value":["a","b"]}', "{a, b}", ["a", "b"]),
        (Type.TEXT, None, "(null)", None),
        (Type.COUNT, "text", "text", "text"),
    ],
)
def test_typed_values(kind, value, shown, in_json):
    """Values are shown as what their column says they are."""
    column = ResultColumn("c", kind)
    assert cell(column, value) == shown
    assert json.loads(rendered("jsonl", (column,), [(value,)])[0]) == {"c": in_json}


def test_equal_names():
    """Columns of one name all stay in JSON."""
    assert rendered("jsonl", (NAME, NAME), [("a", "b")]) == ['{"name": "a", "name:2": "b"}']
