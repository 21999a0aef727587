"""``processes_events`` from looking at ``/proc`` again and again: the last resort.

What lives from one look to the next is told, with all that ``/proc`` knows.
What is shorter is never seen.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from zeek_agent_core.api import Row, Source, Sourced, TableError
from zeek_agent_linux import _procfs, _procseed
from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._procfacts import Facts
from zeek_agent_linux._procrows import ProcessRows
from zeek_agent_linux._proctree import Process

SHARE = 20
"""A look may take this part of the time between two looks."""
FLAGS, STACK = 6, 25
"""Positions in ``stat`` after the name; each exec moves `startstack`, a fork keeps it."""
KERNEL_THREAD = 0x200000  # PF_KTHREAD


class _Look(NamedTuple):
    """What ``stat`` says of a process."""

    parent: int
    is_kernel: bool
    started: int
    """Nanoseconds since boot."""
    stack: bytes
    """Where the stack begins: an address that is not told to everybody, or 0."""


class PollingSource(Source):
    """Differences between what runs now and what ran a moment ago."""

    name = "polling"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._proc = f"{table.host.prefix}/proc"
        self._boot = BootTime(self._proc)
        self._clock = KernelClock(self._boot)
        self._rows = ProcessRows(table, knows_status=False)
        self._known: dict[int, tuple[_Look, Process]] = {}
        self._last: int | None = None
        """Time of the last look; None before the first."""

    def check(self) -> None:
        """See whether there is a ``/proc``."""
        if not any(_procfs.listed(self._proc)):
            raise TableError(self.table.name, f"no processes below {self._proc}")

    def existing(self) -> Iterable[Row]:
        """Return all processes that run."""
        return _procseed.running(self.table.host, self.table.wanted.columns)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what has changed since the last look."""
        await asyncio.to_thread(lambda: list(self._look()))
        yield []
        pause = interval = self.table.setting("interval")
        while True:
            await asyncio.sleep(pause)
            began = monotonic()
            yield await asyncio.to_thread(lambda: list(self._look()))
            pause = max(interval, SHARE * (monotonic() - began))

    def _look(self) -> Iterator[Row]:
        """Yield a row for each process that came, executed a program or went; for a thread."""
        self._clock.refresh()
        self._rows.refresh()
        self._facts = Facts(self._proc, self._boot, self.table.wanted.columns)
        now, last = self._clock.now(), self._last
        looks = dict(self._looks())
        for pid, (before, process) in list(self._known.items()):
            if pid not in looks or looks[pid].started != before.started:
                del self._known[pid]
                process.ended = now
                yield from self._row("stopped", process, now)
        for pid, look in looks.items():
            known = self._known.get(pid)
            if known is not None and known[0].stack == look.stack:
                continue
            process = known[1] if known else Process(pid, look.parent, look.started)
            extra = self._facts.read(process)
            self._known[pid] = look, process
            if last is not None and not look.is_kernel:
                parent = looks.get(look.parent)
                is_fork = known is None and parent is not None and parent.stack == look.stack
                state = "forked" if is_fork and look.stack != b"0" else "started"
                time = now if known else min(max(look.started, last), now)
                yield from self._row(state, process, time, extra)
        self._last = now

    def _row(self, state: str, process: Process, time: int, extra: Row | None = None) -> list[Row]:
        make = getattr(self._rows, state)
        row = make(process, self._clock.micros(time), self._clock.startup(process.started), extra)
        return [] if row is None else [row]

    def _looks(self) -> Iterator[tuple[int, _Look]]:
        for name in _procfs.listed(self._proc):
            try:
                raw = _procfs.read(f"{self._proc}/{name}/stat")
                fields = raw[raw.rindex(b")") + 2 :].split()
                yield (
                    int(name),
                    _Look(
                        int(fields[_procfs.PPID]),
                        bool(int(fields[FLAGS]) & KERNEL_THREAD),
                        int(fields[_procfs.STARTTIME]) * TICK,
                        fields[STACK],
                    ),
                )
            except (OSError, ValueError, IndexError):
                continue  # it has ended
