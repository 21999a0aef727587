"""``processes_events`` from the kernel's process events connector.

The connector tells of each fork, exec, exit and change of IDs, but neither of
arguments nor of paths. These are read from ``/proc``, if queries want them, as
soon as the event is there; of a process that was faster they are unknown.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from time import monotonic_ns
from typing import NamedTuple

from zeek_agent_core.api import Row, Source, Sourced
from zeek_agent_linux import _cnproc, _procseed
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._pidns import check_initial
from zeek_agent_linux._procconnector import Connector, Item
from zeek_agent_linux._procfacts import Facts, take
from zeek_agent_linux._prochistory import apply
from zeek_agent_linux._procrows import EventRow, ProcessRows
from zeek_agent_linux._proctree import Process, ProcessTree
from zeek_agent_linux._readable import GATHER_SECONDS, Readable

SLICE = 500
"""Events that are worked on before others have their turn."""


class _Early(NamedTuple):
    """What was read of a process as soon as it was known to execute a program."""

    found: Process
    extra: EventRow
    read: int
    """When, by the monotonic clock."""


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
        self._connector = Connector()
        self._caught: list[Item] = []
        self._early: dict[tuple[int, int], _Early] = {}
        """What was read at once, by process ID and time of the event."""
        self._read: dict[int, tuple[EventRow, int]] = {}
        """Rows, by process ID, whose process may have executed another program before that time."""
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
        with self._connector as connector:
            yield []
            await self._seed()
            readable = Readable([connector.fileno()], self._catch)
            while True:
                await readable.wait(0 if self._facts.are_wanted else GATHER_SECONDS)
                held: list[EventRow] = []
                while True:
                    items = self._take()
                    self._doubt(items)
                    if held:
                        yield held
                    if not items:
                        break
                    held = self._work(items)
                    await asyncio.sleep(0)
                await self._count(connector)

    def _catch(self) -> None:
        """Read events, and of each program what may be gone before anything else is done."""
        if not self._facts.are_wanted:
            return
        with suppress(OSError, ValueError):  # what goes on is met again by `_take`
            while len(self._caught) < SLICE and (items := self._connector.read(1)):
                self._caught += items
                event = items[0][0]
                if event.what == _cnproc.EXEC:
                    found = Process(event.b, uid=0, gid=0)  # IDs are told by events
                    extra = self._facts.read(found)
                    self._early[event.b, event.time] = _Early(found, extra, monotonic_ns())

    def _take(self) -> list[Item]:
        """Return some events, the oldest that wait."""
        self._catch()
        caught, self._caught = self._caught, []
        return caught or self._connector.read(SLICE)

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
            return self._started(process, event, micros, gone)
        if event.what == _cnproc.EXIT:
            return self._rows.stopped(process, micros, startup, event.c)
        return self._rows.forked(process, micros, startup)

    def _started(
        self, process: Process, event: _cnproc.Event, micros: int, gone: set[int]
    ) -> EventRow | None:
        self._blank(process.pid, event.time)
        startup = self._clock.startup(process.started)
        early = self._early.pop((process.pid, event.time), None)
        if not self._facts.are_wanted or not self._rows.may_want(process):
            return self._rows.started(process, micros, startup)
        extra: EventRow = {}
        read = monotonic_ns()
        if early is not None and process.uid is not None:
            take(process, early.found)
            extra, read = early.extra, early.read
        elif process.pid not in gone:
            extra = self._facts.read(process)
            read = monotonic_ns()
        if self._facts.inherit(process, self._tree):
            extra["incomplete"] = True
        row = self._rows.started(process, micros, startup, extra)
        if row is not None:
            self._read[process.pid] = row, read
        return row

    def _doubt(self, items: Sequence[Item]) -> None:
        """Forget what was read of a process that had executed another program by then."""
        for event, _ in items:
            if event.what == _cnproc.EXEC:
                self._blank(event.b, event.time)

    def _blank(self, pid: int, time: int) -> None:
        row, read = self._read.pop(pid, (None, 0))
        if row is not None and time <= read:
            row.update(name=None, exe=None, cmdline=None, incomplete=True)
