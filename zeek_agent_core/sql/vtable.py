"""Tables as SQLite virtual tables: a declaration plus a row source.

SQLite asks `BestIndexObject` which columns and conditions a query has, then
`Filter` with the values of those conditions; both become the table's `Where`.
https://www.sqlite.org/vtab.html
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

import apsw

from zeek_agent_core.errors import ParameterError, QueryError, TableError, WaitingError
from zeek_agent_core.sql.pushdown import Layout, Term
from zeek_agent_core.sql.run import Run, Scan
from zeek_agent_core.table import EQ, PAUSE, PREFIX, RANGE, Column, Table, Where
from zeek_agent_core.values import Row, SqlValue, sql_type, to_sql

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

_END: Any = object()


class Source(Protocol):
    """What a virtual table needs of the database that holds it."""

    current: Run

    def rows(self, table: Table, where: Where, run: Run) -> Iterator[Row]:
        """Return the rows of *table* for one scan."""


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
    """Return the ``CREATE TABLE`` statement for *table*; parameters and aliases are hidden."""
    columns = [(c.name, c.type, c.is_parameter or c.hidden) for c in table.columns]
    columns += [(alias, c.type, True) for c in table.columns for alias in c.aliases]
    parts = (
        f'"{name}" {sql_type(kind)}{" HIDDEN" if is_hidden else ""}'
        for name, kind, is_hidden in columns
    )
    return f'CREATE TABLE "{table.name}" ({", ".join(parts)})'


class VirtualTable:
    """Plans queries on one table."""

    def __init__(self, table: Table, source: Source) -> None:
        """Plan for *table*."""
        self.table = table
        self.source = source
        self.layout = Layout(table)

    def BestIndexObject(self, index: Any) -> bool:
        """Pick the conditions that the table hears of; False refuses an unusable plan."""
        columns = self.layout.columns
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
                taken = self._is_list(index, number, column, operator)
                if taken is None:
                    continue
                is_list = taken
                given.add(position)
                cost /= SELECTIVITY[operator] / (10 if is_list else 1)
            terms.append(Term(position, operator, is_list))
            index.set_aConstraintUsage_argvIndex(number, len(terms))
            index.set_aConstraintUsage_omit(number, column.is_parameter)
        self._check_required(given)
        if not self._has_mandatory(given):
            return False
        index.idxStr = json.dumps([sorted(index.colUsed), terms])
        index.estimatedCost = max(cost, 1.0) + self.table.scan_cost
        index.estimatedRows = max(int(cost), 1)
        return True

    def _is_list(self, index: Any, number: int, column: Column, operator: str) -> bool | None:
        """Return whether a condition comes as a list of values; None if it does not come."""
        if not self._is_pushed(index, number, column, operator):
            return None
        if operator != "=" or not index.get_aConstraintUsage_in(number):
            return False
        if self.source.current.lists_are_literal:
            index.set_aConstraintUsage_in(number, True)  # noqa: FBT003 - APSW wants it so
            return True
        # APSW fails on the list if it comes from a SELECT without rows. A scan for
        # each of its values does not, but mostly costs more than one of all rows.
        return False if column.mandatory else None

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

    def _has_mandatory(self, given: set[int]) -> bool:
        """Return whether one of the columns that must have a condition has one; note if not."""
        names = [column.name for column in self.table.columns if column.mandatory]
        if not names or any(self.layout.columns[at].name in names for at in given):
            return True
        self.source.current.unmet = ParameterError(
            f"table {self.table.name} needs a condition on {' or '.join(names)}; write for "
            f"example WHERE {names[0]} = ..."
        )
        return False

    def Open(self) -> "Cursor":
        """Return a new scan."""
        return Cursor(self.table, self.source, self.layout)

    def Disconnect(self) -> None:
        """Nothing is held."""

    Destroy = Disconnect


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
        where = self.columns.where(plan, arguments, run)
        self.parameters = where.parameters
        self.used = [at for at, name in enumerate(self.names) if name in where.columns]
        self.seen.clear()
        self.identity = (0, 0)
        self.number = 0
        began = perf_counter()
        try:
            self.rows = iter(self.source.rows(self.table, where, run))
        except (Exception, SystemExit) as error:
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
        except (Exception, SystemExit) as error:
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

    def failed(self, error: BaseException) -> QueryError:
        """Return *error* as what the asker is told, and remember it for the table."""
        return failed(self.table, self.run, error)


def failed(table: Table, run: Run, error: BaseException) -> QueryError:
    """Return *error* of a *table* as what the asker is told, and remember it for the table."""
    scan = run.scan(table.name)
    if isinstance(error, QueryError):
        if error is not run.stop and not isinstance(error, WaitingError):
            scan.error = error.reason if isinstance(error, TableError) else str(error)
        return error
    reason: object = error.args[0] if isinstance(error, KeyError) and error.args else error
    message = f"{type(error).__name__}: {reason}"
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename is not None else ""
        message = f"cannot read{where}: {error.strerror or error}"
    scan.error = message
    return TableError(table.name, message)
