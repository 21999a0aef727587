"""IP sockets of all processes, from libproc."""

import ctypes
import socket
from collections.abc import Iterator
from typing import NamedTuple

from zeek_agent_core.api import text
from zeek_agent_darwin._libproc import (
    INI_IPV4,
    INI_IPV6,
    PROX_FDTYPE_SOCKET,
    SOCKINFO_IN,
    SOCKINFO_TCP,
    InSockInfo,
    Libproc,
    ProcBsdInfo,
    ProcFdInfo,
    SocketFdInfo,
    read,
)

AF_INET, AF_INET6 = 2, 30
"""As on macOS, wherever a buffer is read."""

STATES = (
    "CLOSED",
    "LISTEN",
    "SYN_SENT",
    "SYN_RECEIVED",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "FIN_WAIT_1",
    "CLOSING",
    "LAST_ACK",
    "FIN_WAIT_2",
    "TIME_WAIT",
    "RESERVED",
)
"""By the numbers `TSI_S_...` of ``<sys/proc_info.h>``."""


class Process(NamedTuple):
    """What sockets need of a process."""

    name: str
    uid: int
    gid: int
    ppid: int
    started: int
    """In µs since the epoch."""


class Socket(NamedTuple):
    """An IP socket."""

    id: int
    """The kernel's number for it, which no other open socket has."""
    family: str
    protocol: int
    local_addr: str
    local_port: int
    remote_addr: str
    remote_port: int
    state: str | None
    """None but for TCP."""


def descriptors(raw: bytes) -> list[int]:
    """Return which descriptors of a `proc_fdinfo` array are sockets."""
    count = len(raw) // ctypes.sizeof(ProcFdInfo)
    infos = (ProcFdInfo * count).from_buffer_copy(raw) if count else ()
    return [info.proc_fd for info in infos if info.proc_fdtype == PROX_FDTYPE_SOCKET]


def parse_process(raw: bytes) -> Process | None:
    """Return the process in a `proc_bsdinfo`; None if it is cut short."""
    info = read(ProcBsdInfo, raw)
    if info is None:
        return None
    started = info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec
    name = text(info.pbi_name or info.pbi_comm)
    return Process(name, info.pbi_uid, info.pbi_gid, info.pbi_ppid, started)


def parse_socket(raw: bytes) -> Socket | None:
    """Return the IP socket in a `socket_fdinfo`; None if it is another kind, or cut short."""
    info = read(SocketFdInfo, raw)
    if info is None:
        return None
    found = info.psi
    if found.soi_family not in (AF_INET, AF_INET6):
        return None
    if found.soi_kind not in (SOCKINFO_IN, SOCKINFO_TCP):
        return None
    ip: InSockInfo = found.soi_proto.pri_in
    is_tcp = found.soi_kind == SOCKINFO_TCP
    return Socket(
        found.soi_so,
        "IPv4" if found.soi_family == AF_INET else "IPv6",
        found.soi_protocol,
        _address(ip, found.soi_family, bytes(ip.insi_laddr)),
        _port(ip.insi_lport),
        _address(ip, found.soi_family, bytes(ip.insi_faddr)),
        _port(ip.insi_fport),
        _state(found.soi_proto.pri_tcp.tcpsi_state) if is_tcp else None,
    )


def _port(value: int) -> int:
    """Return a port that lies in network order in the low half of an `int`."""
    return int.from_bytes((value & 0xFFFF).to_bytes(2, "little"), "big")


def _address(ip: InSockInfo, family: int, raw: bytes) -> str:
    """Return an address; IPv4 seen through an IPv6 socket is a mapped one."""
    if family == AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    if ip.insi_vflag & INI_IPV4 and not ip.insi_vflag & INI_IPV6:
        raw = bytes(10) + b"\xff\xff" + raw[12:]
    if raw[:2] == b"\xfe\x80":
        raw = raw[:2] + bytes(2) + raw[4:]  # the kernel keeps the interface's number there
    return socket.inet_ntop(socket.AF_INET6, raw)


def _state(number: int) -> str | None:
    return STATES[number] if 0 <= number < len(STATES) else None


def sockets(system: Libproc, pids: list[int]) -> Iterator[tuple[int, Socket] | None]:
    """Yield the sockets of each process with its ID; None after each process."""
    for pid in pids:
        for descriptor in descriptors(system.descriptors(pid)):
            found = parse_socket(system.socket(pid, descriptor))
            if found is not None:
                yield pid, found
        yield None
