"""Values pass to Zeek and back; whatever comes is decoded or refused, never worse."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.broker import codec, data
from zeek_agent_core.broker.actions import PublishRows
from zeek_agent_core.broker.decoding import MOST_BYTES, decode_value
from zeek_agent_core.broker.encoding import encode_value
from zeek_agent_core.broker.messages import Context
from zeek_agent_core.broker.rules import offset_shown_by
from zeek_agent_core.broker.transport import Event, Flavour
from zeek_agent_core.errors import DecodeError, ZeekError
from zeek_agent_core.query import Change, ResultColumn, Subscription
from zeek_agent_core.values import Port, Type, to_sql

NEW = codec.rules_for(codec.peer("x-websocket-1", "9.0.0"))
OLD = codec.rules_for(codec.peer("0a1b", "2.7.0"))
RULES = st.sampled_from([NEW, OLD, codec.OLDEST])

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, data.MOST_COUNT).map(data.Count),
    st.integers(data.LEAST_INTEGER, data.MOST_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    TEXT.map(data.Enum),
    st.integers(data.LEAST_INTEGER, data.MOST_INTEGER).map(data.Timespan),
    st.integers(-(10**10), 10**10).map(lambda ms: data.Timestamp(ms * 1_000_000)),
    st.ip_addresses().map(data.Address),
    st.builds(Port, st.integers(0, 65535), st.sampled_from(["tcp", "udp", "icmp", "unknown"])),
)


@st.composite
def values(draw, depth=3):
    """Return any value, nested up to *depth* times."""
    kind = draw(st.sampled_from([None, tuple, data.Set, data.Table])) if depth else None
    if kind is None:
        return draw(SCALARS)
    inner = values(depth - 1)
    if kind is data.Set:
        filled = inner.filter(lambda value: value is not None)
        return kind(draw(st.lists(filled, unique_by=repr, max_size=3)))
    item = st.tuples(inner, inner) if kind is data.Table else inner
    return kind(draw(st.lists(item, max_size=3)))


VALUES = values()


def alike(left, right):
    """Return whether two values are equal and of the same types throughout."""
    if type(left) is not type(right):
        return False
    if isinstance(left, tuple) and not isinstance(left, Port):
        return len(left) == len(right) and all(map(alike, left, right))
    return left == right


def received(value, rules):
    """Return text as a server has it."""
    return value.replace("\0", "\\x00") if not rules.unicode_escapes else value


def as_received(value, rules):
    """Return *value* as an old server has it: without NUL, which cannot be sent."""
    if isinstance(value, Port):
        return value
    if isinstance(value, tuple):
        return type(value)(as_received(item, rules) for item in value)
    if isinstance(value, str):
        return type(value)(received(value, rules))
    return value


@given(VALUES, RULES)
def test_values_come_back(value, rules):
    """Decoding undoes encoding, for every type and every server."""
    decoded = decode_value(json.loads(encode_value(value, rules), strict=False), rules)
    assert alike(decoded, as_received(value, rules))


@given(TEXT, TEXT, st.lists(VALUES, max_size=3), RULES)
def test_events_come_back(topic, name, arguments, rules):
    """Topic, name and arguments survive the frame."""
    event = codec.decode_frame(codec.encode_event(topic, name, arguments, rules), rules)
    assert (event.topic, event.name) == (received(topic, rules), received(name, rules))
    assert alike(event.arguments, as_received(tuple(arguments), rules))


@given(VALUES)
def test_old_servers_get_no_unicode_escapes(value):
    r"""Before Zeek 8.0 a `\u` that is no text of ours would be a parse error."""
    made = encode_value(value, OLD).replace("\\\\", "")
    assert "\\u" not in made
    assert "\0" not in made


@given(st.text(st.characters()))
def test_any_text_has_a_form(text):
    """Lone surrogates, which have no UTF-8 form, do not stop an event."""
    event = codec.decode_frame(codec.encode_event("/t", "e", [text], NEW), NEW)
    event.arguments[0].encode()


@given(st.binary(max_size=300))
def test_bytes_are_a_message_or_an_error(raw):
    """No input raises anything but `DecodeError`."""
    with suppress(DecodeError):
        codec.decode_frame(raw)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["1e9999s", "1.5min", "99999999999h", "::/999", "1/tcp", "2020-13-01T00:00:00.000"]
    ),
)
KINDS = [
    "count",
    "real",
    "timespan",
    "timestamp",
    "address",
    "subnet",
    "port",
    "vector",
    "set",
    "table",
    "none",
    "string",
    "enum-value",
    "integer",
    "boolean",
    "nonsense",
]


@st.composite
def documents(draw, depth=4):
    """Return something that looks like what Zeek sends, with mistakes."""
    if not depth or draw(st.integers(0, 4)) == 0:
        return draw(LEAVES)
    inner = documents(depth - 1)
    if draw(st.booleans()):
        return draw(st.lists(inner, max_size=4))
    made = {"@data-type": draw(st.sampled_from(KINDS)), "data": draw(inner)}
    for key in draw(st.sets(st.sampled_from(["code", "context", "key", "value", "endpoint"]))):
        made[key] = draw(inner)
    if draw(st.booleans()):
        made |= {"type": draw(st.sampled_from(["ack", "error", "data-message", 1])), "topic": "/t"}
    return made


@given(documents())
def test_documents_are_a_message_or_an_error(document):
    """No JSON, near to right or far from it, raises anything but `DecodeError`."""
    with suppress(DecodeError):
        codec.decode_frame(json.dumps(document).encode())


@pytest.mark.parametrize("piece", [b"[", b'{"a":', b'{"@data-type":"vector","data":['])
def test_depth_is_bounded(piece):
    """Nesting does not exhaust the stack."""
    with pytest.raises(DecodeError, match="deeper"):
        codec.decode_frame(piece * 100_000)


def test_size_is_bounded():
    """A message larger than any Zeek sends is refused unread."""
    with pytest.raises(DecodeError, match="too large"):
        codec.decode_frame(b" " * (MOST_BYTES + 1))


@pytest.mark.parametrize("filler", [b'"', b"\\", b'"\\', b"a", b"-inf", b'"a'])
def test_hostile_input_takes_linear_time(filler):
    """A megabyte of anything is refused within the time limit of tests."""
    with pytest.raises(DecodeError):
        codec.decode_frame(filler * (1_000_000 // len(filler)))


def value_of(kind, payload, rules=NEW):
    """Return the one argument of an event, decoded."""
    frame = (
        b'{"type":"data-message","topic":"/t","@data-type":"vector","data":['
        b'{"@data-type":"count","data":1},{"@data-type":"count","data":1},'
        b'{"@data-type":"vector","data":[{"@data-type":"string","data":"e"},'
        b'{"@data-type":"vector","data":[{"@data-type":"' + kind + b'","data":' + payload + b"}]},"
        b'{"@data-type":"vector","data":[]}]}]}'
    )
    return codec.decode_frame(frame, rules).arguments[0]


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        (b"string", rb'"a\vb"', "a\vb"),
        (b"string", rb'"a\\vb"', "a\\vb"),
        (b"string", rb'"a\x\"\u00e9\vb"', 'a\\x"é\vb'),
        (b"string", b'"a\x01\x0b\tb"', "a\x01\x0b\tb"),
        (b"string", b'"a\xff\xc3\xa9b"', "a\\xfféb"),
        (b"string", rb'"\ud800"', "\\xed\\xa0\\x80"),
        (b"string", rb'"inf\v nan"', "inf\v nan"),
        (b"real", b"0.000000", 0.0),
        (b"real", b"3", 3.0),
        (b"real", b"-inf", -math.inf),
        (b"timespan", b'"500ms"', 500_000_000),
        (b"timespan", b'"10min"', 600 * 10**9),
        (b"timespan", b'"1.5min"', 90 * 10**9),
        (b"timespan", b'"2h"', 7200 * 10**9),
        (b"timespan", b'"-5s"', -5 * 10**9),
        (b"timespan", b'"1e3us"', 10**6),
        (b"timespan", b'"9223372036854775807ns"', 2**63 - 1),
        (b"timestamp", b'"1970-01-01T00:00:01.500"', 1_500_000_000),
        (b"timestamp", b'"1970-01-01T00:00:01"', 1_000_000_000),
        (b"timestamp", b'"1970-01-01T01:00:01.000000001+01:00"', 1_000_000_001),
        (b"timestamp", b'"1970-01-01T00:00:01Z"', 1_000_000_000),
        (b"none", b"{}", None),
        (b"none", b"null", None),
        (b"subnet", b'"10.1.2.3/8"', "10.0.0.0/8"),
        (b"port", b'"80/?"', Port(80, "unknown")),
    ],
)
def test_what_zeek_writes_is_read(kind, payload, expected):
    """Also where it is not JSON, in the ways that Zeek's writer has."""
    assert value_of(kind, payload) == expected


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (b"count", b"-1"), (b"count", b"5.0"), (b"count", b'"5"'), (b"count", b"true"),
        (b"count", b"18446744073709551616"), (b"integer", b"9223372036854775808"),
        (b"boolean", b"1"), (b"timespan", b'"5"'), (b"timespan", b'"5 s"'),
        (b"timespan", b'"1e999s"'), (b"timestamp", b'"2020-02-30T00:00:00.000"'),
        (b"timestamp", b'"2020-01-01T00:00:60.000"'), (b"address", b'""'), (b"address", b"1"),
        (b"port", b'"99999/tcp"'), (b"vector", b"{}"), (b"table", b"[1]"), (b"bool", b"true"),
    ],
)  # fmt: skip
def test_wrong_values_are_errors(kind, payload):
    """A value that is not what its type says is refused with both named."""
    with pytest.raises(DecodeError):
        value_of(kind, payload)


