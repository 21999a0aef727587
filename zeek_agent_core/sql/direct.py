"""Serves ``SELECT columns FROM table`` straight from the table.

Most scheduled queries are no more than that: there is nothing for SQLite to
compute, and handing it each value only to get it back costs three times what
the rest does. Values are checked and converted column by column instead.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from operator import itemgetter
from time import perf_counter
from typing import Any

from zeek_agent_core.columnar import Chunk, ColumnRows, Values
from zeek_agent_core.query import ResultRow
from zeek_agent_core.sql.pushdown import Layout
from zeek_agent_core.sql.run import Run
from zeek_agent_core.table import PAUSE, Where
from zeek_agent_core.values import PLAIN, Row, SqlValue, to_sql

_NAME = r'(?:[a-z_][a-z0-9_]*|"[a-z_][a-z0-9_]*")'
_SHAPE = re.compile(
    rf"\s*SELECT\s+(\*|{_NAME}(?:\s*,\s*{_NAME})*)\s+FROM\s+{_NAME}\s*;?\s*\Z", re.IGNORECASE
)

MOST = 512
"""Rows that are converted at once."""
QUICK = 0.001
"""Seconds after which a chunk was so slow that the next one is a single row."""

_INT64 = range(-(1 << 63), 1 << 63)
_INTEGERS, _MAPPINGS = {int}, {dict}
_LARGEST = _INT64[-1]
_SMALL, _LARGE = frozenset("bBhHiIlq"), frozenset("LQN")
"""Formats of a memoryview of integers: those that all fit into 64 bits with a sign, and others."""

Fail = Callable[[BaseException], Exception]


def is_plain(sql: str) -> bool:
    """Return whether *sql*, which compiles, does nothing but name columns of one table."""
    return _SHAPE.match(sql) is not None


def scan(
    rows: Callable[[Where], Iterator[Row]],
    layout: Layout,
    positions: Sequence[int],
    run: Run,
    fail: Fail,
) -> Iterator[list[ResultRow]]:
    """Yield the columns at *positions* of all *rows*, as SQLite would give them, in lists.

    *fail* makes the error that is raised where the table, or a value, is wrong.
    """
    names = [layout.names[position] for position in positions]
    where = Where(frozenset(names), dict(layout.defaults), kept=run.kept, may_wait=run.may_wait)
    table = run.scan(run_table(run))
    began = perf_counter()
    iterator: Iterator[Any] = iter(())
    try:
        source = rows(where)
        if isinstance(source, ColumnRows):
            iterator = source.chunks
            tuples = _of_columns(source.chunks, layout, positions, run)
        else:
            iterator = iter(source)
            tuples = _of_rows(iterator, layout, positions, run)
        for values in tuples:
            table.rows += len(values)
            yield values
    except (Exception, SystemExit) as error:
        raise fail(error) from error
    finally:
        table.seconds += perf_counter() - began
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def run_table(run: Run) -> str:
    """Return the one table that the statement of *run* reads."""
    (name,) = run.tables
    return name


def _of_columns(
    chunks: Iterator[Chunk], layout: Layout, positions: Sequence[int], run: Run
) -> Iterator[list[ResultRow]]:
    """Yield lists of result rows made of *chunks*."""
    names = [layout.names[position] for position in positions]
    for chunk in chunks:
        if run.stop is not None:
            raise run.stop
        _check_names(chunk.keys(), layout.known)
        absent = [None] * len(next(iter(chunk.values())))
        if not absent:
            continue
        columns: list[Values] = [chunk.get(name, absent) for name in names]
        _convert(columns, layout, positions, run)
        yield list(zip(*columns, strict=True))


def _of_rows(
    rows: Iterator[Row], layout: Layout, positions: Sequence[int], run: Run
) -> Iterator[list[ResultRow]]:
    """Yield lists of result rows made of *rows*."""
    names = [layout.names[position] for position in positions]
    is_first = True
    for chunk in _chunks(rows, run):
        if is_first and not isinstance(chunk[0], Mapping):
            raise TypeError(f"rows must be mappings, not {type(chunk[0]).__name__}")
        if is_first:
            _check_names(chunk[0].keys(), layout.known)
        is_first = False
        values = _values(chunk, names)
        columns: list[Values] = list(zip(*values, strict=True))
        is_changed = _convert(columns, layout, positions, run)
        yield list(zip(*columns, strict=True)) if is_changed else values


def _chunks(rows: Iterator[Row], run: Run) -> Iterator[list[Row]]:
    """Yield the rows in lists that grow as long as the table is quick."""
    size = 1
    while True:
        if run.stop is not None:
            raise run.stop
        began = perf_counter()
        taken = list(islice(rows, size))
        is_plain = set(map(type, taken)) == _MAPPINGS  # then PAUSE is not among them
        chunk = taken if is_plain else [row for row in taken if row is not PAUSE]
        if chunk:
            yield chunk
        if len(taken) < size:
            return
        size = min(size * 2, MOST) if perf_counter() - began < QUICK else 1


def _check_names(names: AbstractSet[str], known: frozenset[str]) -> None:
    if not names <= known:
        unknown = ", ".join(sorted(map(str, names - known)))
        raise KeyError(f"row with undeclared columns: {unknown}")


def _values(chunk: list[Row], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the values of *names* of each row; an absent one is None."""
    if set(map(type, chunk)) != {dict} and not all(isinstance(row, Mapping) for row in chunk):
        raise TypeError("rows must be mappings")
    try:
        if len(names) > 1:
            return list(map(itemgetter(*names), chunk))
        return [(row[names[0]],) for row in chunk]
    except KeyError:
        return [tuple(map(row.get, names)) for row in chunk]


