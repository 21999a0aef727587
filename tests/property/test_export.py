"""Properties of results as text for programs."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.query import ResultColumn
from zeek_agent_core.repl import render
from zeek_agent_core.repl.cells import Style
from zeek_agent_core.repl.export import EXPORTERS, Shown
from zeek_agent_core.values import Type, to_sql

INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text() | st.sampled_from(
    ['a,"b"', "\x1b[2J", "\x9b", "\U000e0001", "\r", "\n", "\x01", "%s", "{}", "", " x", "\\"]
)
PLAIN = st.none() | INTS | st.floats(allow_nan=False) | TEXTS | st.binary(max_size=5)
SETS = st.lists(TEXTS, max_size=3).map(lambda items: to_sql(Type.SET, items))
OF_TYPE = {
    None: st.sampled_from([PLAIN, INTS, TEXTS, st.floats(allow_nan=False)]),
    Type.TEXT: st.sampled_from([TEXTS, TEXTS | st.none()]),
    Type.COUNT: st.sampled_from([INTS, INTS | st.none()]),
    Type.TIME: st.just(st.none() | INTS),
    Type.INTERVAL: st.just(st.none() | INTS),
    Type.BOOL: st.just(st.none() | st.integers(0, 1)),
    Type.SET: st.just(st.none() | SETS),
    Type.BLOB: st.just(st.none() | st.binary(max_size=5)),
}


@st.composite
def results(draw):
    """Return columns, and batches of rows for them."""
    kinds = draw(st.lists(st.sampled_from(list(OF_TYPE)), min_size=1, max_size=5))
    columns = [ResultColumn(f"{draw(TEXTS)} {i}", kind) for i, kind in enumerate(kinds)]
    row = st.tuples(*(draw(OF_TYPE[kind]) for kind in kinds))
    return columns, draw(st.lists(st.lists(row, min_size=1, max_size=4), max_size=3))


def exported(mode, columns, batches):
    """Return all text of an export."""
    exporter = EXPORTERS[mode](columns)
    return "".join([exporter.begin(), *map(exporter.rows, batches), exporter.end()])


@given(results(), st.sampled_from(sorted(EXPORTERS)))
def test_batches_give_the_text_that_render_gives(result, mode):
    """By column or by row, a result has the same text."""
    columns, batches = result
    rows = [row for batch in batches for row in batch]
    lines = render.MODES[mode](columns, rows)
    assert exported(mode, columns, batches) == "".join(line + "\n" for line in lines)


@given(results(), st.sampled_from(sorted(EXPORTERS)))
def test_a_terminal_is_given_no_commands(result, mode):
    """On a terminal each line can be printed, by column or by row; JSON stays what it was."""
    columns, batches = result
    exporter = Shown(EXPORTERS[mode](columns), mode)
    text = "".join([exporter.begin(), *map(exporter.rows, batches), exporter.end()])
    assert all(line.isprintable() for line in text.split("\n"))
    rows = [row for batch in batches for row in batch]
    lines = render.MODES[mode](columns, rows, Style(screen=80))
    assert text == "".join(line + "\n" for line in lines)
    if mode == "json":
        assert json.loads(text) == json.loads(exported(mode, columns, batches))


@given(results())
def test_csv_is_read_back_as_it_was(result):
    """A reader of CSV finds as many records and fields as there are."""
    columns, batches = result
    text = exported("csv", columns, batches)
    records = list(csv.reader(io.StringIO(text, newline="")))
    assert records[0] == [column.name for column in columns]
    assert [len(record) for record in records] == [len(columns)] * (1 + sum(map(len, batches)))


@given(results())
def test_json_forms_agree(result):
    """Lines and array hold the same objects, one for each row."""
    columns, batches = result
    lines = exported("jsonl", columns, batches).split("\n")[:-1]
    array = json.loads(exported("json", columns, batches))
    assert [json.loads(line) for line in lines] == array
    assert len(array) == sum(map(len, batches))
