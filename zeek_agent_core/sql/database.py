"""The agent's database: runs statements in a thread of its own, within bounds.

Statements take turns: each fetch is one short job of the thread. A statement
that goes past its time is stopped; if it does not react, because a table hangs
in a system call, its thread is left behind and a fresh one takes over.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from time import perf_counter, time
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from zeek_agent_core.errors import LimitError, QueryError, StoppedError, WaitingError
from zeek_agent_core.limits import Limits
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.sql import direct
from zeek_agent_core.sql.run import Guard, Positions, Run
from zeek_agent_core.sql.session import Batch, EventRows, Session, WhyMissing
from zeek_agent_core.sql.statement import Statement
from zeek_agent_core.sql.vtable import Cursor as TableCursor
from zeek_agent_core.sql.worker import Worker
from zeek_agent_core.table import Table, Where
from zeek_agent_core.values import Row

log = logging.getLogger(__name__)

T = TypeVar("T")

WAIT_SECONDS = 0.25
"""How long a table waits before it is looked whether its rows are still wanted."""
GRACE_SECONDS = 2.0
"""How long a stopped statement may take to react before its thread is given up."""


@dataclass(slots=True)
class TableStats:
    """What a table did so far."""

    runs: int = 0
    rows: int | None = None
    """Rows of the last run."""
    duration: timedelta | None = None
    """Time the last run took."""
    error: str | None = None
    """Why the last run failed; None after one that did not."""
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """A complete result."""

    columns: tuple[ResultColumn, ...]
    rows: list[ResultRow]
    tables: frozenset[str] = frozenset()
    seconds: float = 0.0
    """Time the statement used in the database's thread."""
    wanted: Mapping[str, Where] = field(default_factory=dict)
    """What every run of the statement wants of an evented table, where that is sure."""


def no_events(_table: str, _after: int, _upto: int | None) -> Iterator[Row]:
    """Return no events: for a database without evented tables."""
    return iter(())


def not_known(_table: str) -> str | None:
    """Know nothing about a table that is not there."""
    return None


