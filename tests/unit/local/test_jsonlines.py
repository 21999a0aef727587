"""JSON lines, to files and streams."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.local.samples import own, result
from zeek_agent_core.local.jsonlines import JsonLines
from zeek_agent_core.local.rotate import Rotation
from zeek_agent_core.local.stream import LineStream
from zeek_agent_core.values import Port, Type, to_sql


def written(made, hid="H1", host="web", query=None):
    """Return what the sink writes for *made*."""
    stream = io.StringIO()
    lines = LineStream(stream, encoding="utf-8")
    JsonLines(lines, hid=hid, host=host, rotation=Rotation()).write(query or own(), made)
    return stream.getvalue()


def test_line_has_who_when_and_what():
    """A line names time, agent, host, log, query and change; snapshots have no change."""
    columns = [("name", Type.TEXT), ("pid", Type.COUNT)]
    made = result(columns, [("a", 1)], deleted=[("é", 2)], added=[(None, 3)])
    head = '{"ts":"2026-11-21T12:00:00.000000Z","hid":"H1","host":"web","log":"mine","query":"mine"'
    assert written(made).split("\n") == [
        head + ',"columns":{"name":"a","pid":1}}',
        head + ',"change":"gone","columns":{"name":"é","pid":2}}',
        head + ',"change":"new","columns":{"name":null,"pid":3}}',
        "",
    ]


def test_types_have_their_json_form():
    """Values read as `values.to_json` has them, for each type."""
    values = {
        Type.TIME: (1_500_000, "1970-01-01T00:00:01.500000Z"),
        Type.INTERVAL: (1_500_000_000, 1.5),
        Type.BOOL: (True, True),
        Type.REAL: (0.1, 0.1),
        Type.PORT: (Port(80, "tcp"), "80/tcp"),
        Type.SET: ({"b", "a"}, ["a", "b"]),
        Type.RECORD: ([(Type.COUNT, 1), (Type.TEXT, "x")], [1, "x"]),
        Type.BLOB: (b"\xff", "\\xff"),
        Type.COUNT: (2**63, 2**63),
    }
    row = tuple(to_sql(kind, value, Type.TEXT) for kind, (value, _) in values.items())
    line = json.loads(written(result([(k, k) for k in values], [row])))
    assert line["columns"] == {str(kind): shown for kind, (_, shown) in values.items()}


def test_infinite_numbers_are_json():
    """JSON has no infinity; a number that is too large stands for it."""
    line = written(result([("x", Type.REAL)], [(float("-inf"),), (float("inf"),)]))
    assert '"x":-1e999' in line
    assert '"x":1e999' in line


def test_layout_follows_the_result():
    """Columns that change from one run to the next are named anew."""
    stream = io.StringIO()
    lines = LineStream(stream, encoding="utf-8")
    sink = JsonLines(lines, hid="", host="", rotation=Rotation())
    sink.write(own(), result([("a", None)], [(1,)]))
    sink.write(own(), result([("b",), ("b",)], [("x", 2.5)]))
    columns = [json.loads(line)["columns"] for line in stream.getvalue().splitlines()]
    assert columns == [{"a": 1}, {"b": "x", "b_2": 2.5}]


def test_files_are_named_after_the_log(tmp_path, clock, rotation):
    """Below a directory each log has its file, which is put away in time."""
    from datetime import timedelta

    limits = rotation(every=timedelta(hours=1))
    sink = JsonLines(tmp_path, hid="", host="", rotation=limits, clock=clock)
    sink.write(own(), result([("a",)], [(1,)]))
    clock.now += 3600
    sink.rotate()
    sink.write(own(), result([("a",)], [(2,)]))
    sink.close()
    old, new = sorted(tmp_path.iterdir())
    assert (old.name, new.name) == ("mine.2026-11-21-12-00-00.jsonl", "mine.jsonl")
    assert json.loads(new.read_text())["columns"] == {"a": 2}
    assert sink.lost == 0


scalars = st.text() | st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)


@given(
    st.text(), st.text(), st.lists(st.tuples(scalars, st.text()), min_size=1), st.text(min_size=1)
)
def test_any_value_reads_back(hid, host, rows, name):
    """Whatever the values and names are, a row is one line of JSON that gives them back."""
    made = result([(name,), (f"{name}%s", Type.TEXT)], rows)
    lines = written(made, hid, host).split("\n")
    assert lines.pop() == ""
    for line, row in zip(lines, rows, strict=True):
        read = json.loads(line)
        assert (read["hid"], read["host"]) == (hid, host)
        assert tuple(read["columns"].values()) == row
        assert list(read["columns"]) == [name, f"{name}%s"]
