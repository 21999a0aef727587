"""Who processes are and were, for tables whose events have just a process ID.

While it is entered, a `History` follows all processes of the host. `refresh`
brings it up to now; then `find` tells of a process, also of one that has ended
in the meantime::

    with History(host) as history:
        await history.fill()
        readable = Readable([history.fileno(), ...])  # it must be read now and then
        ...
        history.refresh()
        process = history.find(pid)

Those who have the times of their events use `read` and `apply` instead, and so
see each process as it was at the time of the event.
"""

import asyncio
from types import TracebackType
from typing import Self

from zeek_agent_core.api import Host, text
from zeek_agent_linux import _cnproc, _procseed
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._cnproc import Event
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._procconnector import Connector, Item
from zeek_agent_linux._proctree import KEEP, Process, ProcessTree

SLICE = 500
"""Events that are read in one go."""

Entry = tuple[int, Item]
"""When it happened, in nanoseconds since boot, and what."""


def apply(tree: ProcessTree, time: int, item: Item) -> Process | None:
    """Tell *tree* of an event; return the process that was made, executes a program or ended."""
    event, name = item
    what = event.what
    if what == _cnproc.FORK:
        if event.c == event.d:
            return tree.fork(time, event.b, event.d)
        tree.thread(event.d, event.c)
    elif what == _cnproc.EXEC:
        return tree.execute(event.b)
    elif what == _cnproc.EXIT:
        return _exit(tree, time, event)
    elif event.a == event.b:  # IDs and names of other threads are their own
        _change(tree, event, name)
    return None


def _exit(tree: ProcessTree, time: int, event: Event) -> Process | None:
    if event.a != event.b and tree.process_of(event.a) != event.b:
        return None  # a thread that was not seen to start
    process = tree.exit(time, event.a)
    if process is not None and process.ppid is None:
        process.ppid = event.f
    return process


def _change(tree: ProcessTree, event: Event, name: bytes) -> None:
    if event.what == _cnproc.UID:
        tree.set_users(event.b, event.c, event.d)
    elif event.what == _cnproc.GID:
        tree.set_groups(event.b, event.c, event.d)
    elif event.what == _cnproc.COMM:
        tree.rename(event.b, text(name))


class History:
    """The processes of the host, followed by the process events connector."""

    def __init__(self, host: Host, keep: int = KEEP) -> None:
        """Follow the processes of *host*; remember *keep* of those that end."""
        self._host = host
        self._connector = Connector()
        self._clock = KernelClock(BootTime(f"{host.prefix}/proc"))
        self.tree = ProcessTree(keep)

    def __enter__(self) -> Self:
        """Begin to follow; `OSError` if that is refused."""
        self._connector.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go."""
        self._connector.__exit__(kind, error, trace)

    async def fill(self) -> None:
        """Learn what processes are there already."""
        await asyncio.to_thread(_procseed.fill, self.tree, self._host, self._clock, ())

    def fileno(self) -> int:
        """Return the descriptor that must be read when it can be."""
        return self._connector.fileno()

    @property
    def lost(self) -> int:
        """Events that the kernel had to drop, so far."""
        return self._connector.lost

    @property
    def forged(self) -> int:
        """Messages that did not come from the kernel, so far."""
        return self._connector.forged

    def read(self) -> list[Entry]:
        """Return what has happened to processes since the last time, without learning it."""
        since_boot = self._clock.since_boot
        entries: list[Entry] = []
        while items := self._connector.read(SLICE):
            entries += [(since_boot(item[0].time), item) for item in items]
        return entries

    def apply(self, entry: Entry) -> Process | None:
        """Learn one of what `read` has returned; return as `apply` does."""
        return apply(self.tree, *entry)

    def refresh(self) -> None:
        """Learn all that has happened until now."""
        for entry in self.read():
            self.apply(entry)

    def find(self, thread: int, time: int | None = None) -> Process | None:
        """Return the process that a *thread* belongs to or did.

        *time*, in nanoseconds since boot, tells apart those that have had its ID.
        """
        pid = self.tree.process_of(thread)
        return self.tree.latest(pid) if time is None else self.tree.at(pid, time)
