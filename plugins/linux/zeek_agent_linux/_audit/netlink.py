"""Talks to the kernel's audit system by netlink: status and rules.

Source: include/uapi/linux/audit.h, kernel/audit.c.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Self

from zeek_agent_linux._audit.rules import Rule, pack_rule, parse_rule
from zeek_agent_linux._audit.status import Status, parse_status, status_request

NETLINK_AUDIT = 9
READLOG_GROUP = 1
"""Multicast group that gets all records."""
GET, SET, ADD_RULE, DEL_RULE, LIST_RULES = 1000, 1001, 1011, 1012, 1013

HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_REQUEST, _ACK = 1, 4
_LARGEST = 16384
_SECONDS = 2.0
"""After which a request counts as lost."""
_SO_RCVBUFFORCE = 33


def open_socket(group: int = 0, buffer: int = 0) -> socket.socket:
    """Return a socket bound to the kernel's audit system; *buffer* is in bytes."""
    raw = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_AUDIT)
    try:
        if buffer:
            _enlarge(raw, buffer)
        raw.bind((0, group))
    except OSError:
        raw.close()
        raise
    return raw


def _enlarge(raw: socket.socket, buffer: int) -> None:
    try:
        raw.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
    except PermissionError:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)


def message(kind: int, sequence: int, payload: bytes = b"") -> bytes:
    """Return a request that the kernel acknowledges."""
    size = HEADER.size + len(payload)
    return HEADER.pack(size, kind, _REQUEST | _ACK, sequence, 0) + payload


class Control:
    """Requests to the kernel, one at a time, each with its answer; for any thread."""

    def __init__(self) -> None:
        """Open a socket; `OSError` where there is no auditing, or no permission."""
        self._socket = open_socket()
        self._socket.settimeout(_SECONDS)
        self._sequence = 0

    def __enter__(self) -> Self:
        """Use it as long as the block lasts."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def status(self) -> Status:
        """Return the state of auditing."""
        return next(parse_status(raw) for kind, raw in self._ask(GET) if kind == GET)

    def set(self, **values: int) -> None:
        """Change fields of the status."""
        self._ask(SET, status_request(**values))

    def rules(self) -> list[Rule]:
        """Return the rules that are loaded."""
        return [parse_rule(raw) for kind, raw in self._ask(LIST_RULES) if kind == LIST_RULES]

    def add(self, rule: Rule) -> None:
        """Load *rule*; one that is loaded already is fine."""
        try:
            self._ask(ADD_RULE, pack_rule(rule))
        except FileExistsError:
            return

    def delete(self, rule: Rule) -> None:
        """Remove *rule*; one that is not loaded is fine."""
        try:
            self._ask(DEL_RULE, pack_rule(rule))
        except FileNotFoundError:
            return

    def _ask(self, kind: int, payload: bytes = b"") -> list[tuple[int, bytes]]:
        self._sequence += 1
        self._socket.send(message(kind, self._sequence, payload))
        return list(self._answers(kind))

    def _answers(self, request: int) -> Iterator[tuple[int, bytes]]:
        """Yield the answers to the last request, until both it and its replies are complete."""
        is_acknowledged = False
        is_complete = request in (SET, ADD_RULE, DEL_RULE)
        while not (is_acknowledged and is_complete):
            raw, sender = self._socket.recvfrom(_LARGEST)
            if sender[0] != 0 or len(raw) < HEADER.size:
                continue  # not from the kernel
            _, kind, _, sequence, _ = HEADER.unpack_from(raw)
            if sequence != self._sequence:
                continue
            body = raw[HEADER.size :]
            if kind == _ERROR:
                check_answer(body)
                is_acknowledged = True
            elif kind == _DONE:
                is_complete = True
            else:
                is_complete = is_complete or kind == GET
                yield kind, body


def check_answer(body: bytes) -> None:
    """Raise `OSError` if an acknowledgement is a refusal."""
    (code,) = struct.unpack_from("=i", body.ljust(4, b"\0"))
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def refusal(error: OSError) -> OSError:
    """Return an error of the kernel's auditing in words that people understand."""
    reasons = {
        errno.EPROTONOSUPPORT: "this kernel has no auditing",
        errno.ECONNREFUSED: "auditing is out of reach in this container",
        errno.EPERM: "auditing is not permitted (CAP_AUDIT_CONTROL, CAP_AUDIT_READ)",
        errno.ETIMEDOUT: "the kernel does not answer about auditing",
    }
    code = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno or errno.EIO
    return OSError(code, reasons.get(code, os.strerror(code).lower()))
