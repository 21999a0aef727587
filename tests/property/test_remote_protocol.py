"""Properties of what goes through a console socket."""

import json
import math
import struct
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zeek_agent_core import errors
from zeek_agent_core.errors import ProtocolError, TableError
from zeek_agent_core.query import Change, ResultColumn, Subscription
from zeek_agent_core.remote import packing, protocol
from zeek_agent_core.remote.protocol import (
    Ask,
    Cancel,
    Columns,
    End,
    Failed,
    Frames,
    Hello,
    Installed,
    More,
    Refused,
    Rows,
    Run,
    RunEnd,
    Subscribe,
    Terminate,
    Welcome,
)
from zeek_agent_core.values import Type

NUMBERS = st.integers(0, 2**63 - 1)
INTS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False)
TEXTS = st.text() | st.sampled_from(["", "\0", "a\0b", "\n", '"', "\x1b[0m", "é漢🦊"])
VALUES = st.none() | INTS | REALS | TEXTS | st.binary()
OF_ONE_TYPE = st.sampled_from([INTS, REALS, TEXTS, st.binary(), st.none(), VALUES])
SPANS = st.integers(0, 10**15).map(lambda value: timedelta(microseconds=value))
COLUMNS = st.lists(
    st.builds(
        ResultColumn,
        TEXTS,
        st.none() | st.sampled_from(list(Type)),
        st.none() | st.sampled_from(list(Type)),
    ),
    max_size=5,
).map(tuple)
ERRORS = st.one_of(
    st.builds(errors.StatementError, TEXTS),
    st.builds(errors.StoppedError, TEXTS),
    st.builds(errors.LimitError, TEXTS),
    st.builds(errors.TableError, TEXTS, TEXTS),
)


@st.composite
def results(draw):
    """Return rows: some columns with values of one type, others with all kinds."""
    strategies = draw(st.lists(OF_ONE_TYPE, min_size=1, max_size=6))
    return draw(st.lists(st.tuples(*strategies), min_size=1, max_size=20))


REQUESTS = st.one_of(
    st.builds(Hello, NUMBERS, NUMBERS),
    st.builds(Ask, NUMBERS, TEXTS),
    st.builds(Subscribe, NUMBERS, TEXTS, st.sampled_from(list(Subscription)), SPANS),
    st.builds(More, NUMBERS, NUMBERS),
    st.builds(Cancel, NUMBERS),
    st.builds(Terminate, NUMBERS),
)
REPLIES = st.one_of(
    st.builds(Welcome, NUMBERS, NUMBERS, TEXTS),
    st.builds(Columns, NUMBERS, COLUMNS),
    st.builds(Installed, NUMBERS),
    st.builds(Rows, NUMBERS, st.none() | st.sampled_from(list(Change)), results()),
    st.builds(Run, NUMBERS, COLUMNS, NUMBERS, st.booleans(), REALS.filter(math.isfinite), SPANS),
    st.builds(RunEnd, NUMBERS),
    st.builds(End, NUMBERS, NUMBERS, REALS.filter(math.isfinite)),
    st.builds(Refused, NUMBERS, TEXTS),
)


def same(left, right):
    """Return whether rows are equal and of equal types, down to the sign of zero."""
    return repr(left) == repr(right)


@given(results())
@example([(0.0, -0.0, math.inf), (1, -0.0, -math.inf)])
@example([("\0",), ("",)])
def test_unpacking_undoes_packing(rows):
    """Any rows that SQLite can return come back as they were, types included."""
    columns, data = packing.pack(rows)
    columns = json.loads(json.dumps(columns))
    assert same(packing.unpack(len(rows), columns, data), rows)


@given(REQUESTS)
def test_decoding_undoes_encoding_of_requests(message):
    """Every request comes back as it was."""
    (frame,) = Frames(2**20).feed(protocol.encode(message))
    assert protocol.decode_request(frame) == message