def test_answers_of_both_servers_are_read():
    """Zeek 7.2 says `message` where others say `context`."""
    ack = codec.decode_frame(b'{"type":"ack","endpoint":"e","version":"8.0.1"}')
    assert (ack.endpoint, ack.version) == ("e", "8.0.1")
    for key in (b"context", b"message"):
        reply = codec.decode_frame(b'{"type":"error","code":"c","' + key + b'":"why"}')
        assert str(reply) == "c (why)"


@pytest.mark.parametrize(
    ("endpoint", "version", "flavour", "release"),
    [
        ("n-websocket-1", "9.0.0-rc1", Flavour.CLUSTER, (9, 0)),
        ("n-websocket-1", "7.2.1", Flavour.CLUSTER, (7, 2)),
        ("uuid", "2.3.2", Flavour.BROKER, (5, 0)),
        ("uuid", "6.2.0", Flavour.BROKER, (6, 2)),
        ("uuid", "2.7.0", Flavour.BROKER, (6, 1)),
        ("uuid", "2.8.0-dev.329", Flavour.BROKER, (7, 0)),
        ("uuid", "?", Flavour.BROKER, (0, 0)),
    ],
)
def test_peer_is_known_by_its_ack(endpoint, version, flavour, release):
    """Where a version says too little, the oldest possible release is assumed."""
    peer = codec.peer(endpoint, version)
    assert (peer.flavour, peer.release) == (flavour, release)


