"""Choosing a sink by name, and what all sinks share."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.local.samples import own, result
from zeek_agent_core.errors import ConfigError, OutputError
from zeek_agent_core.local.jsonlines import JsonLines
from zeek_agent_core.local.outputs import make_sink
from zeek_agent_core.local.pretty import Pretty
from zeek_agent_core.local.sink import in_parts
from zeek_agent_core.local.zeeklog import ZeekLog

WHO = {"hid": "H1", "host": "web"}


def test_each_kind_has_its_sink(tmp_path):
    """The name of a form leads to the sink that writes it."""
    made = make_sink("zeek", directory=tmp_path / "a" / "b", **WHO)
    assert isinstance(made, ZeekLog)
    assert (tmp_path / "a" / "b").is_dir()
    assert isinstance(make_sink("json", stream=io.StringIO(), **WHO), JsonLines)
    assert isinstance(make_sink("pretty", stream=io.StringIO(), **WHO), Pretty)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("xml", "pretty, json, zeek"),
        ("zeek", "needs a directory"),
        ("json", "needs a directory"),
        ("pretty", "needs a stream"),
    ],
)
def test_wrong_kinds_are_explained(kind, words):
    """A form that does not exist or has no place to go is an error that says what to do."""
    with pytest.raises(ConfigError, match=words):
        make_sink(kind, **WHO)


def test_directory_must_be_one(tmp_path):
    """A file in place of the directory is an error before anything is written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make directory"):
        make_sink("zeek", directory=tmp_path / "file", **WHO)


@pytest.mark.parametrize("kind", ["pretty", "json", "zeek"])
def test_sinks_live_through_everything(kind, tmp_path, clock):
    """Each sink takes empty results, rotates at any time and closes twice."""
    stream = io.StringIO() if kind == "pretty" else None
    directory = None if kind == "pretty" else tmp_path
    sink = make_sink(kind, directory=directory, stream=stream, clock=clock, **WHO)
    sink.rotate()
    sink.write(own(), result([]))
    sink.write(own(), result([("a",)], [(1,)], added=[(2,)]))
    sink.rotate()
    sink.close()
    sink.close()
    assert sink.lost == 0


rows = st.lists(st.tuples(st.integers()))


@given(rows, rows, rows, st.integers(1, 5))
def test_parts_make_the_whole(snapshot, deleted, added, size):
    """The parts of a result have its changes in order, and none is too large."""
    whole = result([("a",)], snapshot, deleted=deleted, added=added)
    parts = list(in_parts(whole, size))
    assert [change for part in parts for change in part.changes()] == list(whole.changes())
    assert all(0 < len(part) <= size for part in parts)