@given(REPLIES)
def test_decoding_undoes_encoding_of_replies(message):
    """Every answer comes back as it was."""
    (frame,) = Frames(2**20).feed(protocol.encode(message))
    assert same(protocol.decode_reply(frame), message)


@given(ERRORS, st.booleans())
def test_errors_keep_their_class_and_reason(error, is_final):
    """An error arrives as the same class with the same text."""
    (frame,) = Frames(2**20).feed(protocol.encode(Failed(7, error, is_final)))
    failed = protocol.decode_reply(frame)
    assert (type(failed.error), str(failed.error)) == (type(error), str(error))
    assert failed.is_final is is_final
    if isinstance(error, TableError):
        assert (failed.error.table, failed.error.reason) == (error.table, error.reason)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.data())
def test_frames_do_not_depend_on_how_they_arrive(payloads, data):
    """However a stream is cut into pieces, the same frames come out."""
    stream = b"".join(struct.pack("!I", len(payload)) + payload for payload in payloads)
    frames, found = Frames(100), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += frames.feed(stream[:size])
        stream = stream[size:]
    assert found == payloads


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error(garbage):
    """Bytes that are no message raise `ProtocolError` and nothing else."""
    for decode in (protocol.decode_request, protocol.decode_reply):
        with pytest.raises(ProtocolError):
            decode(garbage)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = sorted(protocol._NAMES)


@given(st.sampled_from(NAMES), st.lists(JSON, max_size=7), st.binary(max_size=30))
@example("rows", [1, None, 0, []], b"")
@example("rows", [1, None, 2, [["int", 16], ["int", 8]]], bytes(24))
@example("rows", [1, None, 10**9, []], b"")
@example("rows", [1, None, 1, [["text", -1]]], b"x")
@example("subscribe", [1, "", "events", 2**62], b"")
def test_wrong_fields_are_a_protocol_error(name, fields, data):
    """A known message with other fields than its own raises `ProtocolError` and nothing else."""
    frame = json.dumps([name, *fields]).encode() + (b"\n" + data if data else b"")
    for decode in (protocol.decode_request, protocol.decode_reply):
        try:
            message = decode(frame)
        except ProtocolError:
            continue
        assert protocol.encode(message)


@given(REPLIES, st.data())
def test_damaged_frames_are_a_message_or_a_protocol_error(message, data):
    """A frame with a changed byte decodes to something, or raises `ProtocolError`."""
    frame = bytearray(protocol.encode(message)[4:])
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        assert protocol.decode_reply(bytes(frame)) is not None


def test_deep_nesting_is_a_protocol_error():
    """JSON that is nested beyond measure does not exhaust the stack."""
    with pytest.raises(ProtocolError):
        protocol.decode_request(b"[" * 500_000)


@pytest.mark.parametrize("value", ["true", "[1]", '{"base64":"!"}', '{"other":"aa"}', "{}"])
def test_values_that_sqlite_cannot_hold_are_refused(value):
    """Rows of mixed values hold nothing but what SQLite can."""
    packed = f"[{value}]".encode()
    frame = json.dumps(["rows", 1, None, 1, [["json", len(packed)]]]).encode() + b"\n" + packed
    with pytest.raises(ProtocolError):
        protocol.decode_reply(frame)


@pytest.mark.parametrize("size", [0, 101, 2**32 - 1])
def test_a_frame_too_large_is_refused_before_it_is_read(size):
    """The length alone is enough to refuse a frame."""
    with pytest.raises(ProtocolError, match="not acceptable"):
        list(Frames(100).feed(struct.pack("!I", size)))


def test_either_side_hears_its_own_messages_only():
    """A request is no answer, and an answer no request."""
    with pytest.raises(ProtocolError):
        protocol.decode_reply(protocol.encode(Cancel(1))[4:])
    with pytest.raises(ProtocolError):
        protocol.decode_request(protocol.encode(RunEnd(1))[4:])