def test_frames_for_brokers_server_are_long():
    """Split frames of less than 2048 bytes end its connections; its topics' frame included."""
    assert len(codec.encode_event("/t", "e", [], OLD)) == 2100
    assert len(codec.encode_subscriptions(["/t"], OLD)) == 2100
    assert len(codec.encode_event("/t", "e", [], NEW)) < 300


@pytest.mark.parametrize(
    ("ahead", "offset"), [(7200, 7200), (7190, 7200), (-16_200, -16_200), (8500, None), (1e6, None)]
)
def test_time_zone_shows_in_stamps(ahead, offset):
    """Offsets are quarters of an hour; a clock that is merely wrong is no time zone."""
    assert offset_shown_by(int(ahead * 1e9), 0) == offset


def test_unknown_classes_are_refused():
    """What has no type in Zeek is an error of ours, not a guess."""
    with pytest.raises(ZeekError, match="object"):
        codec.encode_event("/t", "e", [object()])


def columns_of(kinds, row, rules=NEW):
    """Return what Zeek gets for *row* of columns with *kinds*."""
    columns = tuple(ResultColumn(f"c{n}", kind) for n, kind in enumerate(kinds))
    context = Context("H", 0, "q", Change.ADD)
    order = PublishRows("q", "/t", "e", context, columns, [row])
    [frame] = codec.Frames(rules).of(order)
    event = codec.decode_frame(frame, rules)
    assert isinstance(event, Event)
    assert event.arguments[0] == ("H", 0, "q", "ZeekAgent::Add", None)
    return event.arguments[1]


SPREAD = [
    (Type.TEXT, "ä", "ä", ""),
    (Type.ADDRESS, "10.0.0.1", "10.0.0.1", ""),
    (Type.COUNT, 7, 7, -1),
    (Type.BOOL, 1, 1, -1),
    (Type.REAL, 2, 2.0, -1.0),
    (Type.TIME, 1_500_000, 1, -1),
    (Type.INTERVAL, 2_500_000_000, 2, -1),
    (Type.BLOB, b"a\xff", "a\\xff", ""),
    (None, 1.5, 1.5, ""),
    (None, 3, 3, ""),
]


