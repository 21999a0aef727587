"""A source of ``sockets_events`` that looks at all sockets again and again."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from time import monotonic, time_ns
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from zeek_agent_core.api import Row, Source, Sourced
from zeek_agent_core.portable.socket_changes import Change, Seen, SocketChanges

SHARE = 20
"""A look may take this part of the time between two looks."""
SETTINGS = MappingProxyType({**Sourced.settings, "interval": 1.0})
"""Settings of a table with this source."""


class Look(NamedTuple):
    """All sockets at one moment, by keys that a socket keeps for its life."""

    sockets: Mapping[Hashable, Seen]
    opened: Mapping[Hashable, int]
    """When each was opened, in µs since the epoch, where the system knows."""


class PollingSource(Source):
    """Differences between the sockets now and those of a moment ago; derive."""

    name: ClassVar[str] = "polling"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._changes = SocketChanges()

    def look(self) -> Look:
        """Return what is there now; runs in a thread."""
        raise NotImplementedError

    def owner(self, pid: int | None) -> Mapping[str, Any]:
        """Return `process`, `uid` and `gid` of a process, as far as they are known."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `OSError` or `TableError` if a look fails."""
        self.look()

    def existing(self) -> Iterable[Row]:
        """Return a row of state `open` for each socket that is there."""
        look = self.look()
        now = time_ns() // 1000
        for key, seen in look.sockets.items():
            if seen.phase in {"open", "listen", "closing"}:
                yield self._row(Change("open", seen, None, look.opened.get(key, now)), now)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what has changed since the last look."""
        await asyncio.to_thread(self.news)
        yield []
        interval = pause = float(self.table.setting("interval"))
        while True:
            await asyncio.sleep(pause)
            began = monotonic()
            yield await asyncio.to_thread(self.news)
            pause = max(interval, SHARE * (monotonic() - began))

    def news(self) -> list[Row]:
        """Return a row for each thing that has happened since the last call."""
        look, now = self.look(), time_ns() // 1000
        return [self._row(c, now) for c in self._changes.update(now, look.sockets, look.opened)]

    def _row(self, change: Change, now: int) -> Row:
        row = {
            "time": now,
            **change.socket._asdict(),
            **self.owner(change.socket.pid),
            "state": change.state,
            "direction": change.direction,
            "incomplete": change.socket.pid is None,
        }
        if change.state == "closed":
            row["duration"] = max(now - change.since, 0) * 1000
        return row