class Database:
    """SQL over the agent's tables; use as ``async with Database(tables) as db``."""

    def __init__(
        self,
        tables: Iterable[Table],
        *,
        limits: Limits | None = None,
        events: EventRows = no_events,
        why_missing: WhyMissing = not_known,
    ) -> None:
        """Offer *tables*; *events* gives the rows of evented ones.

        *why_missing* may explain why there is no table of a name.
        """
        self.tables: dict[str, Table] = {table.name: table for table in tables}
        self.limits = limits or Limits()
        self.stats: dict[str, TableStats] = {name: TableStats() for name in self.tables}
        self._events = events
        self._why_missing = why_missing
        self._busy: set[str] = set()
        self._runs: dict[Run, Worker] = {}
        self._is_closed = False
        self._worker: Worker
        self._session: Session

    async def __aenter__(self) -> Self:
        """Open the database."""
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all statements and close the database; a second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        closing = StoppedError("the database is closing")
        for run in list(self._runs):
            self._stop(run, closing)
        self._worker.post(self._session.close)
        self._worker.close()
        if not await asyncio.to_thread(self._worker.join, GRACE_SECONDS):
            log.error("a table does not react; its thread is given up")
            self._worker.abandon(closing, closing)

    async def _open(self) -> None:
        self._worker = Worker("database")
        self._session = self._new_session()
        await self._worker.call(self._session.open)

    def _new_session(self) -> Session:
        return Session(self.tables, self.limits, self._events, self._busy, self._why_missing)

    async def change(self, added: Iterable[Table] = (), removed: Iterable[str] = ()) -> None:
        """Offer the tables *added*, and those *removed* no longer; statements that run go on.

        A table that is added takes the place of the one of its name.
        """
        more = {table.name: table for table in added}
        for name in removed:
            self.tables.pop(name, None)
        for name in more:
            self.stats.setdefault(name, TableStats())
        self.tables.update(more)
        await self._worker.call(self._session.offer)

    async def prepare(self, sql: str) -> Statement:
        """Compile *sql* without running it; raise `QueryError` if it cannot be run."""
        run = Run(sql, self.limits, {})
        return await self._call(run, self._session.prepare)

    def query(
        self,
        sql: str,
        *,
        positions: Positions | None = None,
        limits: Limits | None = None,
        guard: Guard | None = None,
    ) -> "Running":
        """Return *sql* as an asynchronous context manager whose rows come in batches.

        *positions* say, for evented tables, which events to read; *guard* sees every scan.
        """
        return Running(self, Run(sql, limits or self.limits, positions or {}, guard))

    async def execute(
        self,
        sql: str,
        *,
        positions: Positions | None = None,
        limits: Limits | None = None,
        guard: Guard | None = None,
    ) -> Rows:
        """Return the complete result of *sql*; raise `QueryError` if it fails."""
        rows: list[ResultRow] = []
        async with self.query(sql, positions=positions, limits=limits, guard=guard) as running:
            async for batch in running:
                rows += batch
            return Rows(running.columns, rows, running.tables, running.cpu_seconds, running.wanted)

    async def _call(self, run: Run, job: Callable[[Run], T]) -> T:
        """Run *job* in the thread; keep the time of *run*."""
        if self._is_closed:
            raise StoppedError("the database is closed")
        worker = self._worker
        self._runs[run] = worker
        loop = asyncio.get_running_loop()
        watch = loop.call_later(run.limits.seconds - run.elapsed(), self._watch, run)
        try:
            return await worker.call(partial(self._timed, run, job))
        except asyncio.CancelledError:
            self._stop(run, StoppedError("the query was cancelled"))
            raise
        finally:
            watch.cancel()
            if self._runs.get(run) is worker:
                del self._runs[run]

    @staticmethod
    def _timed(run: Run, job: Callable[[Run], T]) -> T:
        """Run in the thread: note when the job began, and what it took."""
        run.began = perf_counter()
        try:
            if run.stop is not None:
                raise run.stop
            return job(run)
        finally:
            run.spent += perf_counter() - run.began
            run.began = None

    def _watch(self, run: Run) -> None:
        """Stop *run* once its jobs have used up its time; waiting for a turn is free."""
        if run not in self._runs:
            return
        left = run.limits.seconds - run.elapsed()
        if left > 0:
            asyncio.get_running_loop().call_later(max(left, 0.05), self._watch, run)
            return
        reason = f"the query ran longer than {run.limits.seconds:g} s ([limits] time)"
        self._stop(run, LimitError(reason))

    def _stop(self, run: Run, reason: QueryError) -> None:
        run.stop = run.stop or reason
        worker = self._runs.get(run)
        if worker is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(GRACE_SECONDS, self._check_reaction, run, worker)

    def _check_reaction(self, run: Run, worker: Worker) -> None:
        """Give the thread up if *run* still has it."""
        if self._is_closed or run.began is None or worker is not self._worker:
            return
        table = _scanning(worker)
        log.error("table %s does not react; its thread is given up", table or "(none)")
        session = self._session
        if table is not None:
            self._busy.add(table)
            self.note(table, None, None, "it did not react when its query was stopped")
        worker.post(session.close)
        worker.post(lambda: self._busy.discard(table or ""))
        worker.close()
        self._worker = Worker("database")
        self._session = self._new_session()
        self._worker.post(self._session.open)
        others = StoppedError(f"the database was restarted: table {table} did not react; ask again")
        worker.abandon(run.stop or others, others)

    def note(self, table: str, rows: int | None, seconds: float | None, error: str | None) -> None:
        """Keep the outcome of a run of *table*; log an error when it is new."""
        stats = self.stats.setdefault(table, TableStats())
        stats.runs += 1
        stats.rows = rows
        stats.duration = None if seconds is None else timedelta(seconds=seconds)
        if error is not None:
            stats.errors += 1
            if stats.error != error:
                log.warning("table %s: %s", table, error)
        elif stats.error is not None:
            log.info("table %s works again", table)
        stats.error = error

    def finished(self, run: Run) -> None:
        """Take over what the tables did for *run*."""
        for name, scan in run.scans.items():
            self.note(name, scan.rows, scan.seconds, scan.error)
        run.scans.clear()


