"""``processes_events`` from trace events of the scheduler.

They tell of each process and thread, and of the path of each program, but not
of IDs, arguments or exit codes. What queries want of these is read from
``/proc`` where the process is still there a moment later.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from zeek_agent_core.api import Row, Source, Sourced, text
from zeek_agent_linux import _procseed
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._pidns import check_initial
from zeek_agent_linux._procfacts import SHORT_NAME, Facts
from zeek_agent_linux._procrows import EventRow, ProcessRows
from zeek_agent_linux._proctree import ProcessTree
from zeek_agent_linux._readable import Readable
from zeek_agent_linux._tracefs import Instance, Traced
from zeek_agent_linux._traceorder import AGAIN_SECONDS, Ordered
from zeek_agent_linux._tracepage import Event

NAME = "zeek-agent-processes"
FORK, EXEC, EXIT = "fork", "exec", "exit"
TRACED = {
    FORK: Traced("task/task_newtask", ("common_pid", "pid", "clone_flags")),
    EXEC: Traced("sched/sched_process_exec", ("pid", "filename")),
    EXIT: Traced("sched/sched_process_exit", ("pid",)),
}
SLICE = 500
"""Events that are worked on before others have their turn."""
CLONE_PARENT, CLONE_THREAD = 0x8000, 0x10000
"""Flags of clone(2): a child of the caller's parent; a thread."""


class TraceSource(Source):
    """Every process by its path, with what can still be read of it."""

    name = "tracefs"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._proc = f"{table.host.prefix}/proc"
        self._boot = BootTime(self._proc)
        self._clock = KernelClock(self._boot)
        self._tree = ProcessTree(keep=0, knows_ids=False)
        self._rows = ProcessRows(table, knows_status=False)
        self._facts = Facts(self._proc, self._boot, table.wanted.columns)
        self._lost = 0

    def _instance(self) -> Instance:
        may_mount = self.table.setting("mount_tracefs")
        return Instance(self.table.host, NAME, TRACED, may_mount=may_mount)

    def check(self) -> None:
        """Trace for a moment."""
        check_initial(self.table.host)
        instance = self._instance()
        instance.open()
        instance.close()

    def existing(self) -> Iterable[Row]:
        """Return all processes that run."""
        return _procseed.running(self.table.host, self.table.wanted.columns)

    def wanted_changed(self) -> None:
        """Read other files from now on."""
        self._facts = Facts(self._proc, self._boot, self.table.wanted.columns)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to processes."""
        async with self._instance() as instance:
            yield []
            await self._seed()
            readable, ordered = Readable([instance.fileno()]), Ordered(instance)
            while True:
                if ordered.is_holding:
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    await readable.wait()
                events = await ordered.read()
                gone = {values[0] for _, kind, values in events if instance.names[kind] == EXIT}
                for start in range(0, len(events), SLICE):
                    rows = self._work(instance, events[start : start + SLICE], gone)
                    if rows:
                        yield rows
                    await asyncio.sleep(0)
                if instance.lost != self._lost:
                    self.table.lose("kernel", instance.lost - self._lost)
                    self._lost = instance.lost
                    await self._seed()

    async def _seed(self) -> None:
        columns = self.table.wanted.columns
        await asyncio.to_thread(_procseed.fill, self._tree, self.table.host, self._clock, columns)

    def _work(self, instance: Instance, events: Sequence[Event], gone: set[int]) -> list[EventRow]:
        self._clock.refresh()
        self._rows.refresh()
        self._facts.forget_parents()
        rows: list[EventRow | None] = []
        for time, kind, values in events:
            name = instance.names[kind]
            if name == FORK:
                rows.append(self._forked(time, *values))
            elif name == EXEC:
                rows.append(self._started(time, gone, *values))
            else:
                rows.append(self._stopped(time, *values))
        return [row for row in rows if row is not None]

    def _forked(self, time: int, thread: int, pid: int, flags: int) -> EventRow | None:
        tree = self._tree
        parent = tree.process_of(thread)
        if flags & CLONE_THREAD:
            tree.thread(parent, pid)
            return None
        if flags & CLONE_PARENT:
            parent = tree.get(parent).ppid or 0
        process = tree.fork(time, parent, pid)
        return self._rows.forked(process, self._clock.micros(time), self._clock.startup(time))

    def _started(self, time: int, gone: set[int], pid: int, path: bytes) -> EventRow | None:
        process = self._tree.execute(pid)
        extra: EventRow = {}
        wants_ids = self.table.wanted.wants("uid", "gid", "ruid", "rgid")
        if self._facts.are_wanted or wants_ids:
            if pid not in gone and self._rows.may_want(process):
                short = path.rpartition(b"/")[2][:SHORT_NAME]
                extra = self._facts.read(process, short)
            if self._facts.inherit(process, self._tree):
                extra["incomplete"] = True
        process.name = text(path)
        startup = self._clock.startup(process.started)
        return self._rows.started(process, self._clock.micros(time), startup, extra)

    def _stopped(self, time: int, thread: int) -> EventRow | None:
        process = self._tree.exit(time, thread)
        if process is None:
            return None
        startup = self._clock.startup(process.started)
        return self._rows.stopped(process, self._clock.micros(time), startup)
