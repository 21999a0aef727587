"""The ends of sockets as the kernel announces them over netlink, with their byte counts.

Sources: sock_diag(7), net/core/sock_diag.c, include/uapi/linux/inet_diag.h and
tcp.h. They are those of the agent's own network namespace, without process.
"""

import errno
import socket
import struct
from collections.abc import Sequence
from socket import ntohs
from types import TracebackType
from typing import NamedTuple, Self

from zeek_agent_linux._procconnector import SO_RCVBUFFORCE
from zeek_agent_linux._sockdiag import BY_FAMILY, HEADER, MESSAGE, SOCK_DIAG
from zeek_agent_linux._sockquery import ADDRESSES, FAMILIES
from zeek_agent_linux._tcpstates import Ends

SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
TCP_GROUPS, UDP_GROUPS = (1, 3), (2, 4)  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_...
BUFFER = 16 << 20
"""Bytes of the kernel's memory for messages that were not read yet."""

_BODY = struct.Struct("=B3xHH16s16s")
_ATTRIBUTE = struct.Struct("=HH")
_INFO, _PROTOCOL = 2, 10  # INET_DIAG_INFO, INET_DIAG_PROTOCOL
_ACKED = struct.Struct("=120xQQ")
_SENT = struct.Struct("=200xQQ")


class Ending(NamedTuple):
    """A socket that is no more."""

    protocol: int
    ends: Ends
    acked: int | None = None
    """Numbers of the sequence that the peer acknowledged, SYN and FIN included."""
    received: int | None = None
    """The same, of what came from the peer."""
    sent: int | None = None
    """Bytes of data that were sent, once each."""

    @property
    def has_opened(self) -> bool:
        """Whether both a SYN and a FIN were acknowledged: who accepts has no SYN of its own."""
        return None not in {self.acked, self.sent} and (self.acked or 0) - (self.sent or 0) > 1

    def counts(self, *, has_opened: bool) -> tuple[int | None, int | None]:
        """Return the bytes of data that the peer acknowledged, and those it sent.

        Who *has_opened* the connection has had a SYN acknowledged. If its FIN
        was acknowledged as well, the peer has sent one too.
        """
        if self.acked is None or self.received is None:
            return None, None
        if self.sent is None:  # Linux before 4.19
            return max(self.acked - has_opened, 0), self.received
        is_finished = self.acked - self.sent > has_opened
        return min(self.acked, self.sent), max(self.received - is_finished, 0)


def parse(message: bytes | memoryview) -> Ending | None:
    """Return what *message* announces, None if it is something else.

    Raises `ValueError` if it is truncated.
    """
    if len(message) < HEADER.size:
        raise ValueError("truncated netlink header")
    length, kind, *_ = HEADER.unpack_from(message)
    if kind != BY_FAMILY:
        return None
    if not MESSAGE <= length <= len(message):
        raise ValueError("truncated inet_diag_msg")
    family, local_port, remote_port, local, remote = _BODY.unpack_from(message, HEADER.size)
    if family not in FAMILIES:
        return None
    size = 4 if family == socket.AF_INET else 16
    addresses = ADDRESSES[family]
    ends = Ends(
        FAMILIES[family], addresses[local[:size]], ntohs(local_port),
        addresses[remote[:size]], ntohs(remote_port),
    )  # fmt: skip
    attributes = dict(_attributes(message, length))
    protocol = attributes.get(_PROTOCOL, b"\0")[:1]
    info = attributes.get(_INFO, b"")
    acked = received = sent = None
    if len(info) >= _ACKED.size:
        acked, received = _ACKED.unpack_from(info)
    if len(info) >= _SENT.size:
        total, again = _SENT.unpack_from(info)
        sent = max(total - again, 0)
    return Ending(protocol[0] if protocol else 0, ends, acked, received, sent)


def _attributes(message: bytes | memoryview, end: int) -> list[tuple[int, bytes]]:
    found, offset = [], MESSAGE
    while offset + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(message, offset)
        if size < _ATTRIBUTE.size or offset + size > end:
            raise ValueError("truncated netlink attribute")
        found.append((kind, bytes(message[offset + _ATTRIBUTE.size : offset + size])))
        offset += (size + 3) & ~3
    return found


class Endings:
    """A socket that gets the announcements, from when it is entered until it is left."""

    def __init__(self, groups: Sequence[int] = (*TCP_GROUPS, *UDP_GROUPS)) -> None:
        """Get what is announced to *groups*; nothing happens yet."""
        self._groups = groups
        self.overruns = 0
        """How often the kernel had to drop announcements, so far; it does not say how many."""
        self.forged = 0
        """Messages that did not come from the kernel, so far."""
        self._buffer = memoryview(bytearray(1 << 16))

    def __enter__(self) -> Self:
        """Join the groups; `OSError` if that is refused."""
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, SOCK_DIAG)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            for group in self._groups:
                self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
        except OSError:
            self._socket.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave them."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor, to wait for announcements."""
        return self._socket.fileno()

    def read(self, most: int) -> list[Ending]:
        """Return up to *most* announcements, fewer only if no more wait."""
        found: list[Ending] = []
        while len(found) < most:
            try:
                size, (port, _) = self._socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            if port:
                self.forged += 1
                continue
            ending = parse(self._buffer[:size])
            if ending is not None:
                found.append(ending)
        return found
