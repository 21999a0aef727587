"""The protocol, without a socket: what is written is read, and no bytes do harm."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osquery.extensions.Extension import call_args
from osquery.extensions.ExtensionManager import query_args
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer
from zeek_agent_osquery import _binary
from zeek_agent_osquery._errors import OsqueryError

from plugins.osquery.tests.hostile import reply

texts = st.text(max_size=8)
listed = st.lists(st.dictionaries(texts, texts, max_size=4), max_size=6)


def read(raw, cuts=(), most=1 << 20, most_rows=1000):
    """Return what an answer, which comes in pieces cut at *cuts*, is read as; None if it lacks."""
    buffer = _binary.Buffer(most)
    parser = _binary.reply(buffer, "query", 7, _binary.response(_binary.as_text, most_rows))
    next(parser)
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    for begin, end in itertools.pairwise(places):
        buffer.feed(raw[begin:end])
        try:
            next(parser)
        except StopIteration as stop:
            return stop.value
    return None


@given(listed, st.lists(st.integers(0, 400), max_size=8))
def test_what_the_package_writes_is_read(rows, cuts):
    """Rows come out as they went in, wherever the bytes are cut."""
    answer = read(reply(rows, 7), cuts)
    assert answer.rows == rows
    assert answer.status == (0, "OK", 0)


@given(listed, st.data())
def test_no_bytes_do_harm(rows, data):
    """Bytes that are cut, changed or left out are an error, or too few; nothing else."""
    raw = bytearray(reply(rows, 7))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        if not raw:
            return
    try:
        answer = read(bytes(raw), [data.draw(st.integers(0, len(raw)))], most=4096, most_rows=20)
    except OsqueryError:
        return
    assert answer is None or len(answer.rows) <= 20


@given(st.binary(max_size=200))
def test_any_bytes(raw):
    """Bytes that have nothing to do with it are an error, or too few."""
    try:
        assert read(raw, most=4096) is None
    except OsqueryError:
        return


def written(method, arguments):
    """Return a call as the package writes it."""
    memory = TMemoryBuffer()
    protocol = TBinaryProtocol(memory)
    protocol.writeMessageBegin(method, TMessageType.CALL, 3)
    arguments.write(protocol)
    protocol.writeMessageEnd()
    return memory.getvalue()


@given(st.text(max_size=30))
def test_calls_are_those_of_the_package(sql):
    """A call is written byte by byte as the published package writes it."""
    ours = _binary.call("query", 3, _binary.text_field(1, sql))
    assert ours == written("query", query_args(sql=sql))


def test_calls_with_maps():
    """A call with a map too."""
    ours = _binary.call(
        "call", 3, _binary.text_field(1, "table"), _binary.text_field(2, "hash"),
        _binary.map_field(3, {"action": "columns"}),
    )  # fmt: skip
    given = call_args(registry="table", item="hash", request={"action": "columns"})
    assert ours == written("call", given)


@pytest.mark.parametrize("most", [10, 40])
def test_too_many_bytes(most):
    """More bytes than allowed are refused as they come."""
    with pytest.raises(OsqueryError, match="larger than"):
        read(reply([{"a": "x" * 30}], 7), most=most)
