"""Bindings to libproc: structures and calls of ``<libproc.h>`` and ``<sys/proc_info.h>``.

Layouts are those of the public XNU sources for 64-bit systems, the same on
Intel and Apple silicon. Fields have fixed widths, so that they can be checked,
and recorded buffers read, on any system.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_char, c_int16, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64
from typing import Any, Protocol, TypeVar

PROC_PIDLISTFDS = 1
PROC_PIDTBSDINFO = 3
PROC_PIDFDSOCKETINFO = 3
PROX_FDTYPE_SOCKET = 2

SOCKINFO_IN = 1
SOCKINFO_TCP = 2
INI_IPV4 = 1
INI_IPV6 = 2


class ProcFdInfo(ctypes.Structure):
    """`struct proc_fdinfo`: one open descriptor."""

    _fields_ = (("proc_fd", c_int32), ("proc_fdtype", c_uint32))


class ProcBsdInfo(ctypes.Structure):
    """`struct proc_bsdinfo`: one process."""

    _fields_ = (
        ("pbi_flags", c_uint32),
        ("pbi_status", c_uint32),
        ("pbi_xstatus", c_uint32),
        ("pbi_pid", c_uint32),
        ("pbi_ppid", c_uint32),
        ("pbi_uid", c_uint32),
        ("pbi_gid", c_uint32),
        ("pbi_ruid", c_uint32),
        ("pbi_rgid", c_uint32),
        ("pbi_svuid", c_uint32),
        ("pbi_svgid", c_uint32),
        ("rfu_1", c_uint32),
        ("pbi_comm", c_char * 16),
        ("pbi_name", c_char * 32),
        ("pbi_nfiles", c_uint32),
        ("pbi_pgid", c_uint32),
        ("pbi_pjobc", c_uint32),
        ("e_tdev", c_uint32),
        ("e_tpgid", c_uint32),
        ("pbi_nice", c_int32),
        ("pbi_start_tvsec", c_uint64),
        ("pbi_start_tvusec", c_uint64),
    )


class ProcFileInfo(ctypes.Structure):
    """`struct proc_fileinfo`: how a descriptor is open."""

    _fields_ = (
        ("fi_openflags", c_uint32),
        ("fi_status", c_uint32),
        ("fi_offset", c_int64),
        ("fi_type", c_int32),
        ("fi_guardflags", c_uint32),
    )


class VinfoStat(ctypes.Structure):
    """`struct vinfo_stat`: the status of what is open."""

    _fields_ = (
        ("vst_dev", c_uint32),
        ("vst_mode", c_uint16),
        ("vst_nlink", c_uint16),
        ("vst_ino", c_uint64),
        ("vst_uid", c_uint32),
        ("vst_gid", c_uint32),
        ("vst_times", c_int64 * 8),
        ("vst_size", c_int64),
        ("vst_blocks", c_int64),
        ("vst_blksize", c_int32),
        ("vst_flags", c_uint32),
        ("vst_gen", c_uint32),
        ("vst_rdev", c_uint32),
        ("vst_qspare", c_int64 * 2),
    )


class SockbufInfo(ctypes.Structure):
    """`struct sockbuf_info`: one direction of a socket."""

    _fields_ = (
        ("sbi_cc", c_uint32),
        ("sbi_hiwat", c_uint32),
        ("sbi_mbcnt", c_uint32),
        ("sbi_mbmax", c_uint32),
        ("sbi_lowat", c_uint32),
        ("sbi_flags", c_int16),
        ("sbi_timeo", c_int16),
    )


class InSock6(ctypes.Structure):
    """`insi_v6` in `struct in_sockinfo`."""

    _fields_ = (
        ("in6_hlim", c_uint8),
        ("in6_cksum", c_int32),
        ("in6_ifindex", c_uint16),
        ("in6_hops", c_int16),
    )


class InSockInfo(ctypes.Structure):
    """`struct in_sockinfo`: an IP socket; an IPv4 address is the end of its 16 bytes."""

    _fields_ = (
        ("insi_fport", c_int32),
        ("insi_lport", c_int32),
        ("insi_gencnt", c_uint64),
        ("insi_flags", c_uint32),
        ("insi_flow", c_uint32),
        ("insi_vflag", c_uint8),
        ("insi_ip_ttl", c_uint8),
        ("rfu_1", c_uint32),
        ("insi_faddr", c_uint8 * 16),
        ("insi_laddr", c_uint8 * 16),
        ("insi_v4", c_uint8),
        ("insi_v6", InSock6),
    )


class TcpSockInfo(ctypes.Structure):
    """`struct tcp_sockinfo`: a TCP socket."""

    _fields_ = (
        ("tcpsi_ini", InSockInfo),
        ("tcpsi_state", c_int32),
        ("tcpsi_timer", c_int32 * 4),
        ("tcpsi_mss", c_int32),
        ("tcpsi_flags", c_uint32),
        ("rfu_1", c_uint32),
        ("tcpsi_tp", c_uint64),
    )


class SocketProtocol(ctypes.Union):
    """The union in `struct socket_info`; a Unix socket's part is the largest."""

    _fields_ = (
        ("pri_in", InSockInfo),
        ("pri_tcp", TcpSockInfo),
        ("size", c_uint64 * 66),
    )


