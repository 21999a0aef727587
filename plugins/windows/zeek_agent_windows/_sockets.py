"""Pure: processes and sockets of recorded buffers."""

import ctypes
import socket
from collections.abc import Iterator
from typing import NamedTuple

from zeek_agent_core.portable.socket_changes import Seen
from zeek_agent_windows._layouts import (
    ProcessEntry,
    Tcp6Row,
    TcpRow,
    Udp6Row,
    UdpRow,
    filetime,
    rows,
    wide,
)
from zeek_agent_windows._native import AF_INET, AF_INET6, Native

TCP, UDP = 6, 17
ANY, ANY6 = "0.0.0.0", "::"  # noqa: S104 - what is shown, nothing is bound
IDLE, SYSTEM = 0, 4
"""Processes that are no programs."""

STATES = {
    1: "CLOSED",
    2: "LISTEN",
    3: "SYN_SENT",
    4: "SYN_RECEIVED",
    5: "ESTABLISHED",
    6: "FIN_WAIT_1",
    7: "FIN_WAIT_2",
    8: "CLOSE_WAIT",
    9: "CLOSING",
    10: "LAST_ACK",
    11: "TIME_WAIT",
    12: "DELETE_TCB",
}
"""By the numbers `MIB_TCP_STATE_...` of ``<tcpmib.h>``."""


class Process(NamedTuple):
    """A process of a snapshot."""

    pid: int
    ppid: int
    name: str
    """Name of its program's file, without directory."""


class Found(NamedTuple):
    """A socket of a table."""

    seen: Seen
    opened: int | None
    """When it was opened, in µs since the epoch."""


def parse_processes(raw: bytes) -> Iterator[Process]:
    """Yield the processes of `PROCESSENTRY32W` structures that lie one behind the other."""
    size = ctypes.sizeof(ProcessEntry)
    for start in range(0, len(raw) - size + 1, size):
        entry = ProcessEntry.from_buffer_copy(raw, start)
        name = wide(bytes(entry.szExeFile))
        yield Process(entry.th32ProcessID, entry.th32ParentProcessID, name)


def parse_tcp(table: bytes, family: int) -> Iterator[Found]:
    """Yield the sockets of a table of TCP; `TIME_WAIT` belongs to no process any more."""
    if family == AF_INET:
        for row in rows(TcpRow, table):
            ends = (_v4(row.dwLocalAddr), row.dwLocalPort, _v4(row.dwRemoteAddr), row.dwRemotePort)
            yield _tcp("IPv4", row, ends, ANY)
    else:
        for each in rows(Tcp6Row, table):
            local, remote = _v6(each.ucLocalAddr), _v6(each.ucRemoteAddr)
            yield _tcp("IPv6", each, (local, each.dwLocalPort, remote, each.dwRemotePort), ANY6)


def _tcp(family: str, row: TcpRow | Tcp6Row, ends: tuple[str, int, str, int], anyone: str) -> Found:
    state = STATES.get(row.dwState, "unknown")
    local, local_port, remote, remote_port = ends
    # A listening socket has rubbish as its peer.
    peer = (anyone, 0) if state == "LISTEN" else (remote, _port(remote_port))
    pid = row.dwOwningPid or None
    seen = Seen(pid, family, TCP, local, _port(local_port), *peer, state)
    return Found(seen, filetime(row.liCreateTimestamp))


def parse_udp(table: bytes, family: int) -> Iterator[Found]:
    """Yield the sockets of a table of UDP, which knows of no peers."""
    if family == AF_INET:
        for row in rows(UdpRow, table):
            yield _udp("IPv4", row, _v4(row.dwLocalAddr), ANY)
    else:
        for each in rows(Udp6Row, table):
            yield _udp("IPv6", each, _v6(each.ucLocalAddr), ANY6)


def _udp(family: str, row: UdpRow | Udp6Row, local: str, anyone: str) -> Found:
    pid = row.dwOwningPid or None
    seen = Seen(pid, family, UDP, local, _port(row.dwLocalPort), anyone, 0, None)
    return Found(seen, filetime(row.liCreateTimestamp))


def _port(value: int) -> int:
    """Return a port that lies in network order in the low half of a DWORD."""
    return (value & 0xFF) << 8 | value >> 8 & 0xFF


def _v4(raw: ctypes.Array[ctypes.c_uint8]) -> str:
    return socket.inet_ntop(socket.AF_INET, bytes(raw))


def _v6(raw: ctypes.Array[ctypes.c_uint8]) -> str:
    return socket.inet_ntop(socket.AF_INET6, bytes(raw))


def sockets(native: Native) -> Iterator[Found]:
    """Yield all sockets; a family that is switched off has none."""
    for family in (AF_INET, AF_INET6):
        yield from parse_tcp(native.tcp(family), family)
        yield from parse_udp(native.udp(family), family)
