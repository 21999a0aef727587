"""The bindings to libproc."""

from pathlib import Path

import pytest
from zeek_agent_darwin import _libproc

from tests.layouts import differences

C_NAMES = {
    "ProcFdInfo": "proc_fdinfo",
    "ProcBsdInfo": "proc_bsdinfo",
    "ProcFileInfo": "proc_fileinfo",
    "VinfoStat": "vinfo_stat",
    "SockbufInfo": "sockbuf_info",
    "InSock6": "in_sock6",
    "InSockInfo": "in_sockinfo",
    "TcpSockInfo": "tcp_sockinfo",
    "SocketInfo": "socket_info",
    "SocketFdInfo": "socket_fdinfo",
}


def test_layouts(tmp_path):
    """A C compiler lays all structures out as ctypes does, field by field."""
    prelude = (Path(__file__).parent / "native/layouts.c").read_text()
    names = {kind: f"struct {name}" for kind, name in C_NAMES.items()}
    assert differences(_libproc.STRUCTURES, prelude, ["gcc", "-m64"], tmp_path, names) == []


def test_a_difference_is_found(tmp_path):
    """A structure that is wrong is not passed over."""
    import ctypes

    class Wrong(ctypes.Structure):
        _fields_ = (("first", ctypes.c_uint16), ("second", ctypes.c_uint32))

    prelude = "struct Wrong { char first; short second; };"
    found = differences([Wrong], prelude, ["gcc"], tmp_path, {"Wrong": "struct Wrong"})
    assert found == [
        "sizeof(struct Wrong) is 4 for the compiler, 8 for ctypes",
        "offsetof(struct Wrong, second) is 2 for the compiler, 4 for ctypes",
    ]


def test_read_refuses_what_is_cut_short():
    """A buffer that is too small is no structure."""
    assert _libproc.read(_libproc.ProcFdInfo, bytes(7)) is None
    assert _libproc.read(_libproc.ProcFdInfo, bytes(9)) is not None


@pytest.mark.skipif("sys.platform == 'darwin'")
def test_the_library_is_missing_here():
    """Where there is no libproc, loading it says so."""
    with pytest.raises(OSError, match="libproc"):
        _libproc.SystemLibproc()