class SocketInfo(ctypes.Structure):
    """`struct socket_info`: one socket."""

    _fields_ = (
        ("soi_stat", VinfoStat),
        ("soi_so", c_uint64),
        ("soi_pcb", c_uint64),
        ("soi_type", c_int32),
        ("soi_protocol", c_int32),
        ("soi_family", c_int32),
        ("soi_options", c_int16),
        ("soi_linger", c_int16),
        ("soi_state", c_int16),
        ("soi_qlen", c_int16),
        ("soi_incqlen", c_int16),
        ("soi_qlimit", c_int16),
        ("soi_timeo", c_int16),
        ("soi_error", c_uint16),
        ("soi_oobmark", c_uint32),
        ("soi_rcv", SockbufInfo),
        ("soi_snd", SockbufInfo),
        ("soi_kind", c_int32),
        ("rfu_1", c_uint32),
        ("soi_proto", SocketProtocol),
    )


class SocketFdInfo(ctypes.Structure):
    """`struct socket_fdinfo`: what `PROC_PIDFDSOCKETINFO` gives."""

    _fields_ = (("pfi", ProcFileInfo), ("psi", SocketInfo))


STRUCTURES = (
    ProcFdInfo,
    ProcBsdInfo,
    ProcFileInfo,
    VinfoStat,
    SockbufInfo,
    InSock6,
    InSockInfo,
    TcpSockInfo,
    SocketInfo,
    SocketFdInfo,
)

Struct = TypeVar("Struct", bound=ctypes.Structure)


class Libproc(Protocol):
    """What is asked of the system; an answer that is refused is empty."""

    def pids(self) -> list[int]:
        """Return the IDs of all processes."""

    def descriptors(self, pid: int) -> bytes:
        """Return an array of `proc_fdinfo`."""

    def process(self, pid: int) -> bytes:
        """Return a `proc_bsdinfo`."""

    def socket(self, pid: int, descriptor: int) -> bytes:
        """Return a `socket_fdinfo`."""


class SystemLibproc:
    """The library of this host."""

    def __init__(self) -> None:
        """Load the library; `OSError` where there is none."""
        library = ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True)
        self._list = _declared(library.proc_listallpids, ctypes.c_void_p, ctypes.c_int)
        self._pid = _declared(
            library.proc_pidinfo,
            ctypes.c_int,
            ctypes.c_int,
            c_uint64,
            ctypes.c_void_p,
            ctypes.c_int,
        )
        self._descriptor = _declared(
            library.proc_pidfdinfo,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_int,
        )

    def pids(self) -> list[int]:
        """Return the IDs of all processes; there is room for those that start meanwhile."""
        room = int(self._list(None, 0)) + 64
        buffer = (ctypes.c_int * room)()
        count = int(self._list(buffer, ctypes.sizeof(buffer)))
        if count < 0:
            raise OSError(ctypes.get_errno(), "proc_listallpids fails")
        return buffer[: min(count, room)]

    def descriptors(self, pid: int) -> bytes:
        """Return the descriptors of a process."""
        needed = int(self._pid(pid, PROC_PIDLISTFDS, 0, None, 0))
        if needed <= 0:
            return b""
        room = needed + 32 * ctypes.sizeof(ProcFdInfo)
        return _filled(room, lambda buffer: self._pid(pid, PROC_PIDLISTFDS, 0, buffer, room))

    def process(self, pid: int) -> bytes:
        """Return one process."""
        room = ctypes.sizeof(ProcBsdInfo)
        return _filled(room, lambda buffer: self._pid(pid, PROC_PIDTBSDINFO, 0, buffer, room))

    def socket(self, pid: int, descriptor: int) -> bytes:
        """Return one socket of a process."""
        room = ctypes.sizeof(SocketFdInfo)
        flavor = PROC_PIDFDSOCKETINFO
        return _filled(room, lambda buffer: self._descriptor(pid, descriptor, flavor, buffer, room))


def _declared(function: Any, *arguments: Any) -> Callable[..., int]:
    """Return a C *function* that takes *arguments* and returns an `int`."""
    function.argtypes = arguments
    function.restype = ctypes.c_int
    called: Callable[..., int] = function
    return called


def _filled(room: int, call: Callable[[Any], int]) -> bytes:
    """Return what *call* writes into a buffer of *room* bytes; it returns how many."""
    buffer = ctypes.create_string_buffer(room)
    return buffer.raw[: max(call(buffer), 0)]


def read(kind: type[Struct], raw: bytes) -> Struct | None:
    """Return *raw* as a structure; None if it is cut short."""
    return kind.from_buffer_copy(raw) if len(raw) >= ctypes.sizeof(kind) else None
