"""BTF: types made by hand, the running kernel's own, and bytes that are none."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._bpf import btf
from zeek_agent_linux._bpf.btf import Btf, Member

INT, PTR, ARRAY, STRUCT, UNION, TYPEDEF, FUNC_PROTO = 1, 2, 3, 4, 5, 8, 13


class Maker:
    """Writes BTF."""

    def __init__(self):
        """Begin with no type."""
        self.types, self.strings, self.count = b"", b"\0", 0

    def name(self, text):
        """Return where a name is."""
        if not text:
            return 0
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(self, kind, name, rest, tail=b"", *, members=0, flag=0):
        """Add a type and return its number."""
        info = flag << 31 | kind << 24 | members
        self.types += struct.pack("=III", self.name(name), info, rest) + tail
        self.count += 1
        return self.count

    def compound(self, kind, name, size, *members, flag=0):
        """Add a struct or union of members: name, type, offset in bits."""
        tail = b"".join(struct.pack("=III", self.name(n), t, o) for n, t, o in members)
        return self.add(kind, name, size, tail, members=len(members), flag=flag)

    def data(self):
        """Return all of it."""
        sizes = 0, len(self.types), len(self.types), len(self.strings)
        return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, *sizes) + self.types + self.strings


def made():
    """Return BTF of a struct with all that occurs."""
    m = Maker()
    number = m.add(INT, "int", 4, struct.pack("=I", 32))
    pointer = m.add(PTR, "", number)
    alias = m.add(TYPEDEF, "alias", number)
    inner = m.compound(UNION, "", 8, ("first", pointer, 0), ("second", number, 0))
    part = m.compound(STRUCT, "part", 8, ("head", number, 0), ("tail", number, 32))
    parts = m.add(ARRAY, "", 0, struct.pack("=III", part, number, 3))
    m.compound(
        STRUCT, "whole", 56,
        ("a", number, 0), ("", inner, 64), ("parts", parts, 128), ("bits", alias, 5 << 24 | 328),
        flag=1,
    )  # fmt: skip
    call = m.add(FUNC_PROTO, "", 0, struct.pack("=IIII", 0, pointer, 0, number), members=2)
    m.add(TYPEDEF, "btf_trace_thing", m.add(PTR, "", call))
    return m.data()


def test_members():
    """Members are found by path: in anonymous unions, in arrays, behind typedefs, as bits."""
    types = Btf(made())
    whole = types.number(STRUCT, "whole")
    assert types.size(whole) == 56
    assert types.member(whole, "a") == Member(0, 4)
    assert types.member(whole, "first") == Member(8, 8)
    assert types.member(whole, "second") == Member(8, 4)
    assert types.member(whole, "parts") == Member(16, 24)
    assert types.member(whole, "parts.tail") == Member(20, 4)
    assert types.member(whole, "bits") == Member(41, 4)
    with pytest.raises(KeyError):
        types.member(whole, "nothing")
    assert types.number(STRUCT, "nothing") is None
    assert types.number(STRUCT, "alias") is None


def test_arguments():
    """The arguments of a tracepoint are those of the function that its type points to."""
    types = Btf(made())
    assert types.arguments(types.number(TYPEDEF, "btf_trace_thing")) == 2
    with pytest.raises(ValueError, match="no function"):
        types.arguments(types.number(STRUCT, "whole"))


def look(data):
    """Look everything up; return whether *data* was taken for BTF."""
    try:
        types = Btf(data)
        for number in range(-1, 14):
            for ask in (types.size, types.arguments):
                try:
                    ask(number)
                except ValueError:
                    continue
            try:
                types.member(number, "parts.tail")
            except (KeyError, ValueError):
                continue
        types.number(STRUCT, "whole")
    except ValueError:
        return False
    return True


@given(st.binary(max_size=400))
def test_other_bytes(data):
    """Bytes that are no BTF end in a `ValueError`, nothing else."""
    assert not look(data)


@given(st.data())
def test_damaged(data):
    """BTF with some bytes changed, or cut, never ends in anything but a `ValueError`."""
    raw = bytearray(made())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    look(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    look(bytes(raw))


def test_running_kernel():
    """The running kernel's types have what every kernel has."""
    types = Btf(Path(btf.VMLINUX).read_bytes())
    task = types.number(STRUCT, "task_struct")
    assert types.member(task, "pid").size == types.member(task, "tgid").size == 4
    assert types.member(task, "comm").size == 16
    assert types.member(task, "se.sum_exec_runtime").size == 8
    assert types.size(task) > 1000
    assert types.number(btf.FUNC, "bpf_iter_task")
