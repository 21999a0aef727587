"""Pure: one audit record, as the kernel or auditd's dispatcher gives it.

A record is text: `audit(<seconds>.<ms>:<serial>): key=value key=value ...`. The
kernel (audit_log_format and audit_log_untrustedstring in kernel/audit.c) puts
text in double quotes, or writes it as hexadecimal digits where it has quotes,
blanks, or bytes that are not ASCII. So a blank always ends a value.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from zeek_agent_core.api import text

SYSCALL, PATH, SOCKADDR, CWD, EXECVE = 1300, 1302, 1306, 1307, 1309
EOE, BPRM_FCAPS, PROCTITLE, URINGOP = 1320, 1321, 1327, 1336

NAMES = {
    "SYSCALL": SYSCALL,
    "PATH": PATH,
    "SOCKADDR": SOCKADDR,
    "CWD": CWD,
    "EXECVE": EXECVE,
    "EOE": EOE,
    "BPRM_FCAPS": BPRM_FCAPS,
    "PROCTITLE": PROCTITLE,
    "URINGOP": URINGOP,
}
"""Names of the types of records that matter, as auditd writes them."""

WANTED = frozenset(NAMES.values())

ENRICHED = b"\x1d"
"""Behind it auditd adds the meaning of values, under names in upper case."""

_LINE = re.compile(rb"(?:node=\S+ )?type=([A-Z_0-9]+|UNKNOWN\[\d+\]) msg=(.*)", re.DOTALL)
_STAMP = re.compile(r"(\d{1,15})\.(\d{3}):(\d{1,18})")


_FIELD = re.compile(r"([^\s=]+)=(\S*)")

Record = tuple[int, str, str]
"""Type, stamp, fields as text; all records of an event share `<seconds>.<ms>:<serial>`."""


class Stamp(NamedTuple):
    """When an event happened, and its number."""

    time: int
    """Microseconds since the epoch; the kernel's clock ticks some hundred times a second."""
    serial: int


def parse_payload(kind: int, payload: bytes | bytearray) -> Record | None:
    """Return the record of a netlink message; None if it is none."""
    raw = payload.decode("utf-8", "backslashreplace")
    head, end, body = raw.partition("):")
    return (kind, head[6:], body.lstrip()) if end and head[:6] == "audit(" else None


def parse_line(line: bytes) -> Record | None:
    """Return the record of a line of auditd's dispatcher; None if it does not matter."""
    found = _LINE.match(line)
    if found is None:
        return None
    kind = NAMES.get(found[1].decode())
    return None if kind is None else parse_payload(kind, found[2].partition(ENRICHED)[0].rstrip())


def parse_stamp(stamp: str) -> Stamp | None:
    """Return time and serial of a record."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    return Stamp(int(found[1]) * 1_000_000 + int(found[2]) * 1000, int(found[3]))


def fields(body: str) -> dict[str, str]:
    """Return the fields of a record, undecoded."""
    # As a rule each field has one equals sign: that takes a third of the time.
    parts = body.replace("=", " ").split(" ")
    if len(parts) == 2 * body.count("="):
        return dict(zip(parts[::2], parts[1::2], strict=True))
    return dict(_FIELD.findall(body))


@lru_cache(1024)
def decoded(value: str | None) -> str | None:
    """Return a field that the kernel may have quoted or written in hexadecimal digits."""
    if value is None or value in ("(null)", "(none)", "?", ""):
        return None
    if value[0] == '"':
        return value.strip('"') if len(value) > 1 else None
    raw = unhexed(value)
    return value if raw is None else text(raw)


def unhexed(value: str) -> bytes | None:
    """Return the bytes that hexadecimal digits, of either case, stand for."""
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


@lru_cache(1024)
def number(value: str | None, base: int = 10) -> int | None:
    """Return a numeric field that fits into 64 bits; None where there is none."""
    try:
        found = int(value or "", base)
    except ValueError:
        return None
    return found if -(1 << 63) <= found < 1 << 63 else None


UNSET = "4294967295"
"""An ID that was never set, such as that of the login user of a service."""


@lru_cache(1024)
def identity(value: str | None) -> int | None:
    """Return an ID; None where it was never set."""
    return None if value == UNSET else number(value)
