"""Logs in Zeek's own format, one file per log, as Zeek's package would write them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zeek_agent_core.local.archive import stamp
from zeek_agent_core.local.pack import LocalQuery
from zeek_agent_core.local.rotate import RotatingFile, Rotation
from zeek_agent_core.local.sink import WORDS, distinct_names, pieces
from zeek_agent_core.local.stock import LogColumn
from zeek_agent_core.local.zeekvalues import UNSET, Formatter, escape, formatter, part, zeek_type
from zeek_agent_core.query import Result, ResultColumn, ResultRow
from zeek_agent_core.values import Type, type_of_value

Key = tuple[tuple[LogColumn, ...] | tuple[ResultColumn, ...], bool]
"""What must stay the same for results to share a file."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of one log file, and how to fill them."""

    fields: str
    types: str
    columns: tuple[tuple[int, Formatter], ...]
    """For each column, the position of its values in a row, and what shows them."""

    def lines(self, head: str, rows: Sequence[ResultRow]) -> str:
        """Return one line for each of *rows*, which begins with *head*."""
        values = list(zip(*rows, strict=True))
        unset = [UNSET] * len(rows)
        shown = [
            show(values[source]) if source < len(values) else unset for source, show in self.columns
        ]
        # One join with the head between the lines is all that a row costs here.
        body = f"\n{head}".join(map("\t".join, zip(*shown, strict=True)))
        return f"{head}{body}\n"


def layout_of(query: LocalQuery, result: Result) -> Layout:
    """Return the layout for the results of *query*; *result* decides where nothing else does."""
    if query.columns:
        names = [column.name for column in query.columns]
        types = [zeek_type(column.type, column.element) for column in query.columns]
        columns = tuple(
            (c.source, formatter(c.type) if c.part is None else part(c.part, c.type))
            for c in query.columns
        )
    else:
        names = [escape(name) for name in distinct_names(result.columns)]
        kinds = [_kind(result, index) for index in range(len(result.columns))]
        pairs = zip(kinds, result.columns, strict=True)
        types = [zeek_type(kind, column.element) for kind, column in pairs]
        columns = tuple((index, formatter(kind)) for index, kind in enumerate(kinds))
    fixed = {"t": "time", "hid": "string", "host": "string"}
    if query.has_change:
        fixed["change"] = "string"
    return Layout("\t".join((*fixed, *names)), "\t".join((*fixed.values(), *types)), columns)


def _kind(result: Result, index: int) -> Type:
    """Return the declared type of a column, or that of its first value."""
    declared = result.columns[index].type
    if declared is not None:
        return declared
    values = (row[index] for _, row in result.changes())
    return next((type_of_value(value) for value in values if value is not None), Type.TEXT)


class _Log:
    """One log: its file, and the layout that the file has."""

    def __init__(self, path: Path, rotation: Rotation, clock: Callable[[], float]) -> None:
        self.key: Key | None = None
        self.layout = Layout("", "", ())
        self.file = RotatingFile(
            path, rotation=rotation, clock=clock, header=self._header, footer=self._footer
        )
        self._name = path.stem
        self._local_time = rotation.local_time

    def _header(self, now: float) -> bytes:
        lines = (
            "#separator \\x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            f"#path\t{self._name}",
            f"#open\t{stamp(now, self._local_time)}",
            f"#fields\t{self.layout.fields}",
            f"#types\t{self.layout.types}",
        )
        return _encoded("".join(f"{line}\n" for line in lines))

    def _footer(self, now: float) -> bytes:
        return _encoded(f"#close\t{stamp(now, self._local_time)}\n")


class ZeekLog:
    """Writes `<log>.log` files in Zeek's format below a directory.

    A column without declared type gets that of its first value; values of
    another type are written as they are. When the columns of a log change, its
    file is closed and a new one begun. 100,000 rows take about a tenth of a
    second; see `sink.Sink` for how not to hold up the loop.
    """

    def __init__(
        self,
        directory: Path,
        *,
        hid: str,
        host: str,
        rotation: Rotation,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Write to *directory*; *hid* and *host* stand on each line."""
        self._directory = directory
        self._who = f"{escape(hid)}\t{escape(host)}"
        self._rotation = rotation
        self._clock = clock
        self._logs: dict[str, _Log] = {}

    @property
    def lost(self) -> int:
        """Return how many rows could not be written."""
        return sum(log.file.health.lost for log in self._logs.values())

    def write(self, query: LocalQuery, result: Result) -> None:
        """Write all rows of *result*; an empty one begins no file."""
        if not len(result):
            return
        log = self._log_for(query, result)
        moment = result.collected or self._clock()
        for change, rows in pieces(result):
            head = f"{moment:.6f}\t{self._who}\t"
            if query.has_change:
                head += f"{WORDS[change] if change else UNSET}\t"
            log.file.write(_encoded(log.layout.lines(head, rows)))

    def rotate(self) -> None:
        """Put away the files whose time is over."""
        for log in self._logs.values():
            log.file.rotate()

    def close(self) -> None:
        """Finish all files with their `#close` line; they stay where they are."""
        for log in self._logs.values():
            log.file.close()

    def _log_for(self, query: LocalQuery, result: Result) -> _Log:
        log = self._logs.get(query.output)
        if log is None:
            path = self._directory / f"{query.output}.log"
            log = self._logs[query.output] = _Log(path, self._rotation, self._clock)
        key: Key = (query.columns or result.columns, query.has_change)
        if log.key != key:
            log.file.close()
            log.key, log.layout = key, layout_of(query, result)
        return log


def _encoded(lines: str) -> bytes:
    return lines.encode("utf-8", "backslashreplace")
