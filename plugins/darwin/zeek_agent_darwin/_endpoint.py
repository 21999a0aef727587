"""A source of events that is `eslogger`, the system's client of Endpoint Security."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from zeek_agent_core.api import Row, Sourced
from zeek_agent_darwin import _eslogger
from zeek_agent_darwin._eslogger import Event
from zeek_agent_darwin._tool import ToolSource

NEEDS = "macOS 13, root, and Full Disk Access for what starts the agent"
VERIFIED = "events written after public documentation; a program that plays `eslogger`"


class EsLogger(ToolSource):
    """`eslogger`; see eslogger(1). Derive, and say which events and what rows they are."""

    name = "eslogger"
    by_status: ClassVar[tuple[str, ...]] = ()
    """Columns that come from the status of a file."""
    program = "/usr/bin/eslogger"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._reader = _eslogger.Reader()
        self._dropped = self._unreadable = 0

    def kinds(self) -> Sequence[str]:
        """Return the names of the events to ask for."""
        raise NotImplementedError

    def made(self, events: Iterable[Event]) -> list[Row]:
        """Return the rows of *events*."""
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """Return the events that are wanted."""
        return ["--format", "json", *self.kinds()]

    def rows(self, lines: Sequence[bytes]) -> Sequence[Row]:
        """Return the rows of some lines."""
        reader = self._reader
        is_lean = not self.table.wanted.wants(*self.by_status)
        rows = self.made(reader.events(lines, is_lean=is_lean))
        self.table.lose("kernel", reader.dropped - self._dropped)
        self.table.lose("unreadable", reader.unreadable - self._unreadable)
        self._dropped, self._unreadable = reader.dropped, reader.unreadable
        return rows
