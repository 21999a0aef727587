"""Pure: audit records of OpenBSM, see audit.log(5) and ``<bsm/audit_record.h>``.

A record is a row of tokens, all numbers in network order: a header with the
record's size, what it is about, and a trailer. Tokens that are of no use here
are skipped where their size is known; where it is not, the rest of the record is.
"""

import socket
from dataclasses import dataclass

HEADER32, HEADER32_EX, HEADER64, HEADER64_EX = 0x14, 0x15, 0x74, 0x79
SUBJECT32, SUBJECT32_EX, SUBJECT64, SUBJECT64_EX = 0x24, 0x7A, 0x75, 0x7C
RETURN32, RETURN64 = 0x27, 0x72
ARGUMENT32, ARGUMENT64 = 0x2D, 0x71
PATH, TEXT = 0x23, 0x28
INET32, INET128, UNIX = 0x80, 0x81, 0x82
TRAILER = 0x13
HEADERS = frozenset({HEADER32, HEADER32_EX, HEADER64, HEADER64_EX})
SMALLEST = 18
LARGEST = 1 << 20
"""Bytes of a record; more is none."""
FAMILIES = {2: 2, 26: 10}
"""Families of addresses in a record, and their numbers on Linux."""


class Truncated(ValueError):  # noqa: N818 - no error of the program's
    """A token is shorter than its fields."""


@dataclass(slots=True)
class Record:
    """What a record tells."""

    event: int = 0
    time: int = 0
    """In µs since the epoch."""
    auid: int | None = None
    euid: int | None = None
    egid: int | None = None
    ruid: int | None = None
    rgid: int | None = None
    pid: int | None = None
    session: int | None = None
    error: int | None = None
    """Error number of the call; zero if it succeeded."""
    value: int | None = None
    """What the call returned."""
    descriptor: int | None = None
    family: int | None = None
    """2 or 10, as on Linux."""
    address: str | None = None
    port: int | None = None
    is_unix: bool = False


class Tokens:
    """Reads the tokens of one record."""

    def __init__(self, raw: bytes) -> None:
        """Read *raw*."""
        self._raw = raw
        self.at = 0

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        end = self.at + size
        if end > len(self._raw):
            raise Truncated(f"{end} bytes wanted, there are {len(self._raw)}")
        taken, self.at = self._raw[self.at : end], end
        return taken

    def number(self, size: int) -> int:
        """Return the next number of *size* bytes."""
        return int.from_bytes(self.take(size), "big")

    def skip_address(self) -> None:
        """Pass over an address with its length before it."""
        self.take(self.number(4))

    def skip_text(self) -> None:
        """Pass over a text with its length before it."""
        self.take(self.number(2))

    def skip_until_nul(self) -> None:
        """Pass over a text that ends with a NUL."""
        while self.number(1):
            pass


class Splitter:
    """Cuts what is read from an audit pipe into records."""

    def __init__(self) -> None:
        """Begin at the start of a record."""
        self._rest = b""
        self.damaged = 0
        """Stretches of bytes that were no records."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the records that *chunk* completes."""
        rest, records = self._rest + chunk, []
        while len(rest) >= SMALLEST:
            size = int.from_bytes(rest[1:5], "big")
            if rest[0] not in HEADERS or not SMALLEST <= size <= LARGEST:
                self.damaged += 1
                rest = b""  # the next read begins with a record again
                break
            if len(rest) < size:
                break
            records.append(rest[:size])
            rest = rest[size:]
        self._rest = rest
        return records


def parse_record(raw: bytes) -> Record:
    """Return what a record tells; raise `Truncated` if a token is cut short."""
    tokens, record = Tokens(raw), Record()
    while tokens.at < len(raw):
        kind = tokens.number(1)
        if kind == TRAILER or not _read(kind, tokens, record):
            break
    return record


def _read(kind: int, tokens: Tokens, record: Record) -> bool:
    """Read a token; return whether there can be another."""
    if kind in HEADERS:
        _header(kind, tokens, record)
    elif kind in (SUBJECT32, SUBJECT32_EX, SUBJECT64, SUBJECT64_EX):
        _subject(kind, tokens, record)
    elif kind in (RETURN32, RETURN64):
        record.error = tokens.number(1)
        record.value = tokens.number(4 if kind == RETURN32 else 8)
    elif kind in (ARGUMENT32, ARGUMENT64):
        position = tokens.number(1)
        value = tokens.number(4 if kind == ARGUMENT32 else 8)
        tokens.skip_text()
        if position == 1:
            record.descriptor = value
    elif kind in (INET32, INET128):
        _inet(kind, tokens, record)
    elif kind == UNIX:
        record.is_unix = True
        tokens.take(2)
        tokens.skip_until_nul()
    elif kind in (PATH, TEXT):
        tokens.skip_text()
    else:
        return False
    return True


def _header(kind: int, tokens: Tokens, record: Record) -> None:
    tokens.take(5)  # size, version
    record.event = tokens.number(2)
    tokens.take(2)  # modifier
    if kind in (HEADER32_EX, HEADER64_EX):
        tokens.skip_address()
    size = 4 if kind in (HEADER32, HEADER32_EX) else 8
    seconds, millis = tokens.number(size), tokens.number(size)
    record.time = seconds * 1_000_000 + millis * 1000


def _subject(kind: int, tokens: Tokens, record: Record) -> None:
    names = ("auid", "euid", "egid", "ruid", "rgid", "pid", "session")
    for name in names:
        setattr(record, name, tokens.number(4))
    tokens.take(4 if kind in (SUBJECT32, SUBJECT32_EX) else 8)  # port of the terminal
    if kind in (SUBJECT32_EX, SUBJECT64_EX):
        tokens.skip_address()
    else:
        tokens.take(4)


def _inet(kind: int, tokens: Tokens, record: Record) -> None:
    family, record.port = FAMILIES.get(tokens.number(2)), tokens.number(2)
    raw = tokens.take(4 if kind == INET32 else 16)
    record.family = family
    record.address = socket.inet_ntop(socket.AF_INET if kind == INET32 else socket.AF_INET6, raw)
