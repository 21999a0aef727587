"""Pure: the result of a statement as text, in one of several modes."""

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl.cells import (
    BOLD,
    DIM,
    NULL_TEXT,
    NUMBERS,
    PLAIN,
    YELLOW,
    Style,
    cell,
    cut,
    json_line,
    kind,
    lines_of,
    one_line,
    padded,
    painted,
    width,
)
from zeek_agent_core.values import to_json, to_text

__all__ = ["MODES", "NULL_TEXT", "NUMBERS", "Grid", "Style", "cell", "kind", "one_line", "width"]

Rows = Iterable[ResultRow]
Columns = Sequence[ResultColumn]

Paint = Callable[[int, int, str], str]
"""Given row, column and text of a cell, the text in colours."""

GAP = "  "
LEAST_WIDTH = 4


class Grid:
    """A table laid out: cells as text, and how wide each column is."""

    def __init__(
        self, columns: Columns, rows: Rows, style: Style = PLAIN, least: Sequence[int] = ()
    ) -> None:
        """Lay out *rows*; no column is narrower than *least*."""
        kept = list(rows)
        self.style = style
        self.names = [one_line(column.name) for column in columns]
        self.right = [is_number(column, kept, place) for place, column in enumerate(columns)]
        self.nulls = {
            (number, place)
            for number, row in enumerate(kept)
            for place, value in enumerate(row)
            if value is None and style.colours
        }
        self.cells = [
            [cell(c, v, style) for c, v in zip(columns, row, strict=True)] for row in kept
        ]
        self.widths = [
            max(width(name), *(width(line[place]) for line in self.cells), 0)
            for place, name in enumerate(self.names)
        ]
        for place, size in enumerate(least[: len(self.widths)]):
            self.widths[place] = max(self.widths[place], size)
        for place, size in enumerate(style.widths[: len(self.widths)]):
            self.widths[place] = size or self.widths[place]

    @property
    def total(self) -> int:
        """Columns of a terminal that a line takes."""
        return sum(self.widths) + len(GAP) * (len(self.widths) - 1)

    def fit(self, screen: int) -> None:
        """Narrow the widest columns until a line fits into *screen* columns."""
        while self.total > screen:
            widest = max(range(len(self.widths)), key=self.widths.__getitem__)
            if self.widths[widest] <= LEAST_WIDTH:
                break
            self.widths[widest] -= min(self.total - screen, self.widths[widest] - LEAST_WIDTH, 4)

    def header(self) -> Iterator[str]:
        """Yield the names and the rule below them."""
        yield self._aligned(
            self.names, lambda _, text: painted(text, BOLD, YELLOW) if self.style.colours else text
        )
        yield GAP.join("-" * size for size in self.widths)

    def lines(self, paint: Paint = lambda _row, _column, text: text) -> Iterator[str]:
        """Yield a line for each row."""
        for number, texts in enumerate(self.cells):

            def colour(place: int, text: str, number: int = number) -> str:
                shown = painted(text, DIM) if (number, place) in self.nulls else text
                return paint(number, place, shown)

            yield self._aligned(texts, colour)

    def _aligned(self, texts: Sequence[str], colour: Callable[[int, str], str]) -> str:
        parts = []
        for place, (text, size, is_right) in enumerate(
            zip(texts, self.widths, self.right, strict=True)
        ):
            shown = cut(text, size)
            space = " " * (size - width(shown))
            shown = colour(place, shown)
            parts.append(space + shown if is_right else shown + space)
        return GAP.join(parts).rstrip()


def table(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield lines of an aligned table: header, rule, rows; numbers to the right."""
    grid = Grid(columns, rows, style)
    yield from grid.header()
    yield from grid.lines()


def listing(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield a table whose widest cells are cut where the screen is too narrow for it."""
    grid = Grid(columns, rows, style)
    if style.screen is not None:
        grid.fit(style.screen)
    yield from grid.header()
    yield from grid.lines()


def is_number(column: ResultColumn, rows: Sequence[ResultRow], position: int) -> bool:
    """Return whether the values at *position* are aligned to the right."""
    if column.type is not None:
        return column.type in NUMBERS
    values = [row[position] for row in rows if row[position] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def auto(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield a table, or what `line` yields where the screen is too narrow for it."""
    kept = list(rows)
    grid = Grid(columns, kept, style)
    if style.screen is not None and grid.total > style.screen and kept:
        yield from line(columns, kept, style)
    else:
        yield from grid.header()
        yield from grid.lines()


def line(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield one line for each value, `name = value`, and an empty line between rows."""
    names = [one_line(column.name) for column in columns]
    size = max((width(name) for name in names), default=0)
    heads = [
        padded(name, size, is_right=True, paint=_head if style.colours else str) for name in names
    ]
    for number, row in enumerate(rows):
        if number:
            yield ""
        for column, head, value in zip(columns, heads, row, strict=True):
            text = cell(column, value, style)
            if value is None and style.colours:
                text = painted(text, DIM)
            yield f"{head} = {text}".rstrip()


def _head(text: str) -> str:
    return painted(text, BOLD, YELLOW)


def csv_text(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield RFC 4180 records; NULL is an empty field, exact times are kept."""
    null = style.null or ""
    shown = str if style.screen is None else lines_of
    yield shown(_csv_line([column.name for column in columns]))
    for row in rows:
        values = [
            null if v is None else to_text(kind(c, v), v) for c, v in zip(columns, row, strict=True)
        ]
        yield shown(_csv_line(values))


def _csv_line(values: Sequence[str]) -> str:
    import csv  # noqa: PLC0415 - for one mode of several

    buffer = io.StringIO()
    # Both letters must be in the terminator, or the writer leaves them unquoted in a field.
    csv.writer(buffer, lineterminator="\r\n").writerow(values)
    return buffer.getvalue().removesuffix("\r\n")


def json_text(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield the lines of one JSON array with an object for each row."""
    opening = "["
    for text in jsonl_text(columns, rows, style):
        yield opening + text
        opening = ","
    yield "[]" if opening == "[" else "]"


def jsonl_text(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield one JSON object for each row; equal column names get a number."""
    names = unique([column.name for column in columns])
    for row in rows:
        values = {
            name: json_value(to_json(kind(column, value), value))
            for name, column, value in zip(names, columns, row, strict=True)
        }
        text = json.dumps(values, ensure_ascii=False)
        yield text if style.screen is None else json_line(text)


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


def markdown(columns: Columns, rows: Rows, style: Style = PLAIN) -> Iterator[str]:
    """Yield lines of a Markdown table."""
    kept = list(rows)
    right = [is_number(column, kept, position) for position, column in enumerate(columns)]
    yield _markdown_line([one_line(column.name) for column in columns])
    yield _markdown_line(["--:" if is_right else "---" for is_right in right])
    for row in kept:
        yield _markdown_line([cell(c, v, style) for c, v in zip(columns, row, strict=True)])


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


MODES: Mapping[str, Callable[..., Iterator[str]]] = {
    "auto": auto,
    "table": table,
    "line": line,
    "csv": csv_text,
    "json": json_text,
    "jsonl": jsonl_text,
    "markdown": markdown,
}
"""Name of a mode to what yields its lines, given columns, rows and perhaps a style."""
