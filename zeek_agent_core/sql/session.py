"""The SQLite connection, and statements on it; used by one thread only."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, cast

import apsw

from zeek_agent_core.errors import (
    ForbiddenError,
    LimitError,
    QueryError,
    StatementError,
    TableError,
)
from zeek_agent_core.limits import MEBI, Limits
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.sql import direct, functions
from zeek_agent_core.sql.pushdown import Layout
from zeek_agent_core.sql.run import Run
from zeek_agent_core.sql.single import Singles
from zeek_agent_core.sql.statement import (
    Authorizer,
    Statement,
    builtin_modules,
    explain,
    is_blank,
    pure_functions,
)
from zeek_agent_core.sql.vtable import Cursor, Module, failed
from zeek_agent_core.table import Evented, Snapshot, Table, Where
from zeek_agent_core.values import Row

EventRows = Callable[[str, int, int | None], Iterator[Row]]
"""Given a table and two positions, the rows of events after the one, up to the other."""

WhyMissing = Callable[[str], str | None]
"""Given the name of a table that is not there, the reason, if it is known."""

PROGRESS_STEPS = 10_000
CHUNK = 64
BATCH = 4096
LARGE_BYTES = MEBI
"""Rows for which SQLite takes more than this come and are counted one by one."""
SLICE_SECONDS = 0.05
"""A fetch returns after this time with what it has, so that queries take turns."""

_SQLITE_LIMITS = {
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_COLUMN: 500,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 200,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 100,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 1000,
    apsw.SQLITE_LIMIT_VDBE_OP: 1_000_000,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}


_MISSING = re.compile(r"no such table: ([\w.]+)")


class Batch(NamedTuple):
    """Some rows of a result."""

    rows: list[ResultRow]
    is_last: bool


class Session:
    """One connection with all tables; every method runs in the thread that made it."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        limits: Limits,
        events: EventRows,
        busy: set[str],
        why_missing: WhyMissing,
    ) -> None:
        """Plan for *tables*; the names in *busy* hang in another thread."""
        self.tables = tables
        self.limits = limits
        self.events = events
        self.busy = busy
        self.why_missing = why_missing
        self.current: Run = Run("", limits, {})
        self._results: dict[Run, Any] = {}
        self._counts: dict[Run, tuple[int, int]] = {}
        self._offered: dict[str, Table] = {}

    def open(self) -> None:
        """Open the database and offer the tables."""
        apsw.hard_heap_limit(self.limits.memory_bytes * 2 + 64 * MEBI)
        self.connection = apsw.Connection(":memory:")
        functions.register(self.connection)
        self.connection.execute("PRAGMA temp_store = MEMORY; PRAGMA query_only = 1")
        self.connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        self.connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        for limit, most in _SQLITE_LIMITS.items():
            self.connection.limit(limit, most)
        self.connection.limit(apsw.SQLITE_LIMIT_LENGTH, self.limits.cell_bytes)
        self.connection.limit(apsw.SQLITE_LIMIT_SQL_LENGTH, self.limits.sql_bytes)
        self._singles = Singles(self.connection)
        self.authorizer = Authorizer(
            self.tables, pure_functions(self.connection), builtin_modules(self.connection)
        )
        self.connection.authorizer = self.authorizer
        self.connection.set_progress_handler(self._progress, PROGRESS_STEPS)
        self.offer()
        self.idle_bytes = apsw.memory_used()

    def offer(self) -> None:
        """Tell SQLite of tables that came or went."""
        tables = dict(self.tables)
        for name in [
            name for name, table in self._offered.items() if tables.get(name) is not table
        ]:
            self.connection.create_module(name, None)
            del self._offered[name]
        for name in tables.keys() - self._offered.keys():
            self.connection.create_module(
                name,
                cast("apsw.VTModule", Module(tables[name], self)),
                use_bestindex_object=True,
                eponymous=True,
                eponymous_only=True,
                read_only=True,
            )
            self._offered[name] = tables[name]

    def close(self) -> None:
        """Close the connection and all results."""
        for run in list(self._results):
            self.finish(run)
        self.connection.close()

    def prepare(self, run: Run) -> Statement:
        """Compile the statement of *run* without running it."""
        compiled: list[Statement] = []

        def inspect(cursor: apsw.Cursor, sql: str, _: Any) -> bool:
            compiled.append(self._statement(run, cursor, sql))
            return False

        with suppress(apsw.ExecTraceAbort):
            self._execute(run, inspect)
        return compiled[0]

    def start(self, run: Run) -> Statement:
        """Begin to execute the statement of *run*."""
        compiled: list[Statement] = []
        is_direct = direct.is_plain(run.sql)

        def inspect(cursor: apsw.Cursor, sql: str, _: Any) -> bool:
            if not compiled:  # a comment at the end is traced as a second statement
                compiled.append(self._statement(run, cursor, sql))
            return not (is_direct and self._positions(compiled[0]))

        try:
            self._results[run] = self._execute(run, inspect)
        except apsw.ExecTraceAbort:
            self._results[run] = self._direct(run, compiled[0])
        self._counts[run] = (0, 0)
        if run.tables and any(isinstance(self.tables[name], Evented) for name in run.tables):
            run.is_single = is_direct or self._singles.is_single(run)
        return compiled[0]

    def start_again(self, run: Run) -> Statement:
        """Begin to execute *run* anew: a table has what it had to wait for."""
        self.finish(run)
        run.scans.clear()
        run.wanted.clear()
        run.text_bytes = None
        return self.start(run)

    def _positions(self, statement: Statement) -> list[int]:
        """Return where the result's columns stand in their one table; none if there are others."""
        if len(statement.tables) != 1 or None in (c.origin for c in statement.columns):
            return []
        table = self.tables[next(iter(statement.tables))]
        if any(column.is_required for column in table.columns):
            return []
        names = [column.name for column in table.columns]
        positions = [names.index(column.origin or "") for column in statement.columns]
        return [] if any(table.columns[at].is_parameter for at in positions) else positions

    def _direct(self, run: Run, statement: Statement) -> Iterator[list[ResultRow]]:
        """Return the rows of a statement that only names columns, in lists."""
        table = self.tables[next(iter(statement.tables))]
        run.text_bytes = 0
        return direct.scan(
            lambda where: self.rows(table, where, run),
            Layout(table),
            self._positions(statement),
            run,
            partial(failed, table, run),
        )

    def fetch(self, run: Run) -> Batch:
        """Return the next rows of *run*."""
        result = self._results[run]
        rows: list[ResultRow] = []
        until = perf_counter() + SLICE_SECONDS
        self._enter(run)
        try:
            while len(rows) < BATCH and perf_counter() < until:
                chunk, is_last = self._next(result)
                rows += chunk
                self._count(run, chunk)
                apsw.memory_high_water(reset=True)  # begins a new mark
                if is_last:
                    return Batch(rows, is_last=True)
        except Exception as error:
            raise self._translated(error, run) from error
        return Batch(rows, is_last=False)

    def _next(self, result: Any) -> tuple[list[ResultRow], bool]:
        """Return some more rows of a result, and whether they are its last."""
        if not isinstance(result, apsw.Cursor):
            chunk: list[ResultRow] | None = next(result, None)
            return chunk or [], chunk is None
        size = 1 if self._was_large() else CHUNK
        rows = list(islice(result, size))
        return rows, len(rows) < size

    def finish(self, run: Run) -> None:
        """Let the result of *run* go."""
        result = self._results.pop(run, None)
        self._counts.pop(run, None)
        if result is not None:
            self._enter(run)
            with suppress(Exception):  # its error has been told by fetch
                force = (True,) if isinstance(result, apsw.Cursor) else ()
                result.close(*force)

    def rows(self, table: Table, where: Where, run: Run) -> Iterator[Row]:
        """Return the rows of *table* for one scan; the virtual tables call this."""
        if table.name in self.busy:
            raise TableError(table.name, "still busy with an earlier query that had to be given up")
        if run.guard is not None:
            return run.guard(table, where, lambda wanted: self._scan(table, wanted, run))
        return self._scan(table, where, run)

    def _scan(self, table: Table, where: Where, run: Run) -> Iterator[Row]:
        if isinstance(table, Evented):
            run.wanted.setdefault(table.name, []).append(where)
            return self.events(table.name, *run.positions.get(table.name, (0, None)))
        if isinstance(table, Snapshot):
            return table.rows(where)
        raise TableError(table.name, "it is neither a Snapshot nor an Evented table")

    def _enter(self, run: Run) -> None:
        self.current = run
        self.authorizer.run = run

    def _execute(self, run: Run, inspect: Callable[[apsw.Cursor, str, Any], bool]) -> apsw.Cursor:
        """Compile and start *run*; *inspect* sees the compiled statement first."""
        self._enter(run)
        if is_blank(run.sql):
            raise StatementError("the statement is empty")
        cursor = self.connection.cursor()
        cursor.exec_trace = inspect
        try:
            return cursor.execute(run.sql, can_cache=False)
        except apsw.ExecTraceAbort:
            raise
        except Exception as error:
            raise self._translated(error, run) from error

    def _statement(self, run: Run, cursor: apsw.Cursor, sql: str) -> Statement:
        """Describe a compiled statement; refuse one that writes, or a second one."""
        if not cursor.is_readonly:  # the authorizer is not asked about VACUUM
            raise ForbiddenError("the statement would write: queries can only read tables")
        if not is_blank(run.sql[len(sql) :]):
            raise StatementError("one statement at a time: there is more after the first")
        columns = tuple(self._column(*described) for described in cursor.description_full)
        if not columns:  # REINDEX, where there is nothing to do, is asked about nowhere
            raise ForbiddenError("the statement returns nothing: queries can only read tables")
        return Statement(run.sql, columns, frozenset(run.tables))

    def _column(
        self, name: str, _declared: str, _db: str, table: str | None, origin: str | None
    ) -> ResultColumn:
        source = self.tables.get(table.lower()) if table else None
        if source is not None and origin is not None:
            for column in source.columns:
                if origin.lower() in (column.name, *column.aliases):
                    return ResultColumn(name, column.type, column.element, column.name)
        return ResultColumn(name)

    def _count(self, run: Run, rows: list[ResultRow]) -> None:
        """Hold the result to its bounds; small rows are estimated from a random eighth."""
        known, size = self._counts[run]
        known += len(rows)
        step = 1 if self._was_large() else 8
        if run.text_bytes is not None:
            rows, size = [], run.text_bytes
        for position in range(random.randrange(step), len(rows), step):  # noqa: S311 - no secret
            size += step * sum(len(v) for v in rows[position] if isinstance(v, str | bytes))
        self._counts[run] = (known, size)
        if known > run.limits.rows:
            raise LimitError(
                f"the result has more than {run.limits.rows} rows; add conditions or LIMIT, "
                "or raise [limits] rows"
            )
        if size > run.limits.result_bytes:
            raise LimitError(
                f"the result is larger than {run.limits.result_bytes >> 20} MiB; select fewer "
                "columns or rows, or raise [limits] result"
            )

    def _was_large(self) -> bool:
        """Return whether the last rows were large, by the memory that SQLite took for them."""
        return apsw.memory_high_water() - self.idle_bytes > LARGE_BYTES

    def _progress(self) -> bool:
        """Tell SQLite every `PROGRESS_STEPS` whether to give up the statement."""
        run = self.current
        if run.stop is not None:
            return True
        run.steps += PROGRESS_STEPS
        if run.is_recursive and run.steps > run.limits.recursion_steps:
            run.failure = LimitError("the recursive query takes too many steps")
            return True
        if apsw.memory_used() > run.limits.memory_bytes:
            run.failure = LimitError(
                f"the query needs more than {run.limits.memory_bytes >> 20} MiB to sort, group "
                "or join; add conditions, or raise [limits] memory"
            )
            return True
        return False

    def _translated(self, error: Exception, run: Run) -> QueryError:
        if run.stop is not None:
            return run.stop
        if isinstance(error, OverflowError | UnicodeError):
            cursor = _culprit(error)
            if cursor is not None:
                return cursor.failed(error)
        if run.unmet is not None and "no query solution" in str(error):
            return run.unmet
        missing = _MISSING.search(str(error))
        reason = self.why_missing(missing[1].lower()) if missing else None
        if missing and reason:
            return TableError(missing[1], reason)
        return run.failure or explain(error, run.sql, list(self.tables.values()))


def _culprit(error: Exception) -> Cursor | None:
    """Return the scan whose value SQLite could not take, if that is the *error*."""
    trace = error.__traceback__
    while trace is not None:
        cursor = trace.tb_frame.f_locals.get("self")
        if isinstance(cursor, Cursor):
            return cursor
        trace = trace.tb_next
    return None
