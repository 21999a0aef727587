"""Pure: records of ``wtmp``, ``btmp`` and ``utmp``, and what they tell of logins.

Sources: utmp(5), bits/utmp.h of the GNU C library.
"""

import ipaddress
import platform
import struct
from collections import OrderedDict
from typing import Any, NamedTuple

from zeek_agent_core.api import text

RUN_LEVEL, BOOT, USER, DEAD = 1, 2, 7, 8
"""Values of `kind` that matter here."""

# kind, process, line, id, user, host, exit status (2), session, time (2), address, unused. Where
# 32-bit programs run too (__WORDSIZE_TIME64_COMPAT32) session and time have 32 bits.
_NARROW = struct.Struct("=hxxi32s4s32s256shhiii16s20x")
_WIDE = struct.Struct("=hxxi32s4s32s256shhqqq16s20x4x")
_WIDE_MACHINES = ("aarch64", "loongarch64", "riscv64", "arm64")

_SECOND = 1_000_000
_SESSIONS = 10_000
"""Sessions that are remembered until they end."""


class Record(NamedTuple):
    """One record."""

    kind: int
    pid: int
    line: str
    user: str
    host: str
    time: int
    """In µs since the epoch."""
    address: str | None


def layout(machine: str = platform.machine()) -> struct.Struct:
    """Return how records lie in the files of a *machine*."""
    return _WIDE if machine in _WIDE_MACHINES else _NARROW


def parse(raw: bytes, form: struct.Struct) -> Record:
    """Return the record *raw*; raise `ValueError` if it has not the length of *form*."""
    if len(raw) != form.size:
        raise ValueError(f"a login record of {len(raw)} bytes, not {form.size}")
    kind, pid, line, _, user, host, _, _, _, seconds, micros, address = form.unpack(raw)
    seconds &= 0xFFFFFFFF if form is _NARROW else -1  # glibc reads it unsigned, beyond 2038
    return Record(
        kind,
        pid,
        _string(line),
        _string(user),
        _string(host),
        seconds * _SECOND + max(0, min(micros, _SECOND - 1)),
        _address(address),
    )


def _string(raw: bytes) -> str:
    return text(raw.partition(b"\0")[0])


def _address(raw: bytes) -> str | None:
    if not any(raw):
        return None
    if not any(raw[4:]):
        return str(ipaddress.IPv4Address(raw[:4]))
    found = ipaddress.IPv6Address(raw)
    return str(found.ipv4_mapped or found)


def host_address(host: str) -> str | None:
    """Return *host* if it is an address, without the interface of a link-local one."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None


class Sessions:
    """Turns records into rows; remembers who is logged in where."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._open: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def row(self, record: Record) -> dict[str, Any] | None:
        """Return what a record of `wtmp` tells; None if it tells of no login."""
        if record.kind == USER and record.user:
            return self._login(record)
        if record.kind == DEAD:
            return self._logout(record)
        is_shutdown = record.kind == RUN_LEVEL and record.user == "shutdown"
        if not is_shutdown and record.kind != BOOT:
            return None
        self._open.clear()
        return {"time": record.time, "action": "shutdown" if is_shutdown else "boot"}

    def _login(self, record: Record) -> dict[str, Any]:
        row = described(record, "login")
        self._open[record.line] = row
        self._open.move_to_end(record.line)
        if len(self._open) > _SESSIONS:
            self._open.popitem(last=False)
        return row

    def _logout(self, record: Record) -> dict[str, Any] | None:
        login = self._open.pop(record.line, None)
        if login is None:
            # A getty that ends leaves the same record, without a user.
            return described(record, "logout") if record.user else None
        lasted = max(record.time - login["time"], 0) * 1000
        return {**login, "time": record.time, "action": "logout", "duration": lasted}


def described(record: Record, action: str) -> dict[str, Any]:
    """Return the row for a record about a user."""
    row: dict[str, Any] = {
        "time": record.time,
        "action": action,
        "user": record.user or None,
        "terminal": record.line or None,
        "address": record.address or host_address(record.host),
        "service": _service(record.line),
    }
    if record.pid > 0:
        row["pid"] = record.pid
    if record.host and row["address"] != record.host:
        row["host"] = record.host
    return row


def _service(line: str) -> str | None:
    """Return the service, where the terminal tells it: `ssh:notty` of failed logins."""
    service, colon, _ = line.partition(":")
    return f"{service}d" if colon and service in ("ssh", "ftp") else None
