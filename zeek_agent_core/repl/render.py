"""Pure: the result of a statement as text, in one of several modes."""

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.values import SqlValue, Type, to_json, to_text, type_of_value

Rows = Iterable[ResultRow]
Columns = Sequence[ResultColumn]

NUMBERS = frozenset({Type.COUNT, Type.INT, Type.REAL, Type.INTERVAL})
NULL_TEXT = "(null)"

_WIDTHS: dict[str, int] = {}


def cell(column: ResultColumn, value: SqlValue) -> str:
    """Return *value* as one line of text that no terminal takes as a command."""
    return one_line(to_text(kind(column, value), value))


def kind(column: ResultColumn, value: SqlValue) -> Type:
    """Return the type of *value* in *column*."""
    return column.type or type_of_value(value)


def one_line(text: str) -> str:
    r"""Return *text* with all that is not printable escaped, for example ``\n``, ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode()


def width(text: str) -> int:
    """Return how many columns of a terminal *text* takes; it must be printable."""
    if text.isascii():
        return len(text)
    known = _WIDTHS.get(text)
    if known is None:
        from wcwidth import wcswidth  # noqa: PLC0415 - only for text beyond ASCII

        known = _WIDTHS[text] = max(wcswidth(text), 0)
        if len(_WIDTHS) > 10_000:  # noqa: PLR2004 - a cache, not a collection
            _WIDTHS.clear()
    return known


def table(columns: Columns, rows: Rows) -> Iterator[str]:
    """Yield lines of an aligned table: header, rule, rows; numbers to the right."""
    kept = list(rows)
    shown = [[cell(c, v) for c, v in zip(columns, row, strict=True)] for row in kept]
    right = [_is_number(column, kept, position) for position, column in enumerate(columns)]
    names = [one_line(column.name) for column in columns]
    widths = [
        max([width(name), *(width(line[position]) for line in shown)])
        for position, name in enumerate(names)
    ]
    yield _aligned(names, widths, right)
    yield "  ".join("-" * size for size in widths)
    for line in shown:
        yield _aligned(line, widths, right)


def _is_number(column: ResultColumn, rows: Sequence[ResultRow], position: int) -> bool:
    if column.type is not None:
        return column.type in NUMBERS
    values = [row[position] for row in rows if row[position] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (size - width(text)) + text if is_right else text + " " * (size - width(text))
        for text, size, is_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def line(columns: Columns, rows: Rows) -> Iterator[str]:
    """Yield one line for each value, `name = value`, and an empty line between rows."""
    names = [one_line(column.name) for column in columns]
    size = max((width(name) for name in names), default=0)
    for number, row in enumerate(rows):
        if number:
            yield ""
        for column, name, value in zip(columns, names, row, strict=True):
            yield f"{' ' * (size - width(name))}{name} = {cell(column, value)}".rstrip()


def csv_text(columns: Columns, rows: Rows) -> Iterator[str]:
    """Yield RFC 4180 records; NULL is an empty field, exact times are kept."""
    yield _csv_line([column.name for column in columns])
    for row in rows:
        yield _csv_line(
            ["" if v is None else to_text(kind(c, v), v) for c, v in zip(columns, row, strict=True)]
        )


def _csv_line(values: Sequence[str]) -> str:
    import csv  # noqa: PLC0415 - for one mode of several

    buffer = io.StringIO()
    # Both letters must be in the terminator, or the writer leaves them unquoted in a field.
    csv.writer(buffer, lineterminator="\r\n").writerow(values)
    return buffer.getvalue().removesuffix("\r\n")


def json_text(columns: Columns, rows: Rows) -> Iterator[str]:
    """Yield the lines of one JSON array with an object for each row."""
    opening = "["
    for text in jsonl_text(columns, rows):
        yield opening + text
        opening = ","
    yield "[]" if opening == "[" else "]"


def jsonl_text(columns: Columns, rows: Rows) -> Iterator[str]:
    """Yield one JSON object for each row; equal column names get a number."""
    names = unique([column.name for column in columns])
    for row in rows:
        values = {
            name: json_value(to_json(kind(column, value), value))
            for name, column, value in zip(names, columns, row, strict=True)
        }
        yield json.dumps(values, ensure_ascii=False)


def json_value(value: Any) -> Any:
    """Return *value*; the infinities, which JSON has not, as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def unique(names: Sequence[str]) -> list[str]:
    """Return *names* with a number at those that were there before."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return unique


def markdown(columns: Columns, rows: Rows) -> Iterator[str]:
    """Yield lines of a Markdown table."""
    kept = list(rows)
    right = [_is_number(column, kept, position) for position, column in enumerate(columns)]
    yield _markdown_line([one_line(column.name) for column in columns])
    yield _markdown_line(["--:" if is_right else "---" for is_right in right])
    for row in kept:
        yield _markdown_line([cell(c, v) for c, v in zip(columns, row, strict=True)])


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


MODES: Mapping[str, Callable[[Columns, Rows], Iterator[str]]] = {
    "table": table,
    "line": line,
    "csv": csv_text,
    "json": json_text,
    "jsonl": jsonl_text,
    "markdown": markdown,
}
"""Name of a mode to what yields its lines."""
