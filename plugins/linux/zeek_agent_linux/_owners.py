"""Which process holds a socket: the links ``socket:[inode]`` below ``/proc/<pid>/fd``.

To look at every descriptor of every process costs several µs each, so what was
found is kept. The next query checks that each owner is still the same process
with as many descriptors, and looks only for sockets it has not seen: first
where descriptors came or went, then in new processes, then in the others.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from zeek_agent_linux import _procfs

LINK = "socket:["
KEEP_SECONDS = 600.0
"""A process whose descriptors only seem unchanged is looked at again after this time."""
KEEP_UNOWNED_SECONDS = 60.0
"""A socket that no process held is not looked for again for this time."""


@dataclass(slots=True)
class Holder:
    """What is known of the descriptors of one process."""

    started: int
    count: int
    scanned: float
    sockets: tuple[int, ...]


class Owners:
    """Finds the owners of sockets, and remembers them."""

    def __init__(self, proc: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Look below the directory *proc*."""
        self._proc = proc
        self._clock = clock
        self._holders: dict[int, Holder] = {}
        self._owner: dict[int, int] = {}
        self._unowned: dict[int, float] = {}
        self.scans = 0
        """How many processes have been looked at so far."""
        self.denied = 0
        """How many processes did not show their descriptors to the last query."""

    def find(self, inodes: set[int]) -> Mapping[int, int]:
        """Return owners by socket, those of *inodes* among them: the oldest process seen.

        A socket that several processes hold was mostly made by the first of
        them and inherited by the others, whatever their process IDs are: these
        start again from the bottom once they have reached the top.
        """
        now = self._clock()
        self.denied = 0
        self._unowned = {
            inode: since
            for inode, since in self._unowned.items()
            if now - since < KEEP_UNOWNED_SECONDS
        }
        owner = self._owner
        for pid in sorted({owner[inode] for inode in inodes.intersection(owner)}):
            self._recheck(pid, now)
        missing = inodes.difference(owner, self._unowned, (0,))
        if missing:
            known = set(self._holders)
            self._search(missing, now)
            self._look_at_ancestors(self._holders.keys() - known, now)
            self._unowned.update(dict.fromkeys(missing - owner.keys(), now))
        return owner

    def held_by(self, pid: int) -> dict[int, str]:
        """Return the sockets that *pid* holds, and the name of a descriptor of each."""
        directory = os.open(f"{self._proc}/{pid}/fd", _procfs.OPEN | os.O_DIRECTORY)
        try:
            names = os.listdir(directory)  # noqa: PTH208 - by descriptor
            links = _links(names, directory)
        finally:
            os.close(directory)
        return {
            int(link[8:-1]): name
            for name, link in zip(names, links, strict=True)
            if link.startswith(LINK)
        }

    def ancestors(self, pid: int) -> Iterator[int]:
        """Yield the parent of *pid*, its parent and so on, as far as they can be seen."""
        seen = {0}
        with suppress(OSError):
            while pid not in seen:
                seen.add(pid)
                _, fields = _procfs.parse_stat(_procfs.read(f"{self._proc}/{pid}/stat"))
                pid = int(fields[_procfs.PPID])
                if pid:
                    yield pid

    def _recheck(self, pid: int, now: float) -> None:
        """Forget what is known of *pid*, or learn it anew, unless it is as it was."""
        holder = self._holders[pid]
        count = self._count(pid)
        is_fresh = count == holder.count and now - holder.scanned < KEEP_SECONDS
        if is_fresh and self._is_same(pid, holder):
            return
        self._forget(pid)
        if count >= 0:
            self._scan(pid, count, now)

    def _search(self, missing: Collection[int], now: float) -> None:
        """Look through the processes, likely ones first, until nothing is missing."""
        left = set(missing)
        changed, new, rest = [], [], []
        pids = [int(pid) for pid in _procfs.listed(self._proc)]
        for pid in self._holders.keys() - set(pids):
            self._forget(pid)
        for pid in pids:
            count = self._count(pid)
            holder = self._holders.get(pid)
            if holder is None:
                new.append((pid, count))
            elif holder.count != count:
                changed.append((pid, count))
            elif holder.scanned != now:
                rest.append((pid, count))
        for pid, count in changed + new + rest:
            if count > 0:
                self._forget(pid)
                left.difference_update(self._scan(pid, count, now))
                if not left:
                    return

    def _forget(self, pid: int) -> None:
        holder = self._holders.pop(pid, None)
        for inode in holder.sockets if holder else ():
            if self._owner.get(inode) == pid:
                del self._owner[inode]

    def _scan(self, pid: int, count: int, now: float) -> Collection[int]:
        """Return the sockets that *pid* holds, and remember them."""
        self.scans += 1
        try:
            holder = Holder(self._started(pid), count, now, tuple(self.held_by(pid)))
        except PermissionError:
            self.denied += 1
            return ()
        except OSError:
            return ()  # it has ended
        self._holders[pid] = holder
        owner = self._owner
        for inode in holder.sockets:
            other = owner.setdefault(inode, pid)
            if other != pid and (holder.started, pid) < (self._holders[other].started, other):
                owner[inode] = pid
        return holder.sockets

    def _look_at_ancestors(self, pids: Collection[int], now: float) -> None:
        """Look at older processes with higher IDs: `_search` may have ended before them."""
        for pid in pids:
            for ancestor in self.ancestors(pid) if self._holders[pid].sockets else ():
                if ancestor > pid and ancestor not in self._holders:
                    self._scan(ancestor, self._count(ancestor), now)

    def age(self, pid: int) -> tuple[float, int]:
        """Return a key that puts older processes first, and such as have ended last."""
        try:
            return self._started(pid), pid
        except OSError:
            return float("inf"), pid

    def _is_same(self, pid: int, holder: Holder) -> bool:
        try:
            return self._started(pid) == holder.started
        except OSError:
            return False

    def _started(self, pid: int) -> int:
        """Return when *pid* started: with it, a process ID used again is told apart."""
        _, fields = _procfs.parse_stat(_procfs.read(f"{self._proc}/{pid}/stat"))
        return int(fields[_procfs.STARTTIME])

    def _count(self, pid: int) -> int:
        """Return the number of open descriptors; -1 if the process has ended or hides it.

        Kernels from 6.2 on tell it as the size of the directory.
        """
        path = f"{self._proc}/{pid}/fd"
        try:
            return os.stat(path).st_size or len(os.listdir(path))  # noqa: PTH116, PTH208
        except OSError:
            return -1


def _links(names: list[str], directory: int) -> list[str]:
    """Return what the links *names* in an open directory say; nothing for those just closed."""
    links: list[str] = []
    while len(links) < len(names):
        try:
            # A path from the directory on costs an eighth less than a full one.
            for name in names[len(links) :]:
                links.append(os.readlink(name, dir_fd=directory))  # noqa: PERF401
        except FileNotFoundError:
            links.append("")
    return links
