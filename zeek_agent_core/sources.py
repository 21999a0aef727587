"""Evented tables that can get their events in several ways, of which one is at work."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, ClassVar

from zeek_agent_core.errors import TableError
from zeek_agent_core.table import Evented
from zeek_agent_core.values import Row

log = logging.getLogger(__name__)


class Source:
    """One way to get the events of a table; derive, and list it in the table's `sources`."""

    name: ClassVar[str]
    """What users see in `zeek_agent_tables` and write in the table's settings."""

    def __init__(self, table: "Sourced") -> None:
        """Serve *table*: its host, its settings, what is wanted of it; no I/O here."""
        self.table = table

    def check(self) -> None:
        """Raise `OSError` or `TableError` that says why the source cannot work here.

        Runs in a thread, may take some 100 ms, and leaves nothing behind.
        """

    def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield batches of events without end; ending, or raising, means that it failed.

        It lets go of everything when it is closed or cancelled, within a second.
        """
        raise NotImplementedError


class Sourced(Evented):
    """An evented table with several sources; the first that works serves it.

    While a source fails the next one serves, and it is tried again, ever more
    slowly. The key `source` of the table's settings allows just one of them.
    """

    sources: ClassVar[tuple[type[Source], ...]]
    """In order of preference."""
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({"source": ""})

    active: str | None = None
    """Name of the source at work."""

    @property
    def source(self) -> str | None:
        """What serves the rows right now."""
        return self.active

    async def events(self) -> AsyncIterator[Row | Sequence[Row]]:
        """Yield what the first source that works gives."""
        reasons = []
        for kind in self.sources:
            if self.setting("source") not in ("", kind.name):
                continue
            source = kind(self)
            try:
                source.check()
            except (OSError, TableError) as error:
                reasons.append(f"{kind.name}: {error}")
                continue
            self.active = kind.name
            try:
                async with aclosing(source.events()) as events:  # type: ignore[type-var]
                    async for batch in events:
                        yield batch
            finally:
                self.active = None
        raise TableError(self.name, "; ".join(reasons))
