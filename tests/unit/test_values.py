"""Values keep their meaning in SQLite and in JSON."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.api import Port, Type, storable, text
from zeek_agent_core.values import (
    elements,
    iso_time,
    seconds_text,
    sql_type,
    to_json,
    to_sql,
    to_text,
    type_of_value,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = {
    Type.TEXT: TEXTS,
    Type.ENUM: TEXTS,
    Type.ADDRESS: st.ip_addresses().map(str),
    Type.BLOB: st.binary(),
    Type.COUNT: st.integers(0, 2**63 - 1),
    Type.INT: INT64,
    Type.REAL: st.floats(allow_nan=False),
    Type.INTERVAL: INT64,
    Type.TIME: INT64,
}


@given(st.data(), st.sampled_from(sorted(SCALARS)))
def test_plain_values_are_stored_as_they_are(data, kind):
    """What SQLite can hold is stored unchanged."""
    value = data.draw(SCALARS[kind])
    assert to_sql(kind, value) == value


@pytest.mark.parametrize("kind", sorted(set(Type) - {Type.NULL}))
def test_none_is_null(kind):
    """None is NULL in a column of any type, and shown as such."""
    assert to_sql(kind, None) is None
    assert to_json(kind, None) is None
    assert to_text(kind, None) == "(null)"


@given(st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5)))))
def test_times_come_back_from_their_text(moment):
    """A moment is exact to the microsecond in SQLite and in RFC 3339 text."""
    stored = to_sql(Type.TIME, moment)
    shown = to_json(Type.TIME, stored)
    assert datetime.fromisoformat(shown) == moment
    assert shown == iso_time(stored) == to_text(Type.TIME, stored)


def test_known_times():
    """The epoch, and a moment before it."""
    assert iso_time(0) == "1970-01-01T00:00:00.000000Z"
    assert iso_time(-1) == "1969-12-31T23:59:59.999999Z"
    assert to_sql(Type.TIME, datetime(2000, 1, 1, tzinfo=UTC)) == 946_684_800_000_000


@given(INT64)
def test_any_number_can_be_shown_as_a_time(number):
    """A moment out of range is shown as a number instead of an error."""
    assert to_text(Type.TIME, number).endswith(("Z", "us"))


@given(st.timedeltas())
def test_intervals_are_exact(interval):
    """An interval is stored in nanoseconds."""
    stored = to_sql(Type.INTERVAL, interval)
    assert stored % 1000 == 0
    assert timedelta(microseconds=stored // 1000) == interval


@given(INT64)
def test_seconds_lose_nothing(nanoseconds):
    """The text of an interval has all its digits and no more."""
    shown = seconds_text(nanoseconds).removesuffix("s")
    whole, _, fraction = shown.partition(".")
    assert int(whole + fraction.ljust(9, "0")) == nanoseconds
    assert not fraction.endswith("0")


@given(st.lists(st.none() | INT64))
def test_vectors_come_back(items):
    """A vector keeps its elements and their order."""
    stored = to_sql(Type.VECTOR, items, Type.INT)
    assert to_json(Type.VECTOR, stored) == items
    assert json.loads(stored)["elem"] == "int"


@given(st.sets(st.none() | TEXTS))
def test_sets_come_back_sorted(items):
    """A set is stored in order, so that equal sets are equal in SQL."""
    stored = to_sql(Type.SET, items)
    assert stored == to_sql(Type.SET, list(items)[::-1])
    assert set(to_json(Type.SET, stored)) == items


@given(st.integers(0, 65535), st.sampled_from(["tcp", "udp", "icmp", "unknown"]))
def test_ports_come_back(number, protocol):
    """A port is JSON in SQLite and `80/tcp` for people."""
    stored = to_sql(Type.PORT, Port(number, protocol))
    assert json.loads(stored) == {"port": number, "proto": protocol}
    assert to_json(Type.PORT, stored) == to_text(Type.PORT, stored) == f"{number}/{protocol}"


@given(st.lists(st.tuples(st.just(Type.INT), INT64) | st.tuples(st.just(Type.TEXT), TEXTS)))
def test_records_come_back(parts):
    """A record keeps the values and types of its parts."""
    stored = to_sql(Type.RECORD, parts)
    assert elements(stored) == [value for _, value in parts]
    assert [part["type"] for part in json.loads(stored)] == [str(kind) for kind, _ in parts]


@given(st.binary())
def test_bytes_become_text_without_loss_of_ascii(raw):
    """Bytes that are no UTF-8 become escapes, whether decoded by us or by the system."""
    shown = text(raw)
    assert storable(raw.decode("utf-8", "surrogateescape")) == shown
    assert to_sql(Type.TEXT, raw) == shown


@given(st.text())
def test_any_text_can_be_stored(value):
    """Even lone surrogates can be stored: as escapes."""
    assert to_sql(Type.TEXT, value).encode() is not None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Type.TEXT, 5),
        (Type.BLOB, 5),
        (Type.INT, "5"),
        (Type.COUNT, 1.5),
        (Type.REAL, "1"),
        (Type.TIME, "now"),
        (Type.TIME, datetime(2000, 1, 1)),  # noqa: DTZ001 - a naive one is the point
        (Type.INTERVAL, 1.5),
        (Type.SET, "abc"),
        (Type.SET, 5),
        (Type.VECTOR, b"abc"),
        (Type.PORT, 80),
        (Type.RECORD, [1]),
        (Type.NULL, 1),
    ],
)
def test_values_of_another_type_are_refused(kind, value):
    """A value that does not fit its column is a `TypeError` or `ValueError`."""
    with pytest.raises((TypeError, ValueError)):
        to_sql(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (Type.BOOL, 1, "true"),
        (Type.BOOL, 0, "false"),
        (Type.INTERVAL, 1_500_000_000, "1.5s"),
        (Type.INTERVAL, -2_000_000_000, "-2s"),
        (Type.SET, '{"elem":"int","value":[1,null]}', "{1, (null)}"),
        (Type.RECORD, '[{"type":"int","value":1},{"type":"text","value":"a"}]', "[1, a]"),
        (Type.SET, "no JSON", "no JSON"),
        (Type.BLOB, b"a\xff", "a\\xff"),
        (Type.REAL, 0.5, "0.5"),
        (Type.COUNT, 7, "7"),
    ],
)
def test_values_as_people_read_them(kind, value, shown):
    """Text output is short and unambiguous."""
    assert to_text(kind, value) == shown


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (Type.BOOL, 1, True),
        (Type.INTERVAL, 1_500_000_000, 1.5),
        (Type.BLOB, b"\xff", "\\xff"),
        (Type.TEXT, "5", "5"),
        (Type.VECTOR, "no JSON", "no JSON"),
    ],
)
def test_values_as_json_shows_them(kind, value, shown):
    """JSON output has plain values."""
    assert to_json(kind, value) == shown


def test_every_type_has_an_sql_type():
    """Each column type is declared as one of SQLite's."""
    assert {sql_type(kind) for kind in Type} == {"INTEGER", "REAL", "TEXT", "BLOB"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (1, "int"), (1.5, "real"), ("a", "text"), (b"a", "blob"), (True, "bool")],
)
def test_values_without_a_column_have_a_type(value, kind):
    """The storage class decides where no column does."""
    assert type_of_value(value) == kind


def test_halves_of_surrogate_pairs_are_storable():
    """Text of Windows, or of JSON, with half a pair can be stored, as text and as bytes."""
    assert storable("a\ud800") == "a\\xed\\xa0\\x80"
    assert to_sql(Type.BLOB, "\ud800") == b"\xed\xa0\x80"
    assert storable("\udcff") == "\\xff"