class Running:
    """A statement under way: columns at once, then batches of rows."""

    def __init__(self, database: Database, run: Run) -> None:
        """Prepare; nothing happens before ``async with``."""
        self._database = database
        self._run = run
        self._session = database._session  # noqa: SLF001 - two halves of one thing
        self._is_done = False
        self.columns: tuple[ResultColumn, ...] = ()
        self.tables: frozenset[str] = frozenset()
        self.started = time()

    async def __aenter__(self) -> Self:
        """Compile and start the statement."""
        try:
            statement = await self._begun()
        except BaseException:
            self._close()
            raise
        self.columns, self.tables = statement.columns, statement.tables
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the statement, whether or not all its rows were read."""
        self._close()

    def __aiter__(self) -> AsyncIterator[list[ResultRow]]:
        """Return the batches."""
        return self._batches()

    async def _batches(self) -> AsyncIterator[list[ResultRow]]:
        while not self._is_done:
            try:
                batch: Batch = await self._call(Session.fetch)
            except WaitingError as waiting:
                await self._wait(waiting)
                continue
            self._run.has_rows = self._run.has_rows or bool(batch.rows)
            self._is_done = batch.is_last
            if batch.rows:
                yield batch.rows

    async def _begun(self, begin: Callable[[Session, Run], Statement] = Session.start) -> Statement:
        """Start the statement, and again as long as a table has to wait for somebody."""
        try:
            return cast("Statement", await self._call(begin))
        except WaitingError as waiting:
            return await self._wait(waiting)

    async def _wait(self, waiting: WaitingError) -> Statement:
        """Wait outside of the database's thread; others have their turn meanwhile."""
        self._run.restarts += 1
        while not await asyncio.to_thread(waiting.wait, WAIT_SECONDS):
            if self._run.stop is not None:
                raise self._run.stop
        return await self._begun(Session.start_again)

    async def _call(self, job: Callable[[Session, Run], Any]) -> Any:
        database = self._database
        if self._session is not database._session:  # noqa: SLF001
            raise self._run.stop or StoppedError("the database was restarted; ask again")
        return await database._call(self._run, partial(job, self._session))  # noqa: SLF001

    def cancel(self) -> None:
        """Stop the statement from elsewhere; who iterates gets a `StoppedError`."""
        self._database._stop(self._run, StoppedError("the query was cancelled"))  # noqa: SLF001

    @property
    def cpu_seconds(self) -> float:
        """Time the statement has used in the database's thread."""
        return self._run.elapsed()

    @property
    def wanted(self) -> dict[str, Where]:
        """What every run wants of an evented table, once all rows are here and it is sure."""
        run = self._run
        if not run.is_single:
            return {}
        return {name: wheres[0] for name, wheres in run.wanted.items() if len(wheres) == 1}

    def _close(self) -> None:
        database, run, session = self._database, self._run, self._session
        loop = asyncio.get_running_loop()

        def finish() -> None:
            session.finish(run)
            try:
                loop.call_soon_threadsafe(database.finished, run)
            except RuntimeError:  # the loop has closed meanwhile
                database.finished(run)

        if session is database._session:  # noqa: SLF001
            database._worker.post(finish)  # noqa: SLF001


def _scanning(worker: Worker) -> str | None:
    """Return the table whose rows the thread of *worker* is making right now."""
    frame = worker.frame()
    while frame is not None:
        if frame.f_code is direct.scan.__code__:
            return direct.run_table(frame.f_locals["run"])
        cursor = frame.f_locals.get("self")
        if isinstance(cursor, TableCursor):
            return cursor.table.name
        frame = frame.f_back
    return None
