"""Tables as SQLite virtual tables: a declaration plus a row source.

SQLite asks `BestIndexObject` which columns and conditions a query has, then
`Filter` with the values of those conditions; both become the table's `Where`.
https://www.sqlite.org/vtab.html
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import apsw

from zeek_agent_core.errors import ParameterError, QueryError, TableError
from zeek_agent_core.sql.run import Run, Scan
from zeek_agent_core.table import EQ, PAUSE, PREFIX, RANGE, Column, Prefix, Table, Where
from zeek_agent_core.values import PLAIN, Row, SqlValue, Type, sql_type, to_sql

OPERATORS = {
    apsw.SQLITE_INDEX_CONSTRAINT_EQ: "=",
    apsw.SQLITE_INDEX_CONSTRAINT_GT: ">",
    apsw.SQLITE_INDEX_CONSTRAINT_GE: ">=",
    apsw.SQLITE_INDEX_CONSTRAINT_LT: "<",
    apsw.SQLITE_INDEX_CONSTRAINT_LE: "<=",
    apsw.SQLITE_INDEX_CONSTRAINT_LIKE: "like",
    apsw.SQLITE_INDEX_CONSTRAINT_GLOB: "glob",
}
WANTED_BY = {
    "=": EQ,
    ">": RANGE,
    ">=": RANGE,
    "<": RANGE,
    "<=": RANGE,
    "like": PREFIX,
    "glob": PREFIX,
}

FULL_SCAN = 100_000.0
"""Rows a table is taken to have; only the ratio to the figures below matters to the planner."""
SELECTIVITY = {"=": 10_000.0, ">": 3.0, ">=": 3.0, "<": 3.0, "<=": 3.0, "like": 10.0, "glob": 10.0}

LAST_BIT = 63
"""SQLite tells of the first 63 columns one by one, of all later ones together."""

_END: Any = object()


class Source(Protocol):
    """What a virtual table needs of the database that holds it."""

    current: Run

    def rows(self, table: Table, where: Where, run: Run) -> Iterator[Row]:
        """Return the rows of *table* for one scan."""


class Term(NamedTuple):
    """One condition that SQLite hands to the table."""

    column: int
    operator: str
    is_list: bool


@functools.lru_cache(maxsize=1024)
def _plan(text: str) -> tuple[tuple[int, ...], tuple[Term, ...]]:
    used, terms = json.loads(text)
    return tuple(used), tuple(Term(*term) for term in terms)


class Module:
    """Makes one table known to SQLite."""

    def __init__(self, table: Table, source: Source) -> None:
        """Offer *table*, whose rows come through *source*."""
        self.table = table
        self.source = source

    def Create(self, *_: Any) -> tuple[str, "VirtualTable"]:
        """Return the SQL declaration and the object behind it."""
        return declaration(self.table), VirtualTable(self.table, self.source)

    Connect = Create


def declaration(table: Table) -> str:
    """Return the ``CREATE TABLE`` statement for *table*; parameters are hidden columns."""
    columns = ", ".join(
        f'"{c.name}" {sql_type(c.type)}{" HIDDEN" if c.is_parameter else ""}' for c in table.columns
    )
    return f'CREATE TABLE "{table.name}" ({columns})'


class VirtualTable:
    """Plans queries on one table."""

    def __init__(self, table: Table, source: Source) -> None:
        """Plan for *table*."""
        self.table = table
        self.source = source
        self.layout = Layout(table)

    def BestIndexObject(self, index: Any) -> bool:
        """Pick the conditions that the table hears of; False refuses an unusable plan."""
        columns = self.table.columns
        terms: list[Term] = []
        cost = FULL_SCAN
        given: set[int] = set()
        for number in range(index.nConstraint):
            position = index.get_aConstraint_iColumn(number)
            operator = OPERATORS.get(index.get_aConstraint_op(number))
            if operator is None or position < 0:
                continue
            column = columns[position]
            if column.is_parameter:
                if operator != "=" or position in given:
                    continue
                if not index.get_aConstraint_usable(number):
                    return False
                given.add(position)
                is_list = False
            else:
                if not self._is_pushed(index, number, column, operator):
                    continue
                is_list = operator == "=" and index.get_aConstraintUsage_in(number)
                if is_list and not self.source.current.lists_are_literal:
                    continue  # APSW fails on the list if it comes from a SELECT without rows
                if is_list:
                    index.set_aConstraintUsage_in(number, True)  # noqa: FBT003 - APSW wants it so
                cost /= SELECTIVITY[operator] / (10 if is_list else 1)
            terms.append(Term(position, operator, is_list))
            index.set_aConstraintUsage_argvIndex(number, len(terms))
            index.set_aConstraintUsage_omit(number, column.is_parameter)
        self._check_required(given)
        index.idxStr = json.dumps([sorted(index.colUsed), terms])
        index.estimatedCost = max(cost, 1.0)
        index.estimatedRows = max(int(cost), 1)
        return True

    @staticmethod
    def _is_pushed(index: Any, number: int, column: Column, operator: str) -> bool:
        """Return whether the table wants the condition and compares as SQLite would."""
        if not (column.pushdown & WANTED_BY[operator] and index.get_aConstraint_usable(number)):
            return False
        pattern = operator in ("like", "glob")
        return pattern or index.get_aConstraint_collation(number) == "BINARY"

    def _check_required(self, given: set[int]) -> None:
        missing = [
            column.name
            for position, column in enumerate(self.table.columns)
            if column.is_required and position not in given
        ]
        if missing:
            names = ", ".join(missing)
            arguments = ", ".join(name.lstrip("_") for name in missing)
            raise ParameterError(
                f"mandatory table parameter '{names}' is missing; write for example "
                f"{self.table.name}({arguments})"
            )

    def Open(self) -> "Cursor":
        """Return a new scan."""
        return Cursor(self.table, self.source, self.layout)

    def Disconnect(self) -> None:
        """Nothing is held."""

    Destroy = Disconnect


class Layout:
    """Column facts of a table, by position, looked up once."""

    def __init__(self, table: Table) -> None:
        """Read the declaration of *table*."""
        self.columns = table.columns
        self.names = tuple(column.name for column in table.columns)
        self.known = frozenset(self.names)
        self.fields: tuple[tuple[str, Any], ...] = tuple((column.name, PLAIN.get(column.type)) for column in table.columns)
        self.defaults = {c.name: c.default for c in table.columns if c.is_parameter}

    def where(self, text: str, arguments: Sequence[Any]) -> Where:
        """Return what the query wants, from the plan and the values SQLite gives."""
        used, terms = _plan(text)
        parameters: dict[str, Any] = dict(self.defaults)
        allowed: dict[str, Any] = {}
        lows: dict[str, Any] = {}
        highs: dict[str, Any] = {}
        prefixes: dict[str, Prefix] = {}
        for term, argument in zip(terms, arguments, strict=True):
            column = self.columns[term.column]
            if column.is_parameter:
                parameters[column.name] = _parameter(column, argument)
            elif term.operator == "=":
                _narrow(allowed, column, argument if term.is_list else (argument,))
            elif term.operator in (">", ">="):
                _bound(lows, column, argument, max)
            elif term.operator in ("<", "<="):
                _bound(highs, column, argument, min)
            else:
                _prefix(prefixes, column, argument, ignore_case=term.operator == "like")
        names = frozenset(self.names[at] for at in used if at < len(self.names))
        if LAST_BIT in used:
            names |= frozenset(self.names[LAST_BIT:])
        return Where(names, parameters, allowed, lows, highs, prefixes)


def _parameter(column: Column, value: SqlValue) -> SqlValue:
    """Return the argument of a parameter, or refuse its type."""
    plain = PLAIN.get(column.type)
    if isinstance(value, bytes) and plain is str:
        return to_sql(column.type, value)
    if isinstance(value, int) and plain in (bool, float):
        return to_sql(column.type, value)
    if value is None or (plain is not None and not isinstance(value, plain)):
        given = "NULL" if value is None else type(value).__name__
        raise ParameterError(f"table parameter '{column.name}' takes {column.type}, not {given}")
    return value


def _comparable(column: Column, value: SqlValue) -> SqlValue:
    """Return *value* as the column would hold it; None if no such value can be equal."""
    affinity = sql_type(column.type)
    if affinity in ("INTEGER", "REAL") and isinstance(value, str | float):
        try:
            number = float(value) if isinstance(value, float) else _number(value)
        except ValueError:
            return None
        return int(number) if isinstance(number, float) and number.is_integer() else number
    return value


def _number(value: str) -> int | float:
    try:
        return int(value)
    except ValueError:
        return float(value)


def _narrow(allowed: dict[str, Any], column: Column, values: Any) -> None:
    if sql_type(column.type) == "TEXT" and any(isinstance(v, int | float) for v in values):
        return  # whether '05' equals 5 depends on where the 5 comes from: left to SQLite
    wanted = {_comparable(column, value) for value in values} - {None}
    known = allowed.get(column.name)
    allowed[column.name] = frozenset(wanted if known is None else wanted & known)


_COMPARABLE: Mapping[str, tuple[type, ...]] = {
    "INTEGER": (int, float),
    "REAL": (int, float),
    "TEXT": (str,),
    "BLOB": (bytes,),
}


def _bound(
    bounds: dict[str, Any], column: Column, value: SqlValue, tighter: Callable[..., Any]
) -> None:
    """Keep a limit of the kind of the column; others are left to SQLite."""
    if isinstance(value, _COMPARABLE[sql_type(column.type)]):
        known = bounds.get(column.name)
        bounds[column.name] = value if known is None else tighter(known, value)


def _prefix(
    prefixes: dict[str, Prefix], column: Column, pattern: SqlValue, *, ignore_case: bool
) -> None:
    if not isinstance(pattern, str):
        return
    special = "%_" if ignore_case else "*?["
    end = next((i for i, letter in enumerate(pattern) if letter in special), len(pattern))
    if end:
        prefixes[column.name] = Prefix(pattern[:end], ignore_case)


class Cursor:
    """One scan over a table's rows."""

    __slots__ = (
        "columns", "fields", "identity", "names", "number", "parameters", "row",
        "rows", "run", "scan", "seen", "source", "table", "used",
    )  # fmt: skip

    def __init__(self, table: Table, source: Source, layout: Layout) -> None:
        """Prepare to scan *table*."""
        self.table = table
        self.source = source
        self.columns = layout
        self.names = layout.names
        self.fields = layout.fields
        self.row: Row = _END
        self.rows: Iterator[Row] = iter(())
        self.parameters: Mapping[str, Any] = {}
        self.number = 0
        self.used: list[int] = []
        self.seen: Counter[str] = Counter()
        self.identity = (0, 0)
        self.run: Run
        self.scan: Scan

    def Filter(self, _number: int, plan: str, arguments: Sequence[Any]) -> None:
        """Start the scan and stand on its first row."""
        self.run = run = self.source.current
        self.scan = run.scan(self.table.name)
        where = self.columns.where(plan, arguments)
        self.parameters = where.parameters
        self.used = [at for at, name in enumerate(self.names) if name in where.columns]
        self.seen.clear()
        self.identity = (0, 0)
        self.number = 0
        began = perf_counter()
        try:
            self.rows = iter(self.source.rows(self.table, where, run))
        except Exception as error:
            raise self.failed(error) from error
        self.Next()
        self._check_row()
        self.scan.seconds += perf_counter() - began

    def _check_row(self) -> None:
        """Refuse rows that are no mapping of known columns; the first stands for all."""
        if self.row is _END:
            return
        keys = self.row.keys() if isinstance(self.row, Mapping) else None
        if keys is None:
            raise self.failed(TypeError(f"rows must be mappings, not {type(self.row).__name__}"))
        if not keys <= self.columns.known:
            unknown = ", ".join(sorted(map(str, keys - self.columns.known)))
            raise self.failed(KeyError(f"row with undeclared columns: {unknown}"))

    def Next(self) -> None:
        """Go to the next row."""
        if self.run.stop is not None:
            raise self.run.stop
        self.number += 1
        try:
            while (row := next(self.rows, _END)) is PAUSE:
                if self.run.stop is not None:
                    raise self.run.stop
            self.row = row
        except Exception as error:
            raise self.failed(error) from error

    def Eof(self) -> bool:
        """Return whether the rows have ended."""
        return self.row is _END

    def Column(self, position: int) -> SqlValue:
        """Return one value of the current row; most pass as they are."""
        name, plain = self.fields[position]
        try:
            value: Any = self.row[name]
        except KeyError:
            return self.parameters.get(name)
        except (TypeError, IndexError) as error:
            raise self.failed(TypeError("rows must be mappings")) from error
        if value.__class__ is plain:
            if plain is not str or value.isascii():
                return value  # type: ignore[no-any-return]
        elif value is None:
            return None
        column = self.columns.columns[position]
        try:
            return to_sql(column.type, value, column.element)
        except (TypeError, ValueError, AttributeError) as error:
            reason = TypeError(f"wrong value in column {column.name} ({column.type}): {error}")
            raise self.failed(reason) from error

    def Rowid(self) -> int:
        """Return a number that the row has in every scan of a statement.

        SQLite recognises rows by it where it scans a table more than once, for
        each side of an ``OR`` or to end a ``RIGHT JOIN``. Pushdown makes such
        scans differ, so a position does not serve: it is the content that counts.
        """
        number, rowid = self.identity
        if number != self.number:
            content = repr([self.Column(position) for position in self.used])
            self.seen[content] += 1
            rowid = hash((content, self.seen[content]))
            self.identity = (self.number, rowid)
        return rowid

    def Close(self) -> None:
        """Let the rows go; a generator cleans up at once."""
        self._finish()
        self.row = _END
        close = getattr(self.rows, "close", None)
        self.rows = iter(())
        if close is not None:
            close()

    def _finish(self) -> None:
        """Add the rows of this scan to the run's count, once."""
        if self.number:
            self.scan.rows += self.number - (self.row is _END)
            self.number = 0

    def failed(self, error: Exception) -> QueryError:
        """Return *error* as what the asker is told, and remember it for the table."""
        if isinstance(error, QueryError):
            if error is not self.run.stop:
                self.scan.error = error.reason if isinstance(error, TableError) else str(error)
            return error
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        message = f"{type(error).__name__}: {reason}"
        if isinstance(error, OSError):
            where = f" {error.filename}" if error.filename is not None else ""
            message = f"cannot read{where}: {error.strerror or error}"
        self.scan.error = message
        return TableError(self.table.name, message)


def is_of_type(value: SqlValue, kind: Type) -> bool:
    """Return whether a stored *value* can be one of *kind*."""
    if value is None:
        return True
    expected = {"INTEGER": int, "REAL": float, "TEXT": str, "BLOB": bytes}[sql_type(kind)]
    return isinstance(value, expected)
