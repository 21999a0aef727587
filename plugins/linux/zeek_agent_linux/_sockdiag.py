"""Asks the kernel for its IP sockets over netlink.

Sources: sock_diag(7), include/uapi/linux/inet_diag.h, net/ipv4/inet_diag.c.
"""

import os
import socket
import struct
from functools import lru_cache
from itertools import count
from typing import NamedTuple

SOCK_DIAG = 4  # NETLINK_SOCK_DIAG; the socket module has no name for it.
BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP

HEADER = struct.Struct("=IHHII")
STATUS = struct.Struct("=i")
# inet_diag_req_v2; the zeros are the addresses, interface and cookie that a dump does not use.
REQUEST = struct.Struct("=IHHIIBBBxI2s2s44x")
MESSAGE = 16 + 72
"""Size of a header and an inet_diag_msg; attributes follow it."""

# The kernel fills at most 32 KiB at a time.
BUFFER = 1 << 16
TIMEOUT = struct.pack("ll", 5, 0)

Socket = tuple[int, int, int, bytes, bytes, int]
"""State, local port, remote port, local address, remote address, inode.

Ports and addresses are in network order, as the kernel gives them. An inode of
0 means that no process has the socket.
"""


class Filter(NamedTuple):
    """What the kernel is asked for."""

    states: int = 0x1FFE
    """Bit of each wanted state; the default is 1 (ESTABLISHED) to 12 (NEW_SYN_RECV)."""
    local_port: int = 0
    """Only this port; 0 means all."""
    remote_port: int = 0


_sequence = count(1)


def connect() -> socket.socket:
    """Return a netlink socket; it asks about the network namespace of this thread."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, SOCK_DIAG)
    netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEOUT)
    return netlink


def dump(netlink: socket.socket, family: int, protocol: int, only: Filter) -> list[Socket]:
    """Return the sockets of a *family* and *protocol*; `OSError` if the kernel cannot tell."""
    sequence = next(_sequence) & 0xFFFFFFFF
    netlink.send(request(family, protocol, only, sequence))
    buffer = memoryview(bytearray(BUFFER))
    found: list[Socket] = []
    while True:
        size = netlink.recv_into(buffer)
        if size >= HEADER.size and HEADER.unpack_from(buffer)[3] != sequence:
            continue  # left over from a request that was given up
        if parse_messages(buffer[:size], family, found):
            return found


def request(family: int, protocol: int, only: Filter, sequence: int) -> bytes:
    """Return the message that asks for a dump."""
    ports = only.local_port.to_bytes(2, "big"), only.remote_port.to_bytes(2, "big")
    return REQUEST.pack(
        REQUEST.size, BY_FAMILY, REQUEST_DUMP, sequence, 0,
        family, protocol, 0, only.states, *ports,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _layout(family: int, size: int) -> struct.Struct:
    """Return how a `Socket` lies in a message of *size* bytes.

    An IPv4 address takes the first 4 of 16 bytes.
    """
    addresses = "4s12x4s12x" if family == socket.AF_INET else "16s16s"
    return struct.Struct(f"=17xB2xHH{addresses}28xI{size - MESSAGE}x")


def parse_messages(buffer: memoryview, family: int, found: list[Socket]) -> bool:
    """Add the sockets in *buffer* to *found*; return whether the dump ends with it.

    Raises `OSError` if the kernel reports an error, `ValueError` if the buffer
    does not hold whole messages.
    """
    size = _uniform(buffer)
    if size:
        found += _layout(family, size).iter_unpack(buffer)
        return False
    offset, end = 0, len(buffer)
    unpack, append = _layout(family, MESSAGE).unpack_from, found.append
    while offset < end:
        if end - offset < HEADER.size:
            raise ValueError("truncated netlink header")
        length, kind, *_ = HEADER.unpack_from(buffer, offset)
        if length < HEADER.size or offset + length > end:
            raise ValueError("truncated netlink message")
        if kind == BY_FAMILY:
            if length < MESSAGE:
                raise ValueError("truncated inet_diag_msg")
            append(unpack(buffer, offset))
        elif kind in (DONE, ERROR):
            _check(buffer[offset + HEADER.size : offset + length])
            return True
        offset += (length + 3) & ~3
    return False


def _uniform(buffer: memoryview) -> int:
    """Return the size of the messages if all are sockets of one size; 0 if not.

    So are most buffers, and these can be unpacked in one go. What differs is
    mainly TIME_WAIT, which has fewer attributes.
    """
    if len(buffer) < MESSAGE or len(buffer) % 4:
        return 0
    words = buffer.cast("I")
    size = words[0]
    if size < MESSAGE or size % 4 or len(buffer) % size:
        return 0
    lengths = words[:: size // 4].tolist()
    kinds = buffer.cast("H")[2 :: size // 2].tolist()
    return size if lengths.count(size) == kinds.count(BY_FAMILY) == len(lengths) else 0


def _check(payload: memoryview) -> None:
    """Raise the error that ends a dump, if there is one; older kernels send none at all."""
    if len(payload) >= STATUS.size:
        (status,) = STATUS.unpack_from(payload)
        if status < 0:
            raise OSError(-status, os.strerror(-status))