def _convert(columns: list[Values], layout: Layout, positions: Sequence[int], run: Run) -> bool:
    """Convert in *columns* what SQLite cannot hold, by the types; return whether there was any."""
    is_changed = False
    for at, position in enumerate(positions):
        column = layout.columns[position]
        plain, values = PLAIN.get(column.type), columns[at]
        if isinstance(values, memoryview):
            form = values.format
            columns[at] = values = values.tolist()
            if plain is int and (form in _SMALL or (form in _LARGE and max(values) <= _LARGEST)):
                continue
        if _is_storable(values, plain, run):
            continue
        is_changed = True
        try:
            stored = [_stored(to_sql(column.type, v, column.element)) for v in values]
        except (TypeError, ValueError, AttributeError) as error:
            reason = f"wrong value in column {column.name} ({column.type}): {error}"
            raise TypeError(reason) from error
        _add_size(run, stored)
        columns[at] = stored
    return is_changed


def _add_size(run: Run, values: Sequence[SqlValue]) -> None:
    size = sum(len(value) for value in values if isinstance(value, str | bytes))
    run.text_bytes = (run.text_bytes or 0) + size


def _is_storable(column: Sequence[Any], plain: type | None, run: Run) -> bool:
    """Return whether SQLite would give back all values of *column* as they are.

    The size of those that are is added to *run*.
    """
    kinds = set(map(type, column))
    if plain is int and kinds == _INTEGERS:
        return _fits(column)
    has_null = type(None) in kinds
    kinds.discard(type(None))
    if not kinds:
        return True
    if kinds != {plain} or plain in (bool, float):
        return False
    texts = filter(None, column) if has_null else column
    if plain is str and not (joined := "".join(texts)).isascii():
        return False
    if plain is str:
        run.text_bytes = (run.text_bytes or 0) + len(joined)
    elif plain is bytes:
        _add_size(run, column)
    elif plain is int:
        return _fits([value for value in column if value is not None])
    return True


def _fits(numbers: Sequence[int]) -> bool:
    """Return whether all *numbers* have at most 64 bits; an array refuses others, in C."""
    try:
        array("q", numbers)
    except OverflowError:
        return False
    return True


def _stored(value: SqlValue) -> SqlValue:
    """Return *value* as SQLite gives it back: no NaN, no integers beyond 64 bits."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN differs from itself
        return None
    if isinstance(value, int) and value not in _INT64:
        raise OverflowError("a number beyond 64 bits")
    return value
