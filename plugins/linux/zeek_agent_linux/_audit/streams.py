"""Where audit records come from: three streams with one face."""

import errno
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from zeek_agent_core.api import TableError
from zeek_agent_linux._audit.netlink import HEADER, READLOG_GROUP, open_socket
from zeek_agent_linux._audit.records import Record, parse_line, parse_payload

BUFFER = 32 << 20
"""Bytes that the kernel may hold for a netlink socket: some 10,000 programs executed."""
LARGEST = 16384
FIRST_RECORD = 1100
"""Types below are answers and requests."""
LONGEST_LINE = 1 << 20
EOF = "the audit dispatcher closed the connection"
BINARY = "the audit dispatcher does not send lines of text: set its plugin to the format `string`"

_KIND = struct.Struct("=H")

Take = Callable[[Record], None]


class Stream(Protocol):
    """Gives records, as long as it is open."""

    overflows: int
    """How often the kernel dropped records since this end was slow."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""

    def drain(self, take: Take, most: int) -> int:
        """Hand over what is there, about *most* records; return how many there were.

        Fewer than *most* means that there is no more for now.
        """

    def close(self) -> None:
        """Let go of the descriptor."""


class Netlink:
    """Records from the kernel, as its daemon or one of many listeners."""

    def __init__(self, group: int = 0) -> None:
        """Open the socket, a member of the multicast *group* if there is one."""
        self.socket = open_socket(group, BUFFER)
        self.socket.setblocking(False)  # noqa: FBT003 - so the standard library has it
        self.overflows = 0
        self._buffer = bytearray(LARGEST)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self.socket.fileno()

    def drain(self, take: Take, most: int) -> int:
        """Hand over what is there; records of other senders than the kernel are ignored."""
        buffer, read = self._buffer, self.socket.recvfrom_into
        for count in range(most):
            try:
                size, sender = read(buffer)
            except BlockingIOError:
                return count
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overflows += 1
                continue
            record = self.record(buffer, size) if sender[0] == 0 else None
            if record is not None:
                take(record)
        return most

    def record(self, message: bytearray, size: int) -> Record | None:
        """Return the record in the first *size* bytes of *message*; None if there is none."""
        if size < HEADER.size:
            return None
        # The length in the header leaves the header out, for the daemon alone.
        (kind,) = _KIND.unpack_from(message, 4)
        return parse_payload(kind, message[HEADER.size : size]) if kind >= FIRST_RECORD else None

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def multicast() -> Netlink:
    """Return the records that everybody with the permission can get, beside a daemon."""
    return Netlink(READLOG_GROUP)


class Dispatcher:
    """Records from auditd, through the Unix socket of its plugin."""

    def __init__(self, path: str) -> None:
        """Connect to the socket *path*."""
        self.overflows = 0
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(1.0)
            self._socket.connect(path)
            self._socket.setblocking(False)  # noqa: FBT003 - so the standard library has it
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._socket.fileno()

    def drain(self, take: Take, most: int) -> int:
        """Hand over what is there; the end of the connection is a `TableError`."""
        count = 0
        while count < most:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return count
            if not data:
                raise TableError("audit", EOF)
            count += self._lines(data, take)
        return count

    def _lines(self, data: bytes, take: Take) -> int:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE or any(b"\0" in line for line in lines):
            raise TableError("audit", BINARY)
        for line in lines:
            record = parse_line(line)
            if record is not None:
                take(record)
        return max(len(lines), 1)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
