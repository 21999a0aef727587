"""Columns of ``processes`` from the records of the kernel, in few steps for thousands of them."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import compress, count
from operator import add
from typing import Any, NamedTuple

from zeek_agent_core.api import Where
from zeek_agent_linux import _procfs
from zeek_agent_linux._boottime import TICK
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._tasks import PRIORITIES, adjusted, times_of_threads

SHORT_NAME = 15
"""A name of so many bytes may be cut."""
MOST_NAMES = 4096
AT_ONCE = 4096
NO_TIMES = (0, 0, 0)
AS_THEY_ARE = ("pid", "ppid", "uid", "gid", "ruid", "rgid", "vsize", "rsize")
TIMES = ("utime", "stime", "runtime", "told_utime", "told_stime", "pid")
NUMBERS = tasks.NUMBERS


class Found(NamedTuple):
    """Some processes: their records, and their columns."""

    raw: bytes
    columns: dict[str, Any]


class Names:
    """Names of processes as ``/proc`` has them, by what the kernel has."""

    def __init__(self, long_name: Callable[[bytes, int, int], str]) -> None:
        """Ask *long_name* for the name of a kernel thread that may be cut."""
        self._known: dict[tuple[bytes], str] = {}
        self._long_name = long_name

    def of(self, raw: bytes) -> list[str]:
        """Return the name of each process in *raw*."""
        names: list[Any] = list(map(self._known.get, NUMBERS.some(raw, "name")))
        at = -1
        with suppress(ValueError):  # all names are known
            while True:
                at = names.index(None, at + 1)
                (fields,) = NUMBERS.some(NUMBERS.chosen(raw, [at]), "start", "pid", "flags", "name")
                names[at] = self._new(*fields)
        return names

    def _new(self, start: int, pid: int, flags: int, name: bytes) -> str:
        short = name.partition(b"\0")[0]
        if flags & tasks.KERNEL_THREAD and len(short) == SHORT_NAME:
            return self._long_name(short, pid, start)
        if len(self._known) >= MOST_NAMES:
            self._known.clear()
        known = _procfs.name(short)
        if not flags & tasks.KERNEL_THREAD:
            self._known[name,] = known
        return known


class TaskColumns:
    """Makes the columns that a query wants of the processes in records."""

    def __init__(self, where: Where, raw: bytes, boot: int, names: Names) -> None:
        """Make them of *raw*, with records of threads; *boot* is in ns since the epoch."""
        self._where = where
        self._boot = boot
        self._names = names
        self._has_times = where.wants("utime", "stime")
        self._more = times_of_threads(raw) if self._has_times else {}
        self._raw = NUMBERS.without(raw, "is_thread") if self._more else raw

    def __iter__(self) -> Iterator[Found]:
        """Yield the processes that are wanted, some thousands at a time."""
        for raw in NUMBERS.parts(self._raw, AT_ONCE):
            found = self._found(self._of_users(raw))
            if found.raw:
                yield found

    def _of_users(self, raw: bytes) -> bytes:
        uids = self._where.values("uid")
        if uids is None:
            return raw
        column = NUMBERS.column(raw, "uid")
        return NUMBERS.chosen(raw, [at for at, uid in enumerate(column) if uid in uids])

    def _found(self, raw: bytes) -> Found:
        where, wanted = self._where, self._where.values("name")
        columns: dict[str, Any] = {}
        if wanted is not None or where.wants("name"):
            names = self._names.of(raw)
            if wanted is not None:
                kept = [at for at, name in enumerate(names) if name in wanted]
                raw, names = NUMBERS.chosen(raw, kept), [names[at] for at in kept]
            columns["name"] = names
        for name in AS_THEY_ARE:
            if name == "pid" or where.wants(name):
                columns[name] = NUMBERS.view(raw, name)
        if where.wants("priority"):
            columns["priority"] = list(map(PRIORITIES.__getitem__, NUMBERS.column(raw, "priority")))
        if where.wants("startup"):
            boot = self._boot
            columns["startup"] = [boot + start for start in NUMBERS.column(raw, "start")]
        if self._has_times:
            columns["utime"], columns["stime"] = self._times(raw)
        return Found(raw, columns)

    def _times(self, raw: bytes) -> tuple[list[int], list[int]]:
        """Return the times in the program and in the kernel, in ns, cut to a tick."""
        users, systems = NUMBERS.column(raw, "user"), NUMBERS.column(raw, "system")
        others = set(compress(count(), NUMBERS.column(raw, "is_divided")))
        if self._more:
            pids = NUMBERS.column(raw, "pid")
            others.update(at for at, pid in enumerate(pids) if pid in self._more)
        for at in others:
            ((*times, pid),) = NUMBERS.some(NUMBERS.chosen(raw, [at]), *TIMES)
            own, told = times[:3], times[3:]
            more = self._more.get(pid, NO_TIMES)
            user, system = adjusted(*map(add, own, more), *told)
            users[at], systems[at] = user - user % TICK, system - system % TICK
        return users, systems