@pytest.mark.parametrize("rules", [codec.OLDEST, NEW])
@pytest.mark.parametrize(("kind", "value", "sent", "missing"), SPREAD)
def test_first_generation_rows_are_arguments(rules, kind, value, sent, missing):
    """Each column is an argument of one of three types, and none of them is missing."""
    columns = (ResultColumn("c", kind), ResultColumn("d", kind))
    context = Context("H", 0, "q", Change.ADD, "cook")
    order = PublishRows("q", "/t", "e", context, columns, [(value, None)], Subscription.DIFFERENCES)
    [frame] = codec.Frames(rules).of(order)
    event = codec.decode_frame(frame, rules)
    assert isinstance(event, Event)
    assert event.arguments == (("H", "ZeekAgent::ADD", "cook"), sent, missing)


STORED = {
    Type.ADDRESS: ("192.168.1.5", data.Address("192.168.1.5")),
    Type.BLOB: (b"a\xff", "a\\xff"),
    Type.BOOL: (1, True),
    Type.COUNT: (5, data.Count(5)),
    Type.ENUM: ("M::E", data.Enum("M::E")),
    Type.INT: (-5, -5),
    Type.INTERVAL: (1_500_000_001, data.Timespan(1_500_000_001)),
    Type.NULL: (None, None),
    Type.PORT: (to_sql(Type.PORT, Port(80, "tcp")), Port(80, "tcp")),
    Type.REAL: (1.5, 1.5),
    Type.RECORD: (
        to_sql(Type.RECORD, [(Type.TEXT, "a"), (Type.COUNT, None), (Type.TIME, 1_000_000)]),
        ("a", None, data.Timestamp(10**9)),
    ),
    Type.SET: (
        to_sql(Type.SET, {"1.2.3.4", "bad"}, Type.ADDRESS),
        data.Set([data.Address("1.2.3.4")]),
    ),
    Type.TEXT: ("tëxt\n", "tëxt\n"),
    Type.TIME: (1_500_000, data.Timestamp(1_500_000_000)),
    Type.VECTOR: (to_sql(Type.VECTOR, [1, 2], Type.COUNT), (data.Count(1), data.Count(2))),
}


@pytest.mark.parametrize("kind", list(Type))
@pytest.mark.parametrize("rules", [NEW, OLD], ids=["new", "old"])
def test_column_of_every_type_arrives(kind, rules):
    """The form that SQLite stores becomes the value that Zeek knows, and NULL none."""
    stored, expected = STORED[kind]
    arrived, missing = columns_of([kind, kind], (stored, None), rules)
    assert alike(arrived, expected)
    assert missing is None


@pytest.mark.parametrize(
    ("kind", "stored", "expected"),
    [
        (Type.COUNT, -1, None),
        (Type.COUNT, 1.5, 1.5),
        (Type.COUNT, "text", "text"),
        (Type.TEXT, 7, 7),
        (Type.TEXT, b"\xff", "\\xff"),
        (Type.ADDRESS, "", None),
        (Type.ADDRESS, "fe80::1%eth0", data.Address("fe80::1")),
        (Type.ADDRESS, 3, 3),
        (Type.REAL, math.inf, None),
        (Type.REAL, math.nan, None),
        (Type.REAL, 2, 2.0),
        (Type.TIME, 2**62, None),
        (Type.TIME, "now", "now"),
        (Type.SET, "no JSON", "no JSON"),
        (Type.SET, "[[[", "[[["),
        (Type.SET, '{"elem":"count","value":[1,-1,null,"x"]}', None),
        (Type.RECORD, "3", "3"),
        (None, 3, 3),
        (None, "x", "x"),
        (None, None, None),
    ],
)
def test_values_that_are_not_of_their_columns_type(kind, stored, expected):
    """They go by what SQLite holds; what Zeek would refuse goes as none."""
    [arrived] = columns_of([kind], (stored,))
    if expected is None and isinstance(stored, str) and stored.startswith('{"elem'):
        expected = stored
    assert alike(arrived, expected)


def test_wide_and_empty_rows_are_sent():
    """The number of columns has no bound but SQLite's."""
    assert columns_of([Type.COUNT] * 300, (1,) * 300) == (1,) * 300
    assert columns_of([], ()) == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, *Type]),
            st.one_of(
                st.none(),
                st.integers(-(2**63), 2**63 - 1),
                st.floats(),
                st.text(st.characters()),
                st.binary(),
                st.sampled_from([stored for stored, _ in STORED.values()]),
            ),
        ),
        max_size=6,
    ),
    RULES,
)
def test_any_row_makes_a_frame(cells, rules):
    """Whatever SQLite returns for whatever column, Zeek gets an event it can read."""
    arrived = columns_of([kind for kind, _ in cells], tuple(value for _, value in cells), rules)
    assert len(arrived) == len(cells)
