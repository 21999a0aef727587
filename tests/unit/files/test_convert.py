"""Tests of converting fields of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.api import Type
from zeek_agent_core.files.convert import converter
from zeek_agent_core.values import to_sql


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("int", b"12abc", 12),
        ("int", b" -5", -5),
        ("int", b"", None),
        ("int", b"x", None),
        ("int", b"99999999999999999999999", None),
        ("count", b"-5", None),
        ("count", b"+7", 7),
        ("real", b"1.5e3x", 1500.0),
        ("real", b"nan", None),
        ("real", b"1e999", None),
        ("bool", b"Yes", True),
        ("bool", b"0", False),
        ("bool", b"maybe", None),
        ("address", b"::FFFF%eth0", "::ffff"),
        ("address", b"1.2.3", None),
        ("port", b"80/TCP", (80, "tcp")),
        ("port", b"53", (53, "unknown")),
        ("port", b"70000", None),
        ("time", b"1.000001", 1_000_001),
        ("time", b"1970-01-01T00:00:01Z", 1_000_000),
        ("time", b"x", None),
        ("interval", b"1.5s", 1_500_000_000),
        ("interval", b"-0.5", -500_000_000),
        ("enum", b"A::B", "A::B"),
        ("null", b"x", None),
        ("text", b"", ""),
        ("blob", b"\xff", b"\xff"),
    ],
)
def test_values(kind, field, value):
    """A field becomes a value of its type, or NULL."""
    assert converter(Type(kind))(field) == value


@given(st.binary(max_size=30), st.sampled_from(list(Type)))
def test_anything_converts(field, kind):
    """Whatever the bytes, the value fits its type."""
    convert = converter(kind)
    if convert is not None and kind is not Type.NULL:
        to_sql(kind, convert(field))


@given(st.from_regex(r"[+-]?[0-9]{0,25}\.?[0-9]{0,12}(e[+-]?[0-9]{1,4})?s?", fullmatch=True))
def test_numbers_fit_into_sqlite(field):
    """No number, however long, is larger than SQLite can hold."""
    for kind in (Type.INT, Type.COUNT, Type.TIME, Type.INTERVAL):
        value = converter(kind)(field.encode())
        assert value is None or -(1 << 63) <= value < 1 << 63
