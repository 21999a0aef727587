"""Pure: results as text for programs, batch by batch, as `render` has it row by row.

Columns are converted as a whole, most of them by one call of C code.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, cast

from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl import render
from zeek_agent_core.values import SqlValue, Type, to_json, to_text

Values = Sequence[SqlValue]

TRANSLATED = frozenset(
    {Type.BOOL, Type.INTERVAL, Type.PORT, Type.RECORD, Type.SET, Type.TIME, Type.VECTOR}
)
"""Types whose values are not shown as they are stored."""

SEPARATOR = "\x01"
"""What JSON text never contains: it escapes control characters."""

_SPECIAL = re.compile('[,"\r\n]')
_TEXT, _NONE = {str}, type(None)


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
        names = [_quoted_fields([column.name]) for column in self._columns]
        return self._lines(names)

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return a record for each of *rows*."""
        columns = zip(self._columns, zip(*rows, strict=True), strict=True)
        return self._lines([_quoted_fields(_fields(*column)) for column in columns])

    def end(self) -> str:
        """Return nothing."""
        return ""

    def _lines(self, columns: Sequence[Sequence[str]]) -> str:
        if len(columns) == 1:  # a record is not an empty line
            columns = [[field or '""' for field in columns[0]]]
        return "\n".join(map(",".join, zip(*columns, strict=True))) + "\n"


def _fields(column: ResultColumn, values: Values) -> Sequence[str]:
    kinds = set(map(type, values))
    if kinds == _TEXT and column.type not in TRANSLATED:
        return cast("Sequence[str]", values)
    if bytes in kinds or column.type in TRANSLATED:
        return ["" if v is None else to_text(render.kind(column, v), v) for v in values]
    if _NONE in kinds:
        return ["" if v is None else str(v) for v in values]
    return list(map(str, values))


def _quoted_fields(fields: Sequence[str]) -> Sequence[str]:
    if _SPECIAL.search("".join(fields)) is None:
        return fields
    return [f'"{f.replace(chr(34), chr(34) * 2)}"' if _SPECIAL.search(f) else f for f in fields]


class JsonLines:
    """A JSON object for each row."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        """Export rows of *columns*."""
        self._columns = columns
        names = render.unique([column.name for column in columns])
        keys = [json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in names]
        self._template = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def rows(self, rows: Sequence[ResultRow]) -> str:
        """Return an object for each of *rows*."""
        return "\n".join(self.objects(rows)) + "\n"

    def objects(self, rows: Sequence[ResultRow]) -> Iterator[str]:
        """Return the objects for *rows*."""
        columns = zip(self._columns, zip(*rows, strict=True), strict=True)
        texts = [_json_texts(*column) for column in columns]
        return map(self._template.__mod__, zip(*texts, strict=True))

    def end(self) -> str:
        """Return nothing."""
        return ""


def _json_texts(column: ResultColumn, values: Values) -> Sequence[object]:
    kinds = set(map(type, values))
    if bytes in kinds or column.type in TRANSLATED:
        return [_encode(to_json(render.kind(column, v), v)) for v in values]
    if kinds == {int}:
        return values
    return _encode_all(values)[1:-1].split(SEPARATOR)


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


EXPORTERS: Mapping[str, Callable[[Sequence[ResultColumn]], Exporter]] = {
    "csv": Csv,
    "json": Json,
    "jsonl": JsonLines,
}
"""Name of a mode to what makes its text."""
