"""Results for people: one line per row, with colours on a terminal."""

import os
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from zeek_agent_core.local.archive import LocalTime
from zeek_agent_core.local.pack import LocalQuery
from zeek_agent_core.local.sink import distinct_names, pieces
from zeek_agent_core.local.stream import LineStream
from zeek_agent_core.query import Change, Result, ResultRow
from zeek_agent_core.values import SqlValue, Type, to_text

MARKS = {Change.ADD: "+", Change.DELETE: "-", None: " "}
COLOURS = {Change.ADD: "\x1b[32m", Change.DELETE: "\x1b[31m", None: ""}
RESET = "\x1b[0m"
NARROWEST = 40

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(value: str) -> str:
    """Return *value* fit for a terminal: as it is, or in quotes with escapes.

    Quotes stand around all that is empty, or has blanks, quotes or characters
    that cannot be printed; only within quotes does a backslash escape.
    """
    if value and value.isprintable() and " " not in value and '"' not in value:
        return value
    return f'"{"".join(map(_character, value))}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    # This takes the terminal's own controls away, and those that turn text around.
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def cut(line: str, width: int, ellipsis: str = "…") -> str:
    """Return *line* in at most *width* cells of a terminal."""
    if line.isascii() and len(line) <= width:
        return line
    used, fits = 0, 0
    for position, character in enumerate(line):
        used += _cells(character)
        if used > width:
            return line[:fits] + ellipsis
        if used <= width - len(ellipsis):
            fits = position + 1
    return line


def _cells(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "FW" else 1


class Pretty:
    """Writes lines such as `10:00:00 + zeek-agent-processes name=sshd pid=1`.

    A terminal gets the time of day, colours (unless `NO_COLOR` is set) and
    lines that end where the terminal does; all else gets the date too, and
    complete lines. NULLs are left out.
    """

    def __init__(
        self,
        stream: LineStream,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        local_time: LocalTime = time.localtime,
        width: Callable[[], int] | None = None,
    ) -> None:
        """Write to *stream*; *width* tells the terminal's if the stream cannot."""
        self._stream = stream
        self._is_terminal = width is not None or stream.stream.isatty()
        self._has_colour = (
            self._is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        )
        self._clock = clock
        self._local_time = local_time
        self._width = width or self._terminal_width
        encoding = (getattr(stream.stream, "encoding", None) or "utf-8").lower()
        self._ellipsis = "…" if encoding.startswith("utf") else "..."

    @property
    def lost(self) -> int:
        """Return how many rows could not be written."""
        return self._stream.health.lost

    def write(self, query: LocalQuery, result: Result) -> None:
        """Write all rows of *result*; `OutputError` if nobody reads them any more."""
        width = max(self._width(), NARROWEST) if self._is_terminal else 0
        moment = self._local_time(result.collected or self._clock())
        at = time.strftime("%H:%M:%S" if self._is_terminal else "%Y-%m-%d %H:%M:%S", moment)
        columns = [
            (f"{quoted(name)}=", column.type or Type.TEXT)
            for name, column in zip(distinct_names(result.columns), result.columns, strict=True)
        ]
        for change, rows in pieces(result):
            mark, colour = MARKS[change], COLOURS[change]
            head = f"{at} {mark} {query.output} "
            lines = [head + _row(columns, row) for row in rows]
            if width:
                lines = [cut(line, width, self._ellipsis) for line in lines]
            if colour and self._has_colour:
                start = len(at) + 1
                lines = [
                    f"{line[:start]}{colour}{mark}{RESET}{line[start + 1 :]}" for line in lines
                ]
            self._stream.write("".join([f"{line}\n" for line in lines]))

    def rotate(self) -> None:
        """Do nothing: there are no files."""

    def close(self) -> None:
        """Do nothing: the stream belongs to who gave it."""

    def _terminal_width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.stream.fileno()).columns or NARROWEST
        except (OSError, ValueError):
            return 80


def _row(columns: Sequence[tuple[str, Type]], row: ResultRow) -> str:
    return " ".join(
        [
            name + (str(value) if type(value) is int and kind in _WHOLE else _shown(kind, value))
            for (name, kind), value in zip(columns, row, strict=True)
            if value is not None
        ]
    )


def _shown(kind: Type, value: SqlValue) -> str:
    return quoted(value if isinstance(value, str) and kind is Type.TEXT else to_text(kind, value))


_WHOLE = {Type.COUNT, Type.INT, Type.TEXT}
