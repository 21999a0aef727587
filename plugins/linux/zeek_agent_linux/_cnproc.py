"""Messages of the process events connector: pure.

Sources: include/uapi/linux/cn_proc.h and connector.h, drivers/connector/cn_proc.c.
"""

import struct
from typing import NamedTuple

NONE, FORK, EXEC, UID, GID = 0x0, 0x1, 0x2, 0x4, 0x40
COMM, EXIT = 0x200, 0x80000000

IDENTITY = (1, 1)  # CN_IDX_PROC, CN_VAL_PROC
DONE = 3  # NLMSG_DONE, the type of all messages
LISTEN, IGNORE = 1, 2

# nlmsghdr; cn_msg; then of proc_event: what, cpu, time (monotonic ns), 24 bytes by kind.
_MESSAGE = struct.Struct("=IH10x IIII4x IIQ iiIIii")
_REQUEST = struct.Struct("=IHHII IIIIHH I")
SIZE = _MESSAGE.size
_NAME = slice(SIZE - 16, SIZE)


class Event(NamedTuple):
    """One message; what the numbers are depends on *what*.

    ====== ========= ========== ========== ========= ========== ===========
    what   a         b          c          d         e          f
    ====== ========= ========== ========== ========= ========== ===========
    NONE   error
    FORK   parent    its group  child      its group
    EXEC   thread    group
    UID    thread    group      real       effective
    GID    thread    group      real       effective
    EXIT   thread    group      status     signal    parent     its group
    ====== ========= ========== ========== ========= ========== ===========

    A group is what is called a process elsewhere; a status is that of wait(2).
    """

    sequence: int
    """Counts the events on that processor, for all who listen."""
    acknowledged: int
    what: int
    cpu: int
    time: int
    """By the monotonic clock."""
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int


def request(operation: int, number: int) -> bytes:
    """Return the message that asks for events, or for no more; *number* marks the answer."""
    size = _REQUEST.size
    return _REQUEST.pack(size, DONE, 0, 0, 0, *IDENTITY, 0, number, 4, 0, operation)


def parse(message: bytes | bytearray | memoryview) -> Event:
    """Return the event in *message*; `ValueError` if it is none."""
    if len(message) < SIZE:
        raise ValueError("truncated message of the proc connector")
    length, kind, index, value, *event = _MESSAGE.unpack_from(message)
    if length < SIZE or kind != DONE or (index, value) != IDENTITY:
        raise ValueError("not a message of the proc connector")
    return Event(*event)


def parse_name(message: bytes | bytearray | memoryview) -> bytes:
    """Return the name in a message of kind `COMM`."""
    return bytes(message[_NAME]).partition(b"\0")[0]
