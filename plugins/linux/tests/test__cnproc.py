"""Messages of the process events connector."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _cnproc
from zeek_agent_linux._cnproc import EXIT, SIZE, Event, parse, parse_name, request

CAPTURED = bytes.fromhex(
    "4c000000030000000000000000000000"
    "0100000001000000030000000000000028000000"
    "0000008001000000cf3a1fb5e9000000"
    "5c4800005c48000000010000110000003348000033480000"
)
"""The end of process 18524, status 1, child of 13107, as a kernel 6.18 told it."""


def test_captured_message():
    """A message of the real kernel is understood."""
    assert len(CAPTURED) == SIZE
    event = parse(CAPTURED)
    assert (event.what, event.cpu, event.sequence, event.acknowledged) == (EXIT, 1, 3, 0)
    assert (event.a, event.b, event.c, event.d) == (18524, 18524, 256, 17)
    assert (event.e, event.f) == (18483, 18483)
    assert event.time == 0xE9B51F3ACF


def test_name():
    """A name ends at its first zero byte."""
    assert parse_name(CAPTURED[:60] + b"worker/7\0garbage") == b"worker/7"
    assert parse_name(CAPTURED[:60] + b"x" * 16) == b"x" * 16


def test_request():
    """A request has the kernel's identity, the operation, and a mark for the answer."""
    raw = request(_cnproc.LISTEN, 77)
    assert struct.unpack_from("=I", raw)[0] == len(raw) == 40
    assert struct.unpack_from("=IIII", raw, 16) == (1, 1, 0, 77)
    assert struct.unpack_from("=HHI", raw, 32) == (4, 0, 1)


@pytest.mark.parametrize("cut", [0, 16, 36, SIZE - 1])
def test_truncated(cut):
    """A message that is too short is refused."""
    with pytest.raises(ValueError, match="truncated"):
        parse(CAPTURED[:cut])


@pytest.mark.parametrize(("offset", "value"), [(0, 40), (4, 2), (16, 2), (20, 9)])
def test_other_messages(offset, value):
    """What says it is shorter, or of another kind or another sender, is refused."""
    raw = bytearray(CAPTURED)
    struct.pack_into("=H", raw, offset, value)
    with pytest.raises(ValueError, match="not a message"):
        parse(raw)


NUMBERS = st.integers(-(2**31), 2**31 - 1)
UNSIGNED = st.integers(0, 2**32 - 1)


@given(st.tuples(UNSIGNED, UNSIGNED, UNSIGNED, UNSIGNED), st.integers(0, 2**64 - 1), NUMBERS)
def test_reading_undoes_writing(unsigned, time, number):
    """All numbers come out as they went in."""
    sequence, acknowledged, what, cpu = unsigned
    status = cpu
    event = Event(sequence, acknowledged, what, cpu, time, number, number, status, 17, number, 1)
    raw = struct.pack("=IHHII", SIZE, 3, 0, 0, 0)
    raw += struct.pack("=IIIIHH", 1, 1, sequence, acknowledged, 40, 0)
    raw += struct.pack("=IIQiiIIii", what, cpu, time, number, number, status, 17, number, 1)
    assert parse(raw) == event


@given(st.binary(max_size=200))
def test_any_bytes(raw):
    """Whatever bytes come, they are a message or refused with `ValueError`."""
    for message in (raw, CAPTURED[:28] + raw):
        try:
            parse(message)
        except ValueError:
            continue
        parse_name(message)
