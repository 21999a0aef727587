"""The ring buffer: how records lie in it, and what cannot be one."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._bpf.ring import BUSY, DISCARDED, parse_records


def packed(record, flags=0):
    """Return a record as the kernel writes it."""
    raw = struct.pack("=II", len(record) | flags, 0) + record
    return raw.ljust(len(raw) + 7 & ~7, b"\0")


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans())))
def test_records(records):
    """All records are found where they are, those that were discarded apart."""
    raw = b"".join(packed(record, DISCARDED if gone else 0) for record, gone in records)
    places, used = parse_records(raw)
    assert used == len(raw)
    found = [raw[at : at + length] for at, length in places]
    assert found == [record for record, gone in records if not gone]


@given(st.lists(st.binary(max_size=40)), st.binary(max_size=40))
def test_busy(records, last):
    """A record that is still being written, and all behind it, has to wait."""
    before = b"".join(map(packed, records))
    places, used = parse_records(before + packed(last, BUSY) + packed(b"later"))
    assert (len(places), used) == (len(records), len(before))


@given(st.binary(max_size=200))
def test_any_bytes(raw):
    """Whatever the bytes are, no record reaches beyond them."""
    places, used = parse_records(raw)
    assert used <= len(raw)
    assert all(at >= 0 and at + length <= used for at, length in places)


@given(st.lists(st.binary(max_size=40), min_size=1))
def test_cut(records):
    """A record that is cut waits until the rest is there."""
    raw = b"".join(map(packed, records))
    whole, _ = parse_records(raw)
    places, used = parse_records(raw[:-8] if records[-1] else raw[:-1])
    assert len(places) == len(whole) - 1
    assert used < len(raw)
