"""The kernel's process events connector: every fork, exec, change of IDs and exit.

Sources: drivers/connector/cn_proc.c and connector(7) of the kernel. It tells of
all processes of the host, in containers too, but only those who are in the
initial PID and user namespaces and have CAP_NET_ADMIN.

The mask of events that newer kernels take is not used: what it leaves out is
numbered all the same, so that losses could not be told from it.
"""

import errno
import os
import secrets
import select
import socket
from time import monotonic
from types import TracebackType
from typing import Self

from zeek_agent_linux import _cnproc
from zeek_agent_linux._cnproc import Event

CONNECTOR = 11  # NETLINK_CONNECTOR
SO_RCVBUFFORCE = 33
BUFFER = 16 << 20
"""Bytes of the kernel's memory for events that were not read yet; 40,000 of them fill it."""
ANSWER_SECONDS = 1.0

Item = tuple[Event, bytes]
"""An event, and its name if it is of the kind `COMM`."""


class Connector:
    """A socket that gets the events, from when it is entered until it is left."""

    def __init__(self) -> None:
        """Do nothing yet."""
        self.lost = 0
        """Events that the kernel had to drop, so far."""
        self.forged = 0
        """Messages that did not come from the kernel, so far."""
        self._number = secrets.randbits(31)
        self._sequences: dict[int, int] = {}
        self._buffer = bytearray(4096)
        self._view = memoryview(self._buffer)

    def __enter__(self) -> Self:
        """Ask for events; `OSError` if they are refused."""
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            CONNECTOR,
        )
        try:
            self._socket.bind((0, _cnproc.IDENTITY[0]))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            self._socket.send(_cnproc.request(_cnproc.LISTEN, self._number))
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
        """Ask for no more, and close."""
        try:
            self._socket.send(_cnproc.request(_cnproc.IGNORE, self._number))
        except OSError:
            pass
        finally:
            self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor, to wait for events."""
        return self._socket.fileno()

    def check(self) -> None:
        """Wait for the kernel's answer; `OSError` if it refuses, or does not answer."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        end = monotonic() + ANSWER_SECONDS
        while (left := end - monotonic()) > 0 and poll.poll(left * 1000):
            for event, _ in self.read(1):
                if event.what == _cnproc.NONE and event.acknowledged == self._number + 1:
                    return
        raise OSError(errno.EPERM, "the kernel does not answer: not in its initial namespaces")

    def read(self, most: int) -> list[Item]:
        """Return up to *most* events, fewer only if no more wait; in the order they came."""
        receive, buffer, parse = self._socket.recvfrom_into, self._buffer, _cnproc.parse
        items: list[Item] = []
        while len(items) < most:
            try:
                size, (port, _) = receive(buffer)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # the sequence numbers tell how many
                    continue
                raise
            if port:
                self.forged += 1
                continue
            event = parse(self._view[:size])
            self._count(event)
            what = event.what
            items.append((event, _cnproc.parse_name(buffer) if what == _cnproc.COMM else b""))
            if what == _cnproc.NONE and event.acknowledged == self._number + 1 and event.a:
                raise OSError(event.a, os.strerror(event.a))
        return items

    def _count(self, event: Event) -> None:
        """Add to `lost` what lies between the last event of that processor and this one."""
        expected = self._sequences.get(event.cpu, event.sequence)
        self._sequences[event.cpu] = (event.sequence + 1) & 0xFFFFFFFF
        if event.sequence != expected:
            self.lost += (event.sequence - expected) & 0xFFFFFFFF
