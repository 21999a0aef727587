"""The processes of the host in memory, kept up to date by events: pure.

Whoever gets events of processes calls, in the order of the events, `fork`,
`execute`, `exit` and, where the source knows them, `thread`, `set_users`,
`set_groups` and `rename`. What a child has from its parent is then known
however short it lives. Times are nanoseconds of a clock of the kernel, the
same one for all calls on a tree.

A thread is no process: its start and end change nothing but the number of
threads, and a process ends with its last thread.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

KEEP = 20_000
"""So many processes that have ended are remembered."""


@dataclass(slots=True)
class Process:
    """What is known of a process; None is not known.

    A source sets what it learns; strings are text, IDs numbers, `auid` and
    `container` are None for none as well.
    """

    pid: int
    ppid: int | None = None
    started: int | None = None
    """When it was forked."""
    name: str | None = None
    ruid: int | None = None
    uid: int | None = None
    rgid: int | None = None
    gid: int | None = None
    exe: str | None = None
    cmdline: str | None = None
    cwd: str | None = None
    auid: int | None = None
    cgroup: str | None = None
    container: str | None = None
    threads: set[int] | None = None
    """IDs of the threads that are alive; None: there never was more than the first."""
    ended: int | None = None


class ProcessTree:
    """All processes that are alive, by process ID, and those that ended lately."""

    def __init__(self, keep: int = KEEP, *, knows_ids: bool = True) -> None:
        """Know no process; remember *keep* of those that end.

        *knows_ids* is whether the source tells when a process gets other IDs:
        if not, a child may have others than its parent, and so may a process
        that executes a program.
        """
        self.alive: dict[int, Process] = {}
        self._knows_ids = knows_ids
        self._ended: OrderedDict[int, Process] = OrderedDict()
        self._keep = keep
        self._leaders: dict[int, int] = {}
        """Process of each thread that is not the first of its process."""

    def __len__(self) -> int:
        """Return how many processes are alive."""
        return len(self.alive)

    def add(self, process: Process, threads: Iterable[int] = ()) -> None:
        """Add a process that was found, not seen to start, with the IDs of all its *threads*."""
        self._replace(process)
        for thread in threads:
            if thread != process.pid:
                self.thread(process.pid, thread)

    def fork(self, time: int, parent: int, pid: int) -> Process:
        """Add *pid*, which the process *parent* made at *time*, and return it.

        It has what the parent has, but for what the parent may have changed
        unseen: its directory, and outside of a container its control group.
        """
        origin = self.alive.get(parent)
        if origin is None:
            process = Process(pid, parent, time)
        else:
            process = Process(
                pid, parent, time, origin.name, origin.ruid, origin.uid, origin.rgid, origin.gid,
                origin.exe, origin.cmdline, None, origin.auid,
            )  # fmt: skip
            if not self._knows_ids:
                process.ruid = process.uid = process.rgid = process.gid = None
            if origin.container is not None:
                process.cgroup, process.container = origin.cgroup, origin.container
        self._replace(process)
        return process

    def thread(self, pid: int, thread: int) -> None:
        """Note that the process *pid* has another *thread*."""
        process = self.get(pid)
        if process.threads is None:
            process.threads = {pid}
        process.threads.add(thread)
        self._leaders[thread] = pid

    def process_of(self, thread: int) -> int:
        """Return the ID of the process that *thread* belongs to: its own if it is the first."""
        return self._leaders.get(thread, thread)

    def get(self, pid: int) -> Process:
        """Return the process that is alive, a new one of which nothing is known if need be."""
        process = self.alive.get(pid)
        if process is None:
            process = self.alive[pid] = Process(pid)
        return process

    def execute(self, pid: int) -> Process:
        """Note that *pid* executes another program, of which nothing is known yet.

        All its other threads end by that, without further notice.
        """
        process = self.get(pid)
        process.name = process.exe = process.cmdline = None
        if not self._knows_ids:
            process.ruid = process.uid = process.rgid = process.gid = None
        if process.threads is not None:
            self._drop_threads(process)
        return process

    def set_users(self, pid: int, real: int, effective: int) -> None:
        """Note other user IDs of *pid*."""
        process = self.get(pid)
        process.ruid, process.uid = real, effective

    def set_groups(self, pid: int, real: int, effective: int) -> None:
        """Note other group IDs of *pid*."""
        process = self.get(pid)
        process.rgid, process.gid = real, effective

    def rename(self, pid: int, name: str) -> None:
        """Note that *pid* has given itself another *name*."""
        self.get(pid).name = name

    def exit(self, time: int, thread: int) -> Process | None:
        """Note the end of *thread*; return its process if that was the last one."""
        pid = self._leaders.pop(thread, thread)
        process = self.alive.get(pid)
        if process is None:
            if pid != thread:
                return None
            process = Process(pid)
        threads = process.threads
        if threads is not None:
            threads.discard(thread)
            if threads:
                return None
        self._end(process, time)
        return process

    def at(self, pid: int, time: int) -> Process | None:
        """Return the process that had the ID *pid* at *time*, alive or ended since."""
        process = self.alive.get(pid)
        if process is not None and (process.started is None or process.started <= time):
            return process
        process = self._ended.get(pid)
        if process is None or (process.ended is not None and process.ended < time):
            return None
        return process if process.started is None or process.started <= time else None

    def latest(self, pid: int) -> Process | None:
        """Return the process that has the ID *pid*, or the last one that had it."""
        return self.alive.get(pid) or self._ended.get(pid)

    def forget(self, pids: Iterable[int]) -> None:
        """Forget processes whose end was missed."""
        for pid in pids:
            process = self.alive.pop(pid, None)
            if process is not None:
                self._drop_threads(process)

    def _replace(self, process: Process) -> None:
        """Let *process* be alive; one of that ID before it has ended unseen."""
        before = self.alive.get(process.pid)
        if before is not None:
            self._drop_threads(before)
        self._leaders.pop(process.pid, None)
        self.alive[process.pid] = process

    def _end(self, process: Process, time: int) -> None:
        process.ended = time
        self.alive.pop(process.pid, None)
        if self._keep:
            self._ended[process.pid] = process
            self._ended.move_to_end(process.pid)
            if len(self._ended) > self._keep:
                self._ended.popitem(last=False)

    def _drop_threads(self, process: Process) -> None:
        for thread in process.threads or ():
            self._leaders.pop(thread, None)
        process.threads = None
