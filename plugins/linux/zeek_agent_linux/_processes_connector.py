"""``processes_events`` from the kernel's process events connector.

The connector tells of each fork, exec, exit and change of IDs, but neither of
arguments nor of paths. These are read from ``/proc``, if queries want them, as
soon as the event is there; of a process that was faster they are unknown.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from zeek_agent_core.api import Row, Source, Sourced, text
from zeek_agent_linux import _cnproc, _procseed
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._procconnector import Connector, Item
from zeek_agent_linux._procfacts import Extra, Facts
from zeek_agent_linux._procrows import ProcessRows
from zeek_agent_linux._proctree import Process, ProcessTree
from zeek_agent_linux._readable import GATHER_SECONDS, readable

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

    def check(self) -> None:
        """Ask for events, and see whether the kernel agrees."""
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
            while True:
                await readable(
                    [connector.fileno()], 0 if self._facts.are_wanted else GATHER_SECONDS
                )
                while items := connector.read(SLICE):
                    yield self._work(items)
                    await asyncio.sleep(0)

    async def _seed(self) -> None:
        columns = self.table.wanted.columns
        await asyncio.to_thread(_procseed.fill, self._tree, self.table.host, self._clock, columns)

    def _work(self, items: Sequence[Item]) -> list[Row]:
        self._clock.refresh()
        self._rows.refresh()
        self._facts.forget_parents()
        gone = {event.a for event, _ in items if event.what == _cnproc.EXIT}
        rows = [self._row(item, gone) for item in items]
        return [row for row in rows if row is not None]

    def _row(self, item: Item, gone: set[int]) -> Row | None:
        event, name = item
        tree, what = self._tree, event.what
        time = self._clock.since_boot(event.time)
        if what == _cnproc.FORK:
            if event.c != event.d:
                tree.thread(event.d, event.c)
                return None
            process = tree.fork(time, event.b, event.d)
            return self._rows.forked(process, self._clock.micros(time), self._clock.startup(time))
        if what == _cnproc.EXEC:
            return self._executed(tree.execute(event.b), time, gone)
        if what == _cnproc.EXIT:
            return self._exited(event, time)
        if event.a == event.b:  # IDs and names of other threads are their own
            if what == _cnproc.UID:
                tree.set_users(event.b, event.c, event.d)
            elif what == _cnproc.GID:
                tree.set_groups(event.b, event.c, event.d)
            elif what == _cnproc.COMM:
                tree.rename(event.b, text(name))
        return None

    def _executed(self, process: Process, time: int, gone: set[int]) -> Row | None:
        extra: Extra = {}
        if self._facts.are_wanted:
            if process.pid not in gone:
                extra = self._facts.read(process)
            self._facts.inherit(process, self._tree)
        startup = self._clock.startup(process.started)
        return self._rows.started(process, self._clock.micros(time), startup, extra)

    def _exited(self, event: _cnproc.Event, time: int) -> Row | None:
        tree = self._tree
        if event.a != event.b and tree.process_of(event.a) != event.b:
            return None  # a thread that was not seen to start
        process = tree.exit(time, event.a)
        if process is None:
            return None
        if process.ppid is None:
            process.ppid = event.f
        startup = self._clock.startup(process.started)
        return self._rows.stopped(process, self._clock.micros(time), startup, event.c)
