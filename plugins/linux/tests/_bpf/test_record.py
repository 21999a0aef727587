"""The layout of records: what is read at once is what is read one by one."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._bpf.record import Record

RECORD = Record(big="Q", word="I", half="H", letter="B", other="B", text="16s")


def test_fields_keep_to_their_boundaries():
    """A field that would lie across its boundary is a mistake of who wrote the layout."""
    with pytest.raises(ValueError, match="field big"):
        Record(letter="B", big="Q")


@given(st.lists(st.tuples(
    st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1),
    st.integers(0, 255), st.integers(0, 255), st.binary(min_size=16, max_size=16),
), max_size=5))  # fmt: skip
def test_columns(rows):
    """Columns, some fields, and single letters are those of the records."""
    raw = b"".join(RECORD.struct.pack(*row) for row in rows)
    unpacked = list(RECORD.struct.iter_unpack(raw))
    assert unpacked == rows
    for name in ("big", "word", "half", "letter"):
        at = RECORD.names.index(name)
        assert RECORD.column(raw, name) == [row[at] for row in rows]
    assert RECORD.column(raw, "half", "I") == [
        struct.unpack("=I", struct.pack("=HBB", *row[2:5]))[0] for row in rows
    ]
    assert list(RECORD.some(raw, "word", "text")) == [(row[1], row[5]) for row in rows]
    assert list(RECORD.letters(raw, "other")) == [row[4] for row in rows]
    assert RECORD.without(raw, "letter") == b"".join(
        RECORD.struct.pack(*row) for row in rows if not row[3]
    )
    assert b"".join(RECORD.parts(raw, 2)) == raw
    assert all(RECORD.parts(raw, 2))


def test_cut_records_are_errors():
    """Bytes that are no whole records are refused, however they are read."""
    for read in (
        lambda raw: RECORD.column(raw, "big"),
        lambda raw: RECORD.letters(raw, "other"),
        lambda raw: list(RECORD.some(raw, "word")),
    ):
        with pytest.raises(ValueError, match="truncated"):
            read(bytes(RECORD.size + 1))
