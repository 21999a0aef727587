"""Pure: systemd's journal export format, entry by entry.

Source: https://systemd.io/JOURNAL_EXPORT_FORMATS. A field is a line `NAME=value`;
or, where the value may have newlines, a line `NAME`, its length as 64-bit little
endian number, the value and a newline. An empty line ends an entry.
"""

from collections.abc import Iterator, Sequence
from typing import cast

MOST = 64 * 1024 * 1024
"""Bytes of one entry above which the stream makes no sense."""

Pairs = Sequence[tuple[bytes, bytes]]
"""The fields of an entry, in order: name and value of each."""


class Parser:
    """Cuts a stream of bytes into entries."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = b""
        self._needed = 0
        """Bytes without which there is no entry."""

    def feed(self, data: bytes) -> Iterator[Pairs]:
        """Yield the entries that are complete with *data*; raise `ValueError` on nonsense."""
        self._rest += data
        if len(self._rest) < self._needed:
            return
        held, start = self._rest, 0
        try:
            while True:
                end = held.find(b"\n\n", start)
                pairs = _plain(held[start:end]) if end >= 0 else None
                if pairs is None:
                    pairs, end, self._needed = _careful(held, start)
                    if pairs is None:
                        break
                    end -= 2
                start = end + 2
                if pairs:
                    yield pairs
        finally:
            self._rest = held[start:]
        self._needed = max(self._needed - start, 0)
        if max(len(self._rest), self._needed) > MOST:
            raise ValueError("an entry without end")


def _plain(raw: bytes) -> Pairs | None:
    """Return the fields of an entry of lines; None if a value may have newlines."""
    pairs = [line.split(b"=", 1) for line in raw.split(b"\n")]
    # After a line without `=` its value follows in binary.
    if min(map(len, pairs)) < 2:  # noqa: PLR2004 - name and value
        return None
    return cast("Pairs", pairs)  # a list of two serves as well, and is there already


def _careful(held: bytes, start: int) -> tuple[Pairs | None, int, int]:
    """Return the fields of the entry at *start*, and where it ends.

    Without fields: it is incomplete, and the third is how many bytes it needs at least.
    """
    pairs: list[tuple[bytes, bytes]] = []
    while True:
        end = held.find(b"\n", start)
        if end < 0:
            return None, 0, 0
        line = held[start:end]
        start = end + 1
        if not line:
            return pairs, start, 0
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            first = start + 8
            if len(held) < first:
                return None, 0, first
            last = first + int.from_bytes(held[start:first], "little")
            if last - first > MOST:
                raise ValueError(f"a field {name[:40]!r} of {last - first} bytes")
            if len(held) < last + 1:
                return None, 0, last + 1
            if held[last : last + 1] != b"\n":
                raise ValueError(f"no end of the field {name[:40]!r}")
            value, start = held[first:last], last + 1
        pairs.append((name, value))
