"""Pure: results as text for programs, batch by batch, as `render` has it row by row.

Columns are converted as a whole, most of them by one call of C code.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Protocol, cast

from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl import render
from zeek_agent_core.repl.cells import json_line, lines_of, one_line
from zeek_agent_core.values import SqlValue, Type, to_json, to_text

Values = Sequence[SqlValue]

TRANSLATED = frozenset(
    {Type.BOOL, Type.INTERVAL, Type.PORT, Type.RECORD, Type.SET, Type.TIME, Type.VECTOR}
)
"""Types whose values are not shown as they are stored."""

SEPARATOR = "\x01"
"""What JSON text never contains: it escapes control characters."""

QUOTE = '"'
SPECIAL = f"{QUOTE},\r\n"
"""Letters that have a field of a record quoted."""

_INTS, _NUMBERS = {int}, {int, float}


class Exporter(Protocol):
    """Makes text of a result that comes in batches."""

    def begin(self) -> str:
        """Return what stands before all rows."""

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return the text of a batch, never an empty one."""

    def end(self) -> str:
        """Return what stands after all rows."""


class Csv:
    """RFC 4180 records with a header."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        """Export rows of *columns*."""
        self._columns = columns

    def begin(self) -> str:
        """Return the header."""
        return self._lines([_quoted([column.name]) for column in self._columns])

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return a record for each of *rows*."""
        columns = zip(self._columns, zip(*rows, strict=True), strict=True)
        return self._lines([_fields(*column) for column in columns])

    def end(self) -> str:
        """Return nothing."""
        return ""

    def _lines(self, columns: Sequence[Sequence[str]]) -> str:
        if len(columns) == 1:  # a record is not an empty line
            columns = [[field or '""' for field in columns[0]]]
        return "\n".join(map(",".join, zip(*columns, strict=True))) + "\n"


def _fields(column: ResultColumn, values: Values) -> Sequence[str]:
    """Return *values* as text, quoted where a record needs it."""
    if column.type in TRANSLATED:
        return _quoted([_field(column, value) for value in values])
    joined = _joined(values)
    if joined is not None:
        return _quoted(cast("Sequence[str]", values), joined)
    if set(map(type, values)) <= _NUMBERS:
        return list(map(repr, values))
    return _quoted([_field(column, value) for value in values])


def _joined(values: Values) -> str | None:
    """Return *values* as one text; None if not all of them are text."""
    try:
        return "".join(cast("Sequence[str]", values))
    except TypeError:
        return None


def _field(column: ResultColumn, value: SqlValue) -> str:
    return "" if value is None else to_text(render.kind(column, value), value)


def _quoted(fields: Sequence[str], joined: str | None = None) -> Sequence[str]:
    joined = "".join(fields) if joined is None else joined
    if not any(letter in joined for letter in SPECIAL):
        return fields
    return [
        f'"{field.replace(QUOTE, QUOTE * 2)}"' if any(map(field.__contains__, SPECIAL)) else field
        for field in fields
    ]


class JsonLines:
    """A JSON object for each row."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        """Export rows of *columns*."""
        self._columns = columns
        names = render.unique([column.name for column in columns])
        self._keys = [f"{_encode(name)}: ".replace("%", "%%") for name in names]

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return an object for each of *rows*."""
        return "\n".join(self.objects(rows)) + "\n"

    def objects(self, rows: Sequence[ResultRow]) -> Iterator[str]:
        """Return the objects for *rows*."""
        columns = zip(self._columns, zip(*rows, strict=True), strict=True)
        formats, values = zip(*(_json_form(*column) for column in columns), strict=True)
        fields = map(str.__add__, self._keys, formats)
        template = "{" + ", ".join(fields) + "}"
        return map(template.__mod__, zip(*values, strict=True))

    def end(self) -> str:
        """Return nothing."""
        return ""


def _json_form(column: ResultColumn, values: Values) -> tuple[str, Sequence[object]]:
    """Return a format, and what it makes the JSON form of *values* of."""
    text = None if column.type in TRANSLATED else _joined(values)
    if text is not None and _is_plain(text):
        return '"%s"', values
    kinds = set(map(type, values))
    if bytes in kinds or column.type in TRANSLATED or _has_infinite(kinds, values):
        forms = (to_json(render.kind(column, value), value) for value in values)
        return "%s", [_encode(render.json_value(form)) for form in forms]
    if kinds == _INTS:
        return "%s", values
    return "%s", _encode_all(values)[1:-1].split(SEPARATOR)


def _has_infinite(kinds: set[type], values: Values) -> bool:
    return float in kinds and any(value in (inf, -inf) for value in values)


def _is_plain(text: str) -> bool:
    """Return whether JSON has *text* as it is, between quotes."""
    return len(_encode(text)) == len(text) + 2


_encode = json.JSONEncoder(ensure_ascii=False).encode
_encode_all = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(SEPARATOR, ": ")
).encode


class Json:
    """One JSON array."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        """Export rows of *columns*."""
        self._lines = JsonLines(columns)
        self._opening = "["

    def begin(self) -> str:
        """Return nothing: the first row opens the array."""
        return ""

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return an element for each of *rows*."""
        opening, self._opening = self._opening, ","
        return opening + "\n,".join(self._lines.objects(rows)) + "\n"

    def end(self) -> str:
        """Return the end of the array."""
        return "[]\n" if self._opening == "[" else "]\n"


class Shown:
    """What another exporter makes, with nothing that a terminal takes as a command."""

    def __init__(self, made: Exporter, mode: str) -> None:
        """Show what *made* makes, which is of *mode*."""
        self._made = made
        self._escape = one_line if mode == "csv" else json_line

    def begin(self) -> str:
        """Return what stands before all rows."""
        return lines_of(self._made.begin(), self._escape)

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return the text of a batch."""
        return lines_of(self._made.rows(rows), self._escape)

    def end(self) -> str:
        """Return what stands after all rows."""
        return self._made.end()


EXPORTERS: Mapping[str, Callable[[Sequence[ResultColumn]], Exporter]] = {
    "csv": Csv,
    "json": Json,
    "jsonl": JsonLines,
}
"""Name of a mode to what makes its text."""
