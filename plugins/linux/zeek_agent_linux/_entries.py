"""Pure: entries of systemd's journal as rows of ``system_logs_events``.

Source: systemd.journal-fields(7).
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import methodcaller
from typing import Any

from zeek_agent_core.api import Row, Where, text

Get = Callable[[bytes], bytes | None]
"""Returns the value of a field of the entry at hand."""

Convert = Callable[[bytes], Any]

Step = tuple[str, Convert, bytes, int, tuple[bytes, ...]]
"""A column, what makes its value, the field that has it, the length of that with its `=`, and
fields that may have it otherwise."""

LONGEST = 64 * 1024
"""Bytes of a field that are read."""
MOST = 4 * LONGEST
"""Bytes of all fields that the column `fields` holds."""

Pairs = Iterable[tuple[bytes, bytes]]


def number(raw: bytes) -> int | None:
    """Return *raw* as a number that fits a count; None if it is none."""
    try:
        value = int(raw)
    except ValueError:
        return None
    return value if 0 <= value < 1 << 63 else None


as_text: Callable[[bytes], str] = methodcaller("decode", "utf-8", "backslashreplace")
"""The same as `text`, for what is called for each field of each entry."""


def message(raw: bytes) -> str:
    """Return *raw* as text, cut to a bearable length."""
    return text(raw[:LONGEST])


FIELDS: Mapping[str, tuple[Convert, tuple[bytes, ...]]] = {
    "process": (as_text, (b"_EXE", b"_COMM", b"SYSLOG_IDENTIFIER")),
    "level": (as_text, (b"PRIORITY",)),
    "message": (message, (b"MESSAGE",)),
    "identifier": (as_text, (b"SYSLOG_IDENTIFIER",)),
    "pid": (number, (b"_PID", b"SYSLOG_PID")),
    "uid": (number, (b"_UID",)),
    "unit": (as_text, (b"_SYSTEMD_UNIT",)),
}
"""Of each column: what makes its value, and the fields that may have it, in order."""

MATCHED = ("level", "identifier", "unit")
"""Columns whose conditions the journal can apply itself."""
LEVELS = tuple("01234567")


class Plan:
    """Reads what is wanted of an entry, and no more."""

    def __init__(self, columns: Collection[str], fields: Sequence[str]) -> None:
        """Read *columns*; into the column `fields` those named so, `*` being all."""
        self.steps: Sequence[Step] = [
            (name, convert, fields[0], len(fields[0]) + 1, fields[1:])
            for name, (convert, fields) in FIELDS.items()
            if name in columns
        ]
        """What to read, and into which column."""
        self._names = [name.encode() for name in fields] if "fields" in columns else []
        self.wants_more = bool(self._names)
        """Whether the column `fields` has anything to hold."""
        self.has_all = b"*" in self._names
        """Whether `more` needs all fields of an entry, not just those in `names`."""

    @property
    def names(self) -> list[bytes]:
        """The fields that are read, without those that `*` stands for."""
        steps = self.steps
        wanted = {name: None for _, _, field, _, others in steps for name in (field, *others)}
        return [*wanted, *(name for name in self._names if name not in wanted and name != b"*")]

    def row(self, get: Get, time: int) -> dict[str, Any]:
        """Return the row of an entry taken at *time*, apart from the column `fields`."""
        row: dict[str, Any] = {"time": time}
        for name, convert, field, _, others in self.steps:
            raw = get(field)
            if raw is None and others:
                raw = next((raw for raw in map(get, others) if raw is not None), None)
            if raw is not None:
                row[name] = convert(raw)
        return row

    def more(self, pairs: Pairs) -> str | None:
        """Return what the column `fields` holds of an entry with *pairs*; None if nothing.

        Of an entry with very much in it the rest is left out.
        """
        found: dict[str, str | list[str]] = {}
        left = MOST
        for field, raw in pairs:
            if field not in self._names and (not self.has_all or field.startswith(b"__")):
                continue
            left -= len(field) + min(len(raw), LONGEST)
            if left < 0:
                break
            name, value = text(field), text(raw[:LONGEST])
            known = found.get(name)
            if known is None:
                found[name] = value
            elif isinstance(known, list):
                known.append(value)
            else:
                found[name] = [known, value]
        return json.dumps(found, ensure_ascii=False) if found else None


def matches(where: Where) -> list[list[bytes]]:
    """Return, for each column with a condition, `FIELD=value` for all values it admits."""
    found = []
    for name in MATCHED:
        field = FIELDS[name][1][0].decode()
        values = where.values(name)
        if name == "level" and (where.low(name) or where.high(name) or values is not None):
            values = [level for level in LEVELS if where.admits(name, level)]
        if values is not None:
            terms = [f"{field}={value}".encode() for value in values if value is not None]
            found.append(terms or [f"{field}=\1".encode()])
    return found


def admits(where: Where, row: Row) -> bool:
    """Return whether *row* may be wanted."""
    return all(where.admits(name, row.get(name)) for name in MATCHED)
