"""Runs queries when they are due, and hands on what changed.

The scheduler is given functions: one runs SQL, one starts a task, one tells
the time. Statements that are due together and alike are collected once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic, time
from typing import Any, Protocol

from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import Query, Result, ResultColumn, ResultRow, Subscription
from zeek_agent_core.schedule.diff import differences
from zeek_agent_core.schedule.timetable import next_due

log = logging.getLogger(__name__)

Positions = dict[str, tuple[int, int | None]]


class Outcome(Protocol):
    """What running a statement returns."""

    @property
    def columns(self) -> tuple[ResultColumn, ...]:
        """Names and types."""

    @property
    def rows(self) -> list[ResultRow]:
        """All rows."""

    @property
    def seconds(self) -> float:
        """Processor time it took."""


class Recipient(Protocol):
    """Who gets what a query yields."""

    def result(self, query: Query, result: Result) -> Awaitable[None] | None:
        """Take the outcome of one run, also when it has no rows."""

    def failed(self, query: Query, error: QueryError) -> None:
        """Learn that a run failed; told once per change of state."""

    def done(self, query: Query, *, is_cancelled: bool) -> None:
        """Learn that the query is over."""


class EventSource(Protocol):
    """What the scheduler needs of the evented tables."""

    def acquire(self, names: Iterable[str]) -> None:
        """Start the evented ones among *names*."""

    def release(self, names: Iterable[str]) -> None:
        """Stop those that no query needs any more."""

    def positions(self, names: Iterable[str]) -> dict[str, int]:
        """Return the newest event of each evented table among *names*."""

    def mark_read(self, table: str, position: int) -> None:
        """Note that every query has read *table* so far."""


@dataclass(eq=False, slots=True)
class Installed:
    """A query that the scheduler holds, and how it fares."""

    query: Query
    recipient: Recipient
    tables: frozenset[str] = frozenset()
    due: float | None = None
    """When it runs next; None while it waits for tables, or runs for the last time."""
    is_waiting: bool = False
    """Whether the tables it requires are missing."""
    is_running: bool = False
    runs: int = 0
    rows: int = 0
    errors: int = 0
    overruns: int = 0
    cpu: timedelta = timedelta()
    last_error: str | None = None
    previous: list[ResultRow] | None = None
    read: dict[str, int] = field(default_factory=dict)
    """Up to which event of each evented table it has read."""


Execute = Callable[[str, Positions], Awaitable[Outcome]]
Prepare = Callable[[str], Awaitable[frozenset[str]]]
Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Scheduler:
    """Holds queries by their id and runs them; `run` is its task."""

    def __init__(
        self,
        *,
        execute: Execute,
        prepare: Prepare,
        events: EventSource,
        spawn: Spawn,
        tables: Collection[str],
        phase: float = 0.0,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Run statements through *execute*; *tables* are the names available, kept current."""
        self.installed: dict[str, Installed] = {}
        self._execute = execute
        self._prepare = prepare
        self._events = events
        self._spawn = spawn
        self._tables = tables
        self._phase = phase
        self._now = now
        self._wake = asyncio.Event()

    async def install(self, query: Query, recipient: Recipient) -> None:
        """Take on *query* and run it at once; raise `QueryError` if it does not compile.

        Where its preconditions do not hold it waits, unchecked, until tables
        come or go. An id that is taken replaces nothing and is refused.
        """
        if query.id in self.installed:
            raise QueryError(f"query id {query.id} is in use")
        installed = self.installed[query.id] = Installed(query, recipient)
        try:
            await self._admit(installed)
        except BaseException:
            self.installed.pop(query.id, None)
            raise

    async def _admit(self, installed: Installed) -> None:
        """Compile and arm a query if its preconditions hold."""
        query, available = installed.query, set(self._tables)
        missing = query.requires_tables - available
        installed.is_waiting = bool(missing or query.if_missing_tables & available)
        if installed.is_waiting:
            return
        tables = await self._prepare(query.sql)
        if self.installed.get(query.id) is not installed:
            return
        installed.tables = tables
        self._events.acquire(tables)
        newest = self._events.positions(tables)
        is_live = query.subscription is Subscription.EVENTS
        installed.read = newest if is_live else dict.fromkeys(newest, 0)
        installed.due = self._now()
        self._wake.set()

    async def tables_changed(self) -> None:
        """Check again which queries can run, after tables came or went."""
        for installed in list(self.installed.values()):
            query, available = installed.query, set(self._tables)
            is_met = query.requires_tables <= available and not (
                query.if_missing_tables & available
            )
            if installed.is_waiting and is_met:
                try:
                    await self._admit(installed)
                except QueryError as error:
                    self._tell_failure(installed, error)
                    self._drop(installed, is_cancelled=False)
            elif not installed.is_waiting and not is_met:
                self._rest(installed)

    def _rest(self, installed: Installed) -> None:
        self._events.release(installed.tables)
        installed.tables = frozenset()
        installed.is_waiting, installed.due, installed.previous = True, None, None

    def cancel(self, query_id: str) -> bool:
        """Forget a query: no result of it is handed on any more; return whether it was known."""
        installed = self.installed.get(query_id)
        if installed is None:
            return False
        self._drop(installed, is_cancelled=True)
        return True

    def close(self) -> None:
        """Forget all queries."""
        for query_id in list(self.installed):
            self.cancel(query_id)

    def _drop(self, installed: Installed, *, is_cancelled: bool) -> None:
        if self.installed.get(installed.query.id) is not installed:
            return
        del self.installed[installed.query.id]
        self._events.release(installed.tables)
        installed.recipient.done(installed.query, is_cancelled=is_cancelled)

    async def run(self) -> None:
        """Run queries as they fall due, until cancelled."""
        while True:
            self._wake.clear()
            due = self.tick()
            timeout = None if due is None else max(due - self._now(), 0)
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def tick(self) -> float | None:
        """Start all that is due now; return when to be called again, if ever."""
        now = self._now()
        groups: dict[tuple[str, tuple[Any, ...]], list[Installed]] = {}
        for installed in list(self.installed.values()):
            if installed.due is None or installed.due > now:
                continue
            self._set_next(installed, now)
            if installed.is_running:
                self._note_overrun(installed)
                continue
            installed.is_running = True
            key = (installed.query.sql, tuple(sorted(installed.read.items())))
            groups.setdefault(key, []).append(installed)
        for group in groups.values():
            self._spawn(self._collect(group), f"query {group[0].query.id}")
        return min((i.due for i in self.installed.values() if i.due is not None), default=None)

    def _set_next(self, installed: Installed, now: float) -> None:
        query = installed.query
        if not query.repeats or query.interval is None:
            installed.due = None
            return
        interval = query.interval.total_seconds()
        installed.due = next_due(now, interval, self._phase, is_first=not installed.runs)

    @staticmethod
    def _note_overrun(installed: Installed) -> None:
        installed.overruns += 1
        if installed.overruns == 1:
            log.warning(
                "query %s takes longer than its interval; runs are left out", installed.query.id
            )

    async def _collect(self, group: list[Installed]) -> None:
        """Run the one statement of *group* and hand each of its queries what it wants."""
        first = group[0]
        newest = self._events.positions(first.tables)
        positions: Positions = {
            name: (first.read.get(name, 0), last) for name, last in newest.items()
        }
        began = time()
        try:
            outcome = await self._execute(first.query.sql, positions)
        except QueryError as error:
            for installed in group:
                installed.is_running = False
                installed.runs += 1
                self._fail(installed, error)
            return
        except BaseException:
            for installed in group:
                installed.is_running = False
            raise
        for installed in group:
            installed.read.update(newest)
            await self._hand_on(installed, outcome, began)
        for name in newest:
            self._mark_read(name)

    def _mark_read(self, table: str) -> None:
        readers = [i.read[table] for i in self.installed.values() if table in i.read]
        if readers:
            self._events.mark_read(table, min(readers))

    def _fail(self, installed: Installed, error: QueryError) -> None:
        if self.installed.get(installed.query.id) is not installed:
            return
        self._tell_failure(installed, error)
        if not installed.query.repeats:
            self._drop(installed, is_cancelled=False)

    @staticmethod
    def _tell_failure(installed: Installed, error: QueryError) -> None:
        """Tell the asker and the log of an error that is new."""
        installed.errors += 1
        if installed.last_error != str(error):
            installed.last_error = str(error)
            log.warning("query %s failed: %s", installed.query.id, error)
            installed.recipient.failed(installed.query, error)

    async def _hand_on(self, installed: Installed, outcome: Outcome, began: float) -> None:
        """Deliver one run to its recipient."""
        query = installed.query
        if self.installed.get(query.id) is not installed:
            return
        try:
            result = _result(installed, outcome, began, is_evented=bool(installed.read))
            installed.runs += 1
            installed.rows += len(result)
            installed.cpu += timedelta(seconds=outcome.seconds)
            if installed.last_error is not None:
                log.info("query %s works again", query.id)
                installed.last_error = None
            waiting = installed.recipient.result(query, result)
            if waiting is not None:
                await waiting
        except Exception:
            log.exception("cannot deliver a result of query %s", query.id)
        finally:
            installed.is_running = False
        if not query.repeats:
            self._drop(installed, is_cancelled=False)


def _result(installed: Installed, outcome: Outcome, began: float, *, is_evented: bool) -> Result:
    """Return what the subscription makes of the rows of this run and the one before."""
    subscription, previous = installed.query.subscription, installed.previous
    common: dict[str, Any] = {
        "columns": outcome.columns,
        "total": len(outcome.rows),
        "is_first": installed.runs == 0,
        "collected": began,
        "duration": timedelta(seconds=outcome.seconds),
    }
    if subscription in (None, Subscription.SNAPSHOTS):
        return Result(rows=outcome.rows, **common)
    if subscription is Subscription.EVENTS and is_evented:
        return Result(added=outcome.rows, **common)
    installed.previous = outcome.rows
    if previous is None:
        is_shown = subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES
        return Result(rows=outcome.rows if is_shown else (), **common)
    deleted, added = differences(previous, outcome.rows)
    if subscription is Subscription.EVENTS:
        deleted = []
    return Result(deleted=deleted, added=added, **common)
