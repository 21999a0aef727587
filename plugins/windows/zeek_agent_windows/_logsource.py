"""A source of events that is the Event Log, with the places up to which it was read."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from zeek_agent_core.api import Host, Marked, Row, Sourced, write_private
from zeek_agent_windows._blocking import BlockingSource, Reader
from zeek_agent_windows._eventlog import Event, Rendered, parse_event
from zeek_agent_windows._subscription import subscribe

DELAY = 1.0
"""Seconds between two writes of the places."""

Subscribe = Callable[[Mapping[str, int | None], str], Reader]


class Places:
    """The last record of each channel that every query has read, kept over restarts."""

    def __init__(self, state: Path | None, name: str) -> None:
        """Keep them in the file *name* of the directory *state*, or only in memory."""
        self._path = state / f"{name}.json" if state is not None else None
        self._due = 0.0
        self.read: dict[str, int] = {}

    def load(self) -> None:
        """Read what an earlier run has kept; what makes no sense counts as nothing."""
        if self._path is None or self.read:
            return
        with suppress(OSError, ValueError, AttributeError):
            kept = json.loads(self._path.read_bytes())
            self.read = {
                channel: record
                for channel, record in kept.items()
                if isinstance(record, int) and 0 < record < 1 << 63
            }

    def was_read(self, places: Mapping[str, int]) -> None:
        """Note that all queries have read up to *places*; write them, not too often."""
        self.read.update(places)
        if monotonic() >= self._due:
            self._due = monotonic() + DELAY
            self.write()

    def write(self) -> None:
        """Write the places down."""
        if self._path is not None and self.read:
            with suppress(OSError):
                write_private(self._path, json.dumps(self.read) + "\n")


class LogTable(Sourced):
    """A table of the Event Log; put it before the declaration."""

    def __init__(self, host: Host, subscribing: Subscribe = subscribe) -> None:
        """Subscribe with *subscribing*."""
        super().__init__(host)
        self.subscribe = subscribing
        self.places = Places(host.agent.state, self.name)


class LogSource(BlockingSource):
    """`EvtSubscribe`; derive, and say what is read and what rows it makes."""

    name = "eventlog"
    table: LogTable

    def channels(self) -> Sequence[str]:
        """Return the names of the channels."""
        raise NotImplementedError

    def query(self) -> str:
        """Return an XPath of what is wanted."""
        raise NotImplementedError

    def row(self, rendered: Rendered, event: Event) -> Row | None:
        """Return the row of an event, if it has one."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise an error if the settings are wrong; read where an earlier run has ended."""
        self.channels()
        self.table.places.load()

    def reader(self) -> Reader:
        """Return a subscription that begins where the last one ended."""
        read = self.table.places.read
        return self.table.subscribe(
            {name: read.get(name) for name in self.channels()}, self.query()
        )

    def rows(self, items: Sequence[Rendered]) -> Sequence[Row]:
        """Return the rows of some events, with up to where they reach."""
        rows: list[Row] = []
        places: dict[str, int] = {}
        for rendered in items:
            try:
                event = parse_event(rendered.xml)
            except ValueError:
                self.table.lose("unreadable")
                continue
            row = self.row(rendered, event)
            if row is not None:
                rows.append(row)
            if event.record is not None:
                places[event.channel] = event.record
        return Marked(rows, places) if rows else rows

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield rows; in the end the places are written down."""
        try:
            async with aclosing(super().events()) as batches:  # type: ignore[type-var]
                async for rows in batches:
                    yield rows
        finally:
            await asyncio.to_thread(self.table.places.write)

    def was_read(self, mark: Any) -> None:
        """Move the places, without holding up others."""
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self.table.places.was_read, mark)
