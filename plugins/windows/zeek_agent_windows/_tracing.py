"""Pure: events of the kernel's providers of Event Tracing, from their payloads.

Layouts are those of the manifests of Microsoft-Windows-Kernel-Process and
Microsoft-Windows-Kernel-Network, which `wevtutil gp ... /ge` prints. Fields lie
one behind the other without padding.
"""

import socket
import struct
import uuid
from typing import Any, NamedTuple

from zeek_agent_core.portable.socket_changes import TCP, UDP
from zeek_agent_windows._layouts import filetime, wide

KERNEL_PROCESS = uuid.UUID("22fb2cd6-0e7b-422b-a0c7-2fad1fd0e716").bytes_le
KERNEL_NETWORK = uuid.UUID("7dd42a49-5329-4832-8dfd-43d979153a88").bytes_le
PROCESS_KEYWORD = 0x10
NETWORK_KEYWORDS = 0x10 | 0x20
"""IPv4 and IPv6."""

START, STOP = 1, 2


class Record(NamedTuple):
    """One event."""

    provider: bytes
    """GUID, as it lies in memory."""
    id: int
    version: int
    time: int
    """FILETIME."""
    data: bytes


class Truncated(ValueError):  # noqa: N818 - no error of the program's
    """A payload is shorter than its fields."""


class Fields:
    """Reads fields one after the other."""

    def __init__(self, data: bytes) -> None:
        """Begin at the start of *data*."""
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise Truncated(f"{end} bytes wanted, there are {len(self._data)}")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int = 4) -> int:
        """Return the next number of *size* bytes."""
        return int.from_bytes(self.take(size), "little")

    def sid(self) -> bytes:
        """Return the next security identifier: a head of 8 bytes, then its parts."""
        head = self.take(8)
        return head + self.take(4 * head[1])

    def wide(self) -> str:
        """Return the next UTF-16 text, which ends with a NUL, or with the data."""
        rest = self._data[self._at :]
        end = next((at for at in range(0, len(rest) - 1, 2) if rest[at : at + 2] == b"\0\0"), None)
        self._at += len(rest) if end is None else end + 2
        return wide(rest if end is None else rest[:end])

    def narrow(self) -> str:
        """Return the next text of bytes, which ends with a NUL, or with the data."""
        rest, _, _ = self._data[self._at :].partition(b"\0")
        self._at += len(rest) + 1
        return rest.decode("utf-8", "replace")


class Started(NamedTuple):
    """A process that started."""

    pid: int
    ppid: int
    created: int | None
    """In µs since the epoch."""
    image: str
    """Path of its program, by the name of the device."""


class Stopped(NamedTuple):
    """A process that ended."""

    pid: int
    created: int | None
    ended: int | None
    code: int
    image: str
    """Name of its program, cut."""


def parse_process(record: Record) -> Started | Stopped | None:
    """Return the start or the end of a process; None if the event is another.

    Raises `Truncated` when the payload is too short. Newer versions add fields
    at the end, so those after the last one known are read like it.
    """
    if record.provider != KERNEL_PROCESS or record.id not in (START, STOP):
        return None
    fields = Fields(record.data)
    return (_started if record.id == START else _stopped)(fields, record.version)


def _started(fields: Fields, version: int) -> Started:
    pid = fields.number()
    if version >= 3:  # noqa: PLR2004 - versions of the manifest
        fields.number(8)
    created, ppid = fields.number(8), fields.number()
    if version >= 3:  # noqa: PLR2004
        fields.number(8)
    fields.number()  # session
    if version >= 1:
        fields.number()  # flags
    if version >= 3:  # noqa: PLR2004
        fields.take(8)  # elevation
        fields.sid()
    return Started(pid, ppid, filetime(created), fields.wide())


def _stopped(fields: Fields, version: int) -> Stopped:
    pid = fields.number()
    if version >= 2:  # noqa: PLR2004
        fields.number(8)
    created, ended, code = fields.number(8), fields.number(8), fields.number()
    fields.take(4 + 4 + 8 + 8)  # elevation, handles, memory
    if version >= 1:
        fields.take(8 + 5 * 4)  # cycles, operations, faults
    return Stopped(pid, filetime(created), filetime(ended), code, fields.narrow())


class Flow(NamedTuple):
    """A connection in an event."""

    state: str
    """As in ``sockets_events``."""
    direction: str | None
    pid: int
    family: str
    protocol: int
    local_addr: str
    local_port: int
    remote_addr: str
    remote_port: int


KINDS = {
    12: ("established", "out", TCP),
    13: ("closed", None, TCP),
    15: ("established", "in", TCP),
    28: ("established", "out", TCP),
    29: ("closed", None, TCP),
    31: ("established", "in", TCP),
    42: ("sent", "out", UDP),
    58: ("sent", "out", UDP),
}
"""Of each event: state, direction, protocol. Those of IPv6 are the numbers plus 16."""
FIRST_IPV6 = 26
V4, V6 = struct.Struct("<II4s4s2s2s"), struct.Struct("<II16s16s2s2s")


def parse_network(record: Record) -> Flow | None:
    """Return the connection of an event; None if the event tells of none.

    Raises `Truncated` when the payload is too short. Ports are in network order.
    """
    kind = KINDS.get(record.id) if record.provider == KERNEL_NETWORK else None
    if kind is None:
        return None
    is_v6 = record.id >= FIRST_IPV6 and record.id != 42  # noqa: PLR2004 - UDP over IPv4
    layout = V6 if is_v6 else V4
    if len(record.data) < layout.size:
        raise Truncated(f"{layout.size} bytes wanted, there are {len(record.data)}")
    pid, _, there, here, far, near = layout.unpack_from(record.data)
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    state, direction, protocol = kind
    return Flow(
        state,
        direction,
        pid,
        "IPv6" if is_v6 else "IPv4",
        protocol,
        socket.inet_ntop(family, here),
        int.from_bytes(near, "big"),
        socket.inet_ntop(family, there),
        int.from_bytes(far, "big"),
    )


def times(record: Record) -> dict[str, Any]:
    """Return the column `time` of an event, if it has one."""
    moment = filetime(record.time)
    return {} if moment is None else {"time": moment}


class Flows:
    """Remembers connections, so that their ends tell how long they were, and UDP comes once."""

    def __init__(self, most: int = 65_536) -> None:
        """Remember *most* connections; the oldest are forgotten."""
        self._most = most
        self._known: dict[tuple[Any, ...], tuple[int | None, str | None]] = {}

    def row(self, record: Record, flow: Flow) -> dict[str, Any] | None:
        """Return the row of ``sockets_events``; None for a datagram that is not the first."""
        key, moment = flow[2:], filetime(record.time)
        row = {**times(record), **flow._asdict(), "incomplete": False}
        if flow.state == "closed":
            since, row["direction"] = self._known.pop(key, (None, None))
            if since is not None and moment is not None and moment >= since:
                row["duration"] = (moment - since) * 1000
            return row
        if flow.state == "sent":
            if key in self._known:
                return None
            row["state"] = "established"
        self._known.pop(key, None)
        self._known[key] = moment, flow.direction
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return row
