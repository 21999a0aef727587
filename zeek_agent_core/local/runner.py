"""Runs a query pack on an agent and hands its results to a sink."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from zeek_agent_core.errors import OutputError, QueryError
from zeek_agent_core.local.pack import LocalQuery
from zeek_agent_core.local.sink import Sink, in_parts
from zeek_agent_core.query import Query, Recipient, Result

log = logging.getLogger(__name__)

ROTATION_SECONDS = 10.0


class Queries(Protocol):
    """What the runner needs of the scheduler."""

    async def install(self, query: Query, recipient: Recipient) -> None:
        """Take on a query."""

    def cancel(self, query_id: str) -> bool:
        """Forget a query."""


class Runner:
    """Takes the results of a pack of queries; is their recipient."""

    def __init__(self, scheduler: Queries, sink: Sink, end: Callable[[], None]) -> None:
        """Write what queries on *scheduler* yield to *sink*; *end* when nobody reads it."""
        self._scheduler = scheduler
        self._sink = sink
        self._end = end
        self._pack: dict[str, LocalQuery] = {}

    async def update(self, pack: Iterable[LocalQuery]) -> None:
        """Run the queries of *pack* and no others; those that stay are not disturbed."""
        wanted = {entry.query.id: entry for entry in pack}
        for query_id, entry in list(self._pack.items()):
            if wanted.get(query_id) != entry:
                self._scheduler.cancel(query_id)
                self._pack.pop(query_id, None)
        for query_id, entry in wanted.items():
            if query_id in self._pack:
                continue
            self._pack[query_id] = entry
            try:
                await self._scheduler.install(entry.query, self)
            except QueryError as error:
                del self._pack[query_id]
                log.error("query %s cannot run: %s", query_id, error)  # noqa: TRY400 - no trace

    async def result(self, query: Query, result: Result) -> None:
        """Write one result, in parts between which the loop runs."""
        entry = self._pack.get(query.id)
        if entry is None:
            return
        if result.is_first:
            log.info("query %s: %d rows now", query.id, result.total)
        try:
            for part in in_parts(result):
                self._sink.write(entry, part)
                await asyncio.sleep(0)
        except OutputError as error:
            log.warning("%s; ending", error)
            self._end()

    def failed(self, query: Query, error: QueryError) -> None:
        """Nothing to add: the scheduler has logged it."""

    def lost(self, query: Query, text: str) -> None:
        """Nothing to add: it has been logged where it happened."""

    def done(self, query: Query, *, is_cancelled: bool) -> None:
        """Forget a query that has run for the last time."""
        if not is_cancelled:
            self._pack.pop(query.id, None)

    async def keep_rotating(self) -> None:
        """Put away, now and then, files whose time is over."""
        while True:
            await asyncio.sleep(ROTATION_SECONDS)
            self._sink.rotate()
