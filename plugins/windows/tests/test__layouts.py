"""The structures of the Windows API."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_windows import _layouts

from tests.layouts import MINGW, differences


@pytest.mark.skipif("sys.platform != 'linux'", reason="the compiler is Debian's")
def test_layouts(tmp_path):
    """The headers have the same sizes and offsets, field by field."""
    headers = (Path(__file__).parent / "native/headers.h").read_text()
    found = differences(_layouts.STRUCTURES, headers, [MINGW], tmp_path, _layouts.C_NAMES)
    assert found == []


def test_all_structures_are_checked():
    """No structure of the module is left out."""
    import ctypes

    declared = {
        kind
        for kind in vars(_layouts).values()
        if isinstance(kind, type)
        and issubclass(kind, ctypes.Structure)
        and kind is not ctypes.Structure
    }
    assert declared == set(_layouts.STRUCTURES)


@given(st.binary(max_size=2000))
def test_rows_of_any_bytes(raw):
    """A table that is cut, or lies about its length, gives the rows that are whole."""
    for kind in (_layouts.TcpRow, _layouts.Udp6Row):
        assert len(list(_layouts.rows(kind, raw))) <= len(raw) // 100


@given(st.binary(max_size=60))
def test_wide(raw):
    """Text ends at its NUL; any bytes are some text."""
    assert "\0" not in _layouts.wide(raw)
    assert _layouts.wide("a\0b".encode("utf-16-le")) == "a"


def test_filetime():
    """FILETIME counts 100 ns from 1601 on; zero is no time."""
    assert _layouts.filetime(116_444_736_000_000_010) == 1
    assert _layouts.filetime(0) is None
    assert _layouts.filetime(-5) is None
