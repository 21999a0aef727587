"""The assembler, by the encoding that the kernel documents."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._bpf.assembler import R0, R1, R2, R3, R10, Assembler, Helper, Writer
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.record import Record


def code(*calls):
    """Return the instructions that *calls* make: op, registers, offset, number."""
    a = Assembler()
    for name, *arguments in calls:
        getattr(a, name)(*arguments)
    return list(struct.iter_unpack("=BBhi", a.code()))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (("move", R1, R2), (0xBF, 0x21, 0, 0)),
        (("move", R1, -7), (0xB7, 0x01, 0, -7)),
        (("add", R2, 8), (0x07, 0x02, 0, 8)),
        (("math", R2, "&", R3), (0x5F, 0x32, 0, 0)),
        (("math", R2, ">>", 32), (0x77, 0x02, 0, 32)),
        (("from_network", R1), (0xDC, 0x01, 0, 16)),
        (("load", R1, R2, 16, 1), (0x71, 0x21, 16, 0)),
        (("load", R1, R2, Member(4, 2)), (0x69, 0x21, 4, 0)),
        (("load", R1, R2, Member(4, 8), 4), (0x61, 0x21, 4, 0)),
        (("store", R10, -8, R1), (0x7B, 0x1A, -8, 0)),
        (("store", R10, -4, 5, 4), (0x62, 0x0A, -4, 5)),
        (("atomic_add", R0, 0, R1), (0xDB, 0x10, 0, 0)),
        (("call", Helper.SEQ_WRITE), (0x85, 0, 0, 127)),
    ],
)
def test_encoding(call, expected):
    """Each instruction has the bytes that the kernel's documentation gives it."""
    assert code(call) == [expected]


def test_jumps():
    """Jumps go forward and back to labels, counted from the next instruction."""
    made = code(
        ("label", "start"), ("move", R0, 1), ("jump_if", R0, "s<", 3, "end"),
        ("jump_if", R0, "==", R1, "start"), ("jump", "end"), ("label", "end"), ("end",),
    )  # fmt: skip
    assert made[1:4] == [(0xC5, 0, 2, 3), (0x1D, 0x10, -3, 0), (0x05, 0, 0, 0)]


def test_mistakes():
    """A label that is missing, or there twice, and a load without size are errors."""
    with pytest.raises(ValueError, match="no label nowhere"):
        code(("jump", "nowhere"))
    with pytest.raises(ValueError, match="label here is there already"):
        code(("label", "here"), ("label", "here"))
    with pytest.raises(ValueError, match="size"):
        code(("load", R1, R2, 8))


def test_writer():
    """A record on the stack begins so that it ends with the stack."""
    record = Record(first="Q", second="I", third="I")
    a = Assembler()
    row = Writer(a, record)
    row.clear()
    row.put("second", R1)
    row.copy("third", R2, Member(40, 4))
    made = list(struct.iter_unpack("=BBhi", a.code()))
    assert row.start == -16
    assert made == [
        (0x7A, 10, -16, 0), (0x7A, 10, -8, 0), (0x63, 0x1A, -8, 0), (0x61, 0x21, 40, 0),
        (0x63, 0x1A, -4, 0),
    ]  # fmt: skip


def test_record_keeps_boundaries():
    """The kernel takes no number that lies across its boundary, so no record has one."""
    with pytest.raises(ValueError, match="boundary"):
        Record(first="I", second="Q")


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 65535), st.binary())))
def test_columns(rows):
    """A column is the same as that field of all records unpacked."""
    record = Record(number="Q", port="H", more="H", name="4s")
    raw = b"".join(record.struct.pack(number, port, 7, name) for number, port, name in rows)
    assert record.column(raw, "number") == [row[0] for row in rows]
    assert record.column(raw, "port") == [row[1] for row in rows]
    assert record.column(raw, "more") == [7] * len(rows)
    with pytest.raises(ValueError, match="truncated"):
        record.column(raw + b"x", "port")
