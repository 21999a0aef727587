"""Results as JSON lines, to one file per log or to a stream."""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from zeek_agent_core.local.pack import LocalQuery
from zeek_agent_core.local.rotate import RotatingFile, Rotation
from zeek_agent_core.local.sink import WORDS, distinct_names, pieces
from zeek_agent_core.local.stream import LineStream
from zeek_agent_core.query import Change, Result, ResultColumn, ResultRow
from zeek_agent_core.values import SqlValue, Type, iso_time, to_json

Column = Callable[[Sequence[SqlValue]], Sequence[str]]

_TEXTS = {Type.ADDRESS, Type.BLOB, Type.ENUM, Type.TEXT, None}
_NUMBERS = {Type.COUNT, Type.INT, None}

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_quoted = json.encoder.encode_basestring


def _value(kind: Type, value: SqlValue) -> str:
    shown = to_json(kind, value)
    if isinstance(shown, float) and shown in _INFINITE:
        # JSON has no word for it; a number out of range is read as infinite.
        return _INFINITE[shown]
    return _dumps(shown)


_INFINITE = {float("inf"): "1e999", float("-inf"): "-1e999"}


def _column(column: ResultColumn) -> Column:
    """Return what shows the values of *column*, all rows at once."""
    kind = column.type

    def show(values: Sequence[SqlValue]) -> Sequence[str]:
        present = set(map(type, values)) - {type(None)}
        if present == {str} and kind in _TEXTS:
            return _each(_quoted, values)
        if present == {int} and kind in _NUMBERS:
            return _each(str, values)
        if present == {int} and kind is Type.INTERVAL:
            return _each(_seconds, values)
        return _each(partial(_value, kind or Type.NULL), values)

    return show


def _each(convert: Callable[[Any], str], values: Sequence[SqlValue]) -> Sequence[str]:
    if None in values:
        return ["null" if value is None else convert(value) for value in values]
    return list(map(convert, values))


def _seconds(nanoseconds: int) -> str:
    return repr(nanoseconds / 1e9)


class _Layout:
    """Names of a result's columns, and what shows their values."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        names = ",".join(f"{_quoted(name)}:\0" for name in distinct_names(columns))
        self.template = f"{{{names}}}}}\n".replace("%", "%%").replace("\0", "%s")
        self.columns = [_column(column) for column in columns]

    def lines(self, head: str, rows: Sequence[ResultRow]) -> str:
        values = zip(*rows, strict=True)
        shown = [show(column) for show, column in zip(self.columns, values, strict=True)]
        template = head.replace("%", "%%") + self.template
        return "".join([template % row for row in zip(*shown, strict=True)])


class JsonLines:
    """Writes one JSON object per row: `ts`, `hid`, `host`, `log`, `query`, `change`, `columns`.

    `change` is `new` or `gone`, and absent for the rows of a snapshot. Text
    is UTF-8 without escapes that JSON does not ask for.
    """

    def __init__(
        self,
        target: Path | LineStream,
        *,
        hid: str,
        host: str,
        rotation: Rotation,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Write to *target*: a stream, or a directory for files `<log>.jsonl`."""
        self._target = target
        self._who = f'"hid":{_quoted(hid)},"host":{_quoted(host)}'
        self._rotation = rotation
        self._clock = clock
        self._files: dict[str, RotatingFile] = {}
        self._layouts: dict[str, tuple[tuple[ResultColumn, ...], _Layout]] = {}

    @property
    def lost(self) -> int:
        """Return how many rows could not be written."""
        if isinstance(self._target, LineStream):
            return self._target.health.lost
        return sum(file.health.lost for file in self._files.values())

    def write(self, query: LocalQuery, result: Result) -> None:
        """Write all rows of *result*; `OutputError` if nobody reads the stream any more."""
        known = self._layouts.get(query.query.id)
        if known is None or known[0] != result.columns:
            known = self._layouts[query.query.id] = result.columns, _Layout(result.columns)
        moment = iso_time(round((result.collected or self._clock()) * 1e6))
        for change, rows in pieces(result):
            lines = known[1].lines(self._head(query, moment, change), rows)
            if isinstance(self._target, LineStream):
                self._target.write(lines)
            else:
                self._file(self._target, query).write(lines.encode("utf-8", "backslashreplace"))

    def rotate(self) -> None:
        """Put away the files whose time is over."""
        for file in self._files.values():
            file.rotate()

    def close(self) -> None:
        """Finish all files; a stream stays open."""
        for file in self._files.values():
            file.close()

    def _head(self, query: LocalQuery, moment: str, change: Change | None) -> str:
        names = f'"log":{_quoted(query.output)},"query":{_quoted(query.query.id)}'
        word = f'"change":"{WORDS[change]}",' if change else ""
        return f'{{"ts":"{moment}",{self._who},{names},{word}"columns":'

    def _file(self, directory: Path, query: LocalQuery) -> RotatingFile:
        file = self._files.get(query.output)
        if file is None:
            path = directory / f"{query.output}.jsonl"
            file = RotatingFile(path, rotation=self._rotation, clock=self._clock)
            self._files[query.output] = file
        return file
