"""``system_logs_events``: channels of the Event Log."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import (
    Host,
    Marked,
    Origin,
    Row,
    Sourced,
    TableError,
    hookimpl,
    write_private,
)
from zeek_agent_core.schema import system_logs_events as schema
from zeek_agent_windows._blocking import BlockingSource, Reader
from zeek_agent_windows._eventlog import Rendered, log_row, parse_event
from zeek_agent_windows._subscription import MOST_CHANNELS, subscribe

CHANNELS = ("System", "Security", "Application")
DELAY = 1.0
"""Seconds between two writes of the places."""


class Places:
    """The last record of each channel that every query has read, kept over restarts."""

    def __init__(self, state: Path | None) -> None:
        """Keep them in the directory *state*, or only in memory."""
        self._path = state / "event_log.json" if state is not None else None
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


class EventLogSource(BlockingSource):
    """`EvtSubscribe`."""

    name = "eventlog"
    table: "SystemLogsEvents"

    def channels(self) -> dict[str, int | None]:
        """Return the channels of the settings, with the record after which to begin."""
        names = self.table.setting("channels")
        if not 0 < len(names) <= MOST_CHANNELS:
            reason = f"channels names {len(names)} channels; 1 to {MOST_CHANNELS} are possible"
            raise TableError(self.table.name, reason)
        return {name: self.table.places.read.get(name) for name in names}

    def check(self) -> None:
        """Raise an error if the settings are wrong; read where an earlier run has ended."""
        self.channels()
        self.table.places.load()

    def reader(self) -> Reader:
        """Return a subscription."""
        return self.table.subscribe(self.channels(), self.table.setting("query"))

    def rows(self, items: Sequence[Rendered]) -> Sequence[Row]:
        """Return the rows of some events, with up to where they reach."""
        wanted = self.table.setting("fields") if self.table.wanted.wants("fields") else ()
        rows: list[Row] = []
        places: dict[str, int] = {}
        for rendered in items:
            try:
                event = parse_event(rendered.xml)
            except ValueError:
                self.table.lose("unreadable")
                continue
            rows.append(log_row(rendered, event, wanted))
            if event.record is not None:
                places[event.channel] = event.record
        return Marked(rows, places) if rows else rows

    def was_read(self, mark: Any) -> None:
        """Move the places, without holding up others."""
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self.table.places.was_read, mark)


class SystemLogsEvents(schema.SystemLogsEvents):
    """Messages that arrive in the log of the operating system.

    On Windows these are channels of the Event Log. Settings of
    `[tables.system_logs_events]`: `channels` names them, `query` is an XPath
    that filters in the log itself, for example `*[System[Level<=3]]`; `fields`
    are parameters of events for the column `fields`, `EventID` by default, or
    `["*"]` for all. What was logged while the agent did not run comes when it is
    back. `eventid` has channel and record, `level` is `critical`, `error`,
    `warning`, `info`, `verbose`, `audit_success` or `audit_failure`.
    """

    sources = (EventLogSource,)
    settings = MappingProxyType(
        {**Sourced.settings, "channels": CHANNELS, "query": "*", "fields": ("EventID",)}
    )
    origin = Origin(
        source="`EvtSubscribe` and `EvtRender`, through pywin32",
        needs="Administrators, or the group Event Log Readers, for the channel `Security`",
        verified="events written after the published schema; a scripted log",
        null=("uid", "unit"),
    )

    def __init__(
        self, host: Host, subscribing: Callable[[Mapping[str, int | None], str], Reader] = subscribe
    ) -> None:
        """Subscribe with *subscribing*."""
        super().__init__(host)
        self.subscribe = subscribing
        self.places = Places(host.agent.state)


@hookimpl
def zeek_agent_tables(host: Host) -> list[SystemLogsEvents]:
    """Offer the table on the host itself."""
    return [SystemLogsEvents(host)] if host.platform == "windows" else []
