"""The journal's export format."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._export import Parser

CAPTURED = b"""__CURSOR=s=4d6;i=1;b=5bb;m=2d;t=661;x=ac
__REALTIME_TIMESTAMP=1795818153486751
_BOOT_ID=5bb282c158964111aa21b8549415574d
PRIORITY=6
MESSAGE
\x0b\x00\x00\x00\x00\x00\x00\x00two\n\nlines\n
_TRANSPORT=driver

__CURSOR=s=4d6;i=2
MESSAGE=a=b

"""

NAMES = st.from_regex(rb"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True)
ENTRIES = st.lists(st.lists(st.tuples(NAMES, st.binary(max_size=30)), min_size=1), max_size=6)


def encode(entry, *, binary=False):
    """Return *entry* as journald exports it; all values in *binary* form if that is asked."""
    parts = []
    for name, value in entry:
        if binary or b"\n" in value or any(byte < 32 and byte != 9 for byte in value):
            parts.append(name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n")
        else:
            parts.append(name + b"=" + value + b"\n")
    return b"".join(parts) + b"\n"


def test_captured():
    """Fields in both forms are read, empty lines within a value included."""
    first, second = (list(map(tuple, pairs)) for pairs in Parser().feed(CAPTURED))
    assert first[4:] == [(b"MESSAGE", b"two\n\nlines\n"[:11]), (b"_TRANSPORT", b"driver")]
    assert second == [(b"__CURSOR", b"s=4d6;i=2"), (b"MESSAGE", b"a=b")]


@given(ENTRIES, st.booleans(), st.lists(st.integers(1, 50)))
def test_parsing_undoes_encoding(entries, binary, cuts):
    """However the stream is cut, each entry comes once, with all its fields in order."""
    data = b"".join(encode(entry, binary=binary) for entry in entries)
    parser, found = Parser(), []
    for cut in [*cuts, len(data)]:
        found += parser.feed(data[:cut])
        data = data[cut:]
    found += parser.feed(data)
    assert [list(map(tuple, pairs)) for pairs in found] == entries


@given(st.binary(max_size=300), st.integers(1, 20))
def test_nonsense(data, cut):
    """Whatever comes gives fields or a `ValueError`, nothing else."""
    parser = Parser()
    try:
        for at in range(0, len(data), cut):
            for pairs in parser.feed(data[at : at + cut]):
                assert all(isinstance(name, bytes) for name, _ in pairs)
    except ValueError:
        pass


def test_an_entry_without_end():
    """A length beyond all bounds is an error, not memory."""
    with pytest.raises(ValueError, match="MESSAGE"):
        list(Parser().feed(b"MESSAGE\n" + struct.pack("<Q", 1 << 60) + b"x"))
