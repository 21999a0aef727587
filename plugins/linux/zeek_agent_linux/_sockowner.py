"""Who opens a connection or listens: from the history of processes, and ``/proc``."""

import os
from contextlib import suppress

from zeek_agent_core.api import Host, text
from zeek_agent_linux import _procfs
from zeek_agent_linux._prochistory import Entry, History
from zeek_agent_linux._tcpstates import Owner

SHORT_NAME = 15
"""Bytes of a name that the kernel keeps."""
MOST_NAMES = 100_000


class OwnerFinder:
    """Tells who a thread belongs to, as long as its events are told in their order."""

    def __init__(self, host: Host, history: History | None) -> None:
        """Ask *history* if there is one, and ``/proc`` for what it does not know."""
        self._proc = f"{host.prefix}/proc"
        self._history = history
        self._names: dict[int, str] = {}
        """By process ID, of programs whose execution the history is about to tell."""
        self._netns: dict[int, int | None] = {}

    def begin(self) -> None:
        """Forget what may have changed since the last batch."""
        self._netns.clear()

    def executed(self, pid: int, path: bytes) -> None:
        """Note that *pid* executes the program at *path*."""
        name = text(path.rpartition(b"/")[2][:SHORT_NAME])
        if self._history is not None:
            self._history.tree.get(pid).name = name
        if len(self._names) >= MOST_NAMES:
            self._names.clear()
        self._names[pid] = name

    def apply(self, history: History, entry: Entry) -> None:
        """Let the *history* learn of an event; a program keeps the name it was executed by."""
        process = history.apply(entry)
        if process is not None:
            name = self._names.pop(process.pid, None)
            if process.name is None:
                process.name = name

    def is_alive(self, pid: int) -> bool:
        """Return whether there is a process *pid*."""
        if self._history is not None:
            return pid in self._history.tree.alive
        return os.path.exists(f"{self._proc}/{pid}")  # noqa: PTH110 - paths cost more

    def owner(self, thread: int, *, with_netns: bool) -> Owner:
        """Return the process of a *thread*, with what is known of it."""
        pid, name, uid, gid = thread, None, None, None
        if self._history is not None:
            tree = self._history.tree
            pid = tree.process_of(thread)
            process = tree.alive.get(pid)
            if process is not None:
                name, uid, gid = process.name, process.uid, process.gid
        elif not self.is_alive(thread):
            return Owner(thread, self._names.get(thread))
        else:
            pid = self._process_of(thread)
        directory = f"{self._proc}/{pid}"
        with suppress(OSError):
            if name is None:
                name = _procfs.name(_procfs.read(directory + "/comm")[:-1])
            if uid is None:
                status = os.stat(directory)  # noqa: PTH116
                uid, gid = status.st_uid, status.st_gid
        return Owner(pid, name, uid, gid, self._netns_of(pid) if with_netns else None)

    def _process_of(self, thread: int) -> int:
        with suppress(OSError, ValueError):
            raw = _procfs.read(f"{self._proc}/{thread}/status")
            start = raw.index(b"\nTgid:\t") + 7
            return int(raw[start : raw.index(b"\n", start)])
        return thread

    def _netns_of(self, pid: int) -> int | None:
        if pid not in self._netns:
            self._netns[pid] = None
            with suppress(OSError):
                self._netns[pid] = os.stat(f"{self._proc}/{pid}/ns/net").st_ino  # noqa: PTH116
        return self._netns[pid]
