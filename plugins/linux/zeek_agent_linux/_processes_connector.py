"""``processes_events`` from the kernel's process events connector.

The connector tells of each fork, exec, exit and change of IDs, but neither of
arguments nor of paths. These are read from ``/proc``, if queries want them, as
soon as the event is there; of a process that was faster they are unknown.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from zeek_agent_core.api import Row, Source, Sourced
from zeek_agent_linux import _cnproc, _procseed
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._pidns import check_initial
from zeek_agent_linux._procconnector import Connector, Item
from zeek_agent_linux._procfacts import Facts
from zeek_agent_linux._prochistory import apply
from zeek_agent_linux._procrows import EventRow, ProcessRows
from zeek_agent_linux._proctree import Process, ProcessTree
from zeek_agent_linux._readable import GATHER_SECONDS, Readable

SLICE = 500
"""Events that are worked on before others have their turn."""


class ConnectorSource(Source):
    """Every process, with what can still be read of it."""

    name = "proc connector"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        proc = f"{table.host.prefix}/proc"
        self._boot = BootTime(proc)
        self._clock = KernelClock(self._boot)
        self._tree = ProcessTree(keep=0)
        self._rows = ProcessRows(table)
        self._facts = Facts(proc, self._boot, table.wanted.columns)
        self._read: dict[int, EventRow] = {}
        """Rows, by process ID, whose process may have executed another program meanwhile."""
        self._lost = self._forged = 0

    def check(self) -> None:
        """Ask for events, and see whether the kernel agrees."""
        check_initial(self.table.host)
        with Connector() as connector:
            connector.check()

    def existing(self) -> Iterable[Row]:
        """Return all processes that run."""
        return _procseed.running(self.table.host, self.table.wanted.columns)

    def wanted_changed(self) -> None:
        """Read other files from now on."""
        proc = f"{self.table.host.prefix}/proc"
        self._facts = Facts(proc, self._boot, self.table.wanted.columns)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to processes."""
        with Connector() as connector:
            yield []
            await self._seed()
            readable = Readable([connector.fileno()])
            while True:
                await readable.wait(0 if self._facts.are_wanted else GATHER_SECONDS)
                held: list[EventRow] = []
                while True:
                    items = connector.read(SLICE)
                    self._doubt(items)
                    if held:
                        yield held
                    if not items:
                        break
                    held = self._work(items)
                    await asyncio.sleep(0)
                await self._count(connector)

    async def _seed(self) -> None:
        columns = self.table.wanted.columns
        await asyncio.to_thread(_procseed.fill, self._tree, self.table.host, self._clock, columns)

    async def _count(self, connector: Connector) -> None:
        """Tell of what was lost since the last time, and learn anew what is there."""
        lost, forged = connector.lost - self._lost, connector.forged - self._forged
        self._lost, self._forged = connector.lost, connector.forged
        if forged:
            self.table.warn(f"{forged} messages that did not come from the kernel were ignored")
        if lost:
            self.table.lose("kernel", lost)
            await self._seed()

    def _work(self, items: Sequence[Item]) -> list[EventRow]:
        self._clock.refresh()
        self._rows.refresh()
        self._facts.forget_parents()
        self._read.clear()
        gone = {event.a for event, _ in items if event.what == _cnproc.EXIT}
        rows = [self._row(item, gone) for item in items]
        return [row for row in rows if row is not None]

    def _row(self, item: Item, gone: set[int]) -> EventRow | None:
        event = item[0]
        time = self._clock.since_boot(event.time)
        process = apply(self._tree, time, item)
        if process is None:
            return None
        micros, startup = self._clock.micros(time), self._clock.startup(process.started)
        if event.what == _cnproc.EXEC:
            return self._started(process, micros, startup, gone)
        if event.what == _cnproc.EXIT:
            return self._rows.stopped(process, micros, startup, event.c)
        return self._rows.forked(process, micros, startup)

    def _started(
        self, process: Process, time: int, startup: int | None, gone: set[int]
    ) -> EventRow | None:
        self._blank(process.pid)
        if not self._facts.are_wanted or not self._rows.may_want(process):
            return self._rows.started(process, time, startup)
        is_there = process.pid not in gone
        extra = self._facts.read(process) if is_there else {}
        if self._facts.inherit(process, self._tree):
            extra["incomplete"] = True
        row = self._rows.started(process, time, startup, extra)
        if row is not None and is_there:
            self._read[process.pid] = row
        return row

    def _doubt(self, items: Sequence[Item]) -> None:
        """Forget what was read of a process that has executed another program since."""
        for event, _ in items:
            if event.what == _cnproc.EXEC:
                self._blank(event.b)

    def _blank(self, pid: int) -> None:
        row = self._read.pop(pid, None)
        if row is not None:
            row.update(name=None, exe=None, cmdline=None, incomplete=True)
