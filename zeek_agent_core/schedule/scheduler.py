"""Runs queries when they are due, and hands on what changed.

The scheduler is given functions: one runs SQL, one starts a task, one tells
the time. Statements that are due together and alike are collected once.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from time import monotonic, time

from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import Query, Recipient, Subscription
from zeek_agent_core.schedule.parts import (
    EventSource,
    Execute,
    Installed,
    Outcome,
    Positions,
    Prepare,
    Spawn,
    Turn,
)
from zeek_agent_core.schedule.timetable import next_due

__all__ = ["Installed", "Outcome", "Positions", "Recipient", "Scheduler"]

log = logging.getLogger(__name__)

LEAST_INTERVAL = 0.05
"""Seconds below which no interval counts: an asker must not keep the agent spinning."""
QUIET = 60.0
"""Seconds between two messages to an asker about lost events."""


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
        execute_guarded: Execute | None = None,
    ) -> None:
        """Run statements through *execute*; *tables* are the names available, kept current.

        Those of guarded queries go through *execute_guarded*, if there is one.
        """
        self.installed: dict[str, Installed] = {}
        self._execute = {False: execute, True: execute_guarded or execute}
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
            raise QueryError(f"query id {query.id} is in use; cancel that query first")
        installed = self.installed[query.id] = Installed(query, recipient)
        installed.is_waiting = not self._is_met(query)
        if installed.is_waiting:
            return
        try:
            await self._admit(installed)
        except BaseException:
            if self._is_held(installed):
                del self.installed[query.id]
            raise

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

    async def tables_changed(self) -> None:
        """Check again which queries can run, after tables came or went."""
        for installed in list(self.installed.values()):
            is_met = self._is_met(installed.query)
            if not installed.is_waiting and not is_met:
                self._rest(installed)
            elif installed.is_waiting and is_met and self._is_held(installed):
                installed.is_waiting = False
                try:
                    await self._admit(installed)
                except QueryError as error:
                    self._tell_failure(installed, error)
                    self._drop(installed, is_cancelled=False)

    def _is_met(self, query: Query) -> bool:
        available = set(self._tables)
        return query.requires_tables <= available and not query.if_missing_tables & available

    def _is_held(self, installed: Installed) -> bool:
        return self.installed.get(installed.query.id) is installed

    async def _admit(self, installed: Installed) -> None:
        """Compile a query and arm it."""
        query = installed.query
        installed.spell += 1
        spell = installed.spell
        tables = await self._prepare(query.sql)
        if installed.spell != spell:
            return
        installed.tables = tables
        self._events.acquire(tables, installed)
        is_live = query.subscription is Subscription.EVENTS
        newest, complete = self._events.positions(tables), self._events.complete(tables)
        installed.read = newest if is_live else complete
        installed.lost = self._events.losses(tables)
        installed.due = self._now()
        self._wake.set()

    def _rest(self, installed: Installed) -> None:
        """Let a query wait for tables."""
        self._events.release(installed.tables, installed)
        installed.tables = frozenset()
        installed.spell += 1
        installed.is_running = False
        installed.is_waiting, installed.due, installed.previous = True, None, None

    def _drop(self, installed: Installed, *, is_cancelled: bool) -> None:
        if not self._is_held(installed):
            return
        del self.installed[installed.query.id]
        installed.spell += 1
        self._events.release(installed.tables, installed)
        try:
            installed.recipient.done(installed.query, is_cancelled=is_cancelled)
        except Exception:
            log.exception("cannot tell the end of query %s", installed.query.id)

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
        groups: dict[object, list[Turn]] = {}
        for installed in list(self.installed.values()):
            if installed.due is None or installed.due > now:
                continue
            self._set_next(installed, now)
            if installed.is_running:
                self._note_overrun(installed)
                continue
            installed.is_running = True
            alike = (
                installed.query.sql,
                installed.query.is_guarded,
                tuple(sorted(installed.read.items())),
            )
            groups.setdefault(alike, []).append(Turn(installed, installed.spell))
        for group in groups.values():
            self._spawn(self._collect(group), f"query {group[0].installed.query.id}")
        return min((i.due for i in self.installed.values() if i.due is not None), default=None)

    def _set_next(self, installed: Installed, now: float) -> None:
        query = installed.query
        if not query.repeats or query.interval is None:
            installed.due = None
            return
        interval = max(query.interval.total_seconds(), LEAST_INTERVAL)
        installed.due = next_due(now, interval, self._phase, is_first=not installed.runs)

    @staticmethod
    def _note_overrun(installed: Installed) -> None:
        installed.overruns += 1
        if installed.overruns == 1:
            log.warning(
                "query %s takes longer than its interval; runs are left out", installed.query.id
            )

    async def _collect(self, group: list[Turn]) -> None:
        """Run the one statement of *group* and hand each of its queries what it wants."""
        group = [turn for turn in group if turn.is_valid]
        if not group:
            return
        first = group[0].installed
        newest = self._events.positions(first.tables)
        positions: Positions = {
            name: (first.read.get(name, 0), last) for name, last in newest.items()
        }
        began = time()
        try:
            outcome = await self._execute[first.query.is_guarded](first.query.sql, positions)
        except QueryError as error:
            self._fail(group, error)
        except Exception as error:
            log.exception("query %s failed", first.query.id)
            self._fail(group, QueryError(f"internal error: {type(error).__name__}: {error}"))
        else:
            group = [turn for turn in group if turn.is_valid]
            for turn in group:
                turn.installed.read.update(newest)
                if newest:
                    self._events.want(turn.installed, outcome.wanted)
                    self._tell_losses(turn.installed)
            for name in newest:
                self._mark_read(name)
            await self._hand_on_all(group, outcome, began)

    def _mark_read(self, table: str) -> None:
        readers = [i.read[table] for i in self.installed.values() if table in i.read]
        if readers:
            self._events.mark_read(table, min(readers))

    def _fail(self, group: list[Turn], error: QueryError) -> None:
        for turn in group:
            if not turn.is_valid:
                continue
            installed = turn.installed
            installed.is_running = False
            installed.runs += 1
            self._tell_failure(installed, error)
            if not installed.query.repeats:
                self._drop(installed, is_cancelled=False)

    @staticmethod
    def _tell_failure(installed: Installed, error: QueryError) -> None:
        """Tell the asker and the log of an error that is new."""
        installed.errors += 1
        if installed.last_error == str(error):
            return
        installed.last_error = str(error)
        log.warning("query %s failed: %s", installed.query.id, error)
        try:
            installed.recipient.failed(installed.query, error)
        except Exception:
            log.exception("cannot tell the failure of query %s", installed.query.id)

    def _tell_losses(self, installed: Installed) -> None:
        """Tell the asker what its evented tables lost since it was told, now and then."""
        lost = self._events.losses(installed.tables)
        if lost == installed.lost or self._now() < installed.quiet_until:
            return
        told, installed.lost = installed.lost, lost
        installed.quiet_until = self._now() + QUIET
        for table in [table for table in lost if lost[table] != told.get(table)]:
            text = f"table {table} lost events since the agent started: {lost[table]}"
            try:
                installed.recipient.lost(installed.query, text)
            except Exception:
                log.exception("cannot tell the losses of query %s", installed.query.id)

    async def _hand_on_all(self, group: list[Turn], outcome: Outcome, began: float) -> None:
        """Deliver to each of *group*; none waits for another that is slow to take its rows."""
        for turn in group[1:]:
            work = self._hand_on(turn, outcome, began)
            self._spawn(work, f"query {turn.installed.query.id}")
        for turn in group[:1]:
            await self._hand_on(turn, outcome, began)

    async def _hand_on(self, turn: Turn, outcome: Outcome, began: float) -> None:
        """Deliver one run to its recipient."""
        if not turn.is_valid:
            return
        installed, query = turn.installed, turn.installed.query
        try:
            result = installed.take(outcome, began)
            if installed.last_error is not None:
                log.info("query %s works again", query.id)
                installed.last_error = None
            waiting = installed.recipient.result(query, result)
            if waiting is not None:
                await waiting
        except Exception:
            log.exception("cannot deliver a result of query %s", query.id)
        if turn.is_valid:
            installed.is_running = False
        if not query.repeats:
            self._drop(installed, is_cancelled=False)
