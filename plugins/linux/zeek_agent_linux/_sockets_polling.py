"""``sockets_events`` from listing the sockets again and again.

What lives from one look to the next is told, with its owner. In the agent's own
network namespace the kernel announces the ends in between, and so connections
that were too short to be seen; whose these were is known if somebody listened.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack
from time import monotonic, time_ns

from zeek_agent_core.api import Row, Source, Sourced, TableError
from zeek_agent_linux import _procfs, _sockseed
from zeek_agent_linux._readable import GATHER_SECONDS, Readable
from zeek_agent_linux._sockdiff import SHARE, UDP, Differences
from zeek_agent_linux._sockends import Ending, Endings
from zeek_agent_linux._sockrows import EventRow, SocketRows
from zeek_agent_linux._tcpstates import TCP, Told

SLICE = 500
"""Announcements that are worked on before others have their turn."""


class PollingSource(Source):
    """Differences between the sockets now and those of a moment ago."""

    name = "polling"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._differences = Differences(table.host, {TCP, UDP})
        self._rows = SocketRows(table)
        self._overruns = self._forged = 0

    def check(self) -> None:
        """See whether there is a ``/proc``."""
        proc = f"{self.table.host.prefix}/proc"
        if not any(_procfs.listed(proc)):
            raise TableError(self.table.name, f"no processes below {proc}")

    def existing(self) -> Iterable[Row]:
        """Return all sockets that are open."""
        return _sockseed.open_sockets(self.table)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what has changed since the last look."""
        with ExitStack() as stack:
            endings = self._announced(stack)
            await asyncio.to_thread(self._differences.look)
            yield []
            readable = Readable([endings.fileno()] if endings else [])
            interval = self.table.setting("interval")
            due = monotonic() + interval
            while True:
                await readable.wait(GATHER_SECONDS, due - monotonic())
                began = monotonic()
                is_due = began >= due
                listings = await asyncio.to_thread(self._differences.listed) if is_due else []
                while endings and (some := endings.read(SLICE)):
                    yield self._ended(some)
                    await asyncio.sleep(0)
                self._count(endings)
                if is_due:
                    told = await asyncio.to_thread(self._differences.compare, listings)
                    yield self._tell(told)
                    due = monotonic() + max(interval, SHARE * (monotonic() - began))

    def _announced(self, stack: ExitStack) -> Endings | None:
        """Let the kernel announce the ends of sockets, if it does."""
        if self.table.host.prefix:
            return None
        try:
            return stack.enter_context(Endings())
        except OSError as error:
            self.table.warn(f"ends of sockets are not announced: {error}")
            return None

    def _ended(self, some: Sequence[Ending]) -> list[EventRow]:
        rows: list[EventRow] = []
        for ending in some:
            told = self._differences.end(ending)
            made = self._tell(told)
            for row in made:
                if row["state"] == "closed":
                    has_opened = row["direction"] == "out"
                    row["sent"], row["received"] = ending.counts(has_opened=has_opened)
            rows += made
        return rows

    def _tell(self, told: Sequence[Told]) -> list[EventRow]:
        self._rows.refresh()
        return self._rows.of(told, time_ns())

    def _count(self, endings: Endings | None) -> None:
        """Tell of what was lost or made up since the last time."""
        if endings is None:
            return
        if endings.forged != self._forged:
            self.table.warn("messages that did not come from the kernel were ignored")
        self.table.lose("kernel", endings.overruns - self._overruns)
        self._forged, self._overruns = endings.forged, endings.overruns
