"""Reads from ``/proc`` what an event did not tell, while the process is there.

A process that lives for less than a millisecond is often gone by then, or a
zombie, of which nothing but numbers is left. What it has from its parent is
then read of the parent, if that is alive.
"""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from zeek_agent_core.api import storable, text
from zeek_agent_linux import _cgroup, _procfs
from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._proctree import Process, ProcessTree

PAGE = os.sysconf("SC_PAGE_SIZE")
CMDLINE_BYTES = 32_768
UNSET = 0xFFFFFFFF
"""The login's user ID of a process that belongs to no login."""
USAGE = frozenset({"priority", "vsize", "rsize", "utime", "stime"})
INHERITED = frozenset({"cwd", "auid", "cgroup", "container"})
COLUMNS = USAGE | INHERITED | {"name", "exe", "cmdline"}
"""What can be read for a process whose IDs and parent are known."""
SHORT_NAME = 15
"""Bytes of a name that the kernel keeps."""
KEPT = ("name", "exe", "cmdline", "cwd", "auid", "cgroup", "container")
"""What is kept with a process."""
LATE_TICKS = 10
"""A process is another if it started so much earlier or later."""
SHORT = "short"
"""The short name among what has been read, until it is compared."""

Extra = dict[str, Any]
"""Columns of a row that are not kept with the process."""


class Facts:
    """Reads those facts that are wanted."""

    def __init__(self, proc: str, boot: BootTime, columns: Collection[str]) -> None:
        """Read below the directory *proc*, for the *columns* of a table."""
        self._proc = proc
        self._boot = boot
        wanted = COLUMNS.intersection(columns)
        self.are_wanted = bool(wanted)
        self._parts: list[Callable[[str, Process, Extra], None]] = []
        # What is lost first comes first.
        if "cmdline" in wanted:
            self._parts.append(_cmdline)
        if wanted & {"exe", "name"}:
            self._parts.append(_exe)
        if "cwd" in wanted:
            self._parts.append(_cwd)
        self._parts.append(self._stat)
        if wanted & {"cgroup", "container"}:
            self._parts.append(_groups)
        if "auid" in wanted:
            self._parts.append(_login)
        self._ids = _all_ids if {"ruid", "rgid"}.intersection(columns) else _effective_ids
        self._inherited = wanted & INHERITED
        self._of_parents: dict[int, Process] = {}

    def read(self, process: Process, name: bytes | None = None) -> Extra:
        """Add to *process* what is there; return columns that are not kept with it.

        If the process of that ID is another by now, or has another *name*,
        short as the kernel keeps it, nothing is added.
        """
        found, extra = Process(process.pid), Extra()
        directory = f"{self._proc}/{process.pid}"
        for part in self._parts:
            try:
                part(directory, found, extra)
            except (FileNotFoundError, ProcessLookupError):
                break  # it has ended
            except (OSError, ValueError):
                continue
        else:
            if process.uid is None or process.gid is None:
                with suppress(OSError, ValueError):
                    self._ids(directory, process)
        short = extra.pop(SHORT, name)
        if not _is_same(process, found) or (name is not None and short != name):
            return {}
        take(process, found)
        return extra

    def forget_parents(self) -> None:
        """Read of parents anew: they may have changed directory since."""
        self._of_parents.clear()

    def inherit(self, process: Process, tree: ProcessTree) -> bool:
        """Take from the parent what could not be read; return whether the directory was.

        A process stays in its login and in its container. It is in the
        directory of its parent as well unless it has changed it: a guess.
        """
        if not self._inherited or process.ppid is None:
            return False
        parent = self._of_parents.get(process.ppid)
        if parent is None:
            parent = self._of_parents[process.ppid] = self._read_parent(process.ppid, tree)
        if process.auid is None:
            process.auid = parent.auid
        if process.cgroup is None and parent.container is not None:
            process.cgroup, process.container = parent.cgroup, parent.container
        if process.cwd is not None or parent.cwd is None:
            return False
        process.cwd = parent.cwd
        return True

    def _read_parent(self, pid: int, tree: ProcessTree) -> Process:
        found = Process(pid)
        directory = f"{self._proc}/{pid}"
        for part in (_cwd, _groups, _login):
            with suppress(OSError, ValueError):
                part(directory, found, {})
        known = tree.alive.get(pid)
        if known is not None:
            found.auid = known.auid if found.auid is None else found.auid
            if found.cgroup is None:
                found.cgroup, found.container = known.cgroup, known.container
        return found

    def _stat(self, directory: str, process: Process, extra: Extra) -> None:
        short, fields = _procfs.parse_stat(_procfs.read(directory + "/stat"))
        extra[SHORT] = short
        exe = process.exe
        # A script is known by its own name, not by that of what runs it.
        is_path = exe is not None and os.fsencode(exe.rpartition("/")[2])[:SHORT_NAME] == short
        process.name = exe if is_path else _procfs.name(short)
        process.ppid = int(fields[_procfs.PPID])
        process.started = int(fields[_procfs.STARTTIME]) * TICK
        extra["startup"] = self._boot() + process.started
        if fields[0] in b"ZX":
            return
        extra["priority"] = fields[_procfs.PRIORITY].decode()
        extra["vsize"] = int(fields[_procfs.VSIZE])
        extra["rsize"] = int(fields[_procfs.RSS]) * PAGE
        extra["utime"] = int(fields[_procfs.UTIME]) * TICK
        extra["stime"] = int(fields[_procfs.STIME]) * TICK


def take(process: Process, found: Process) -> None:
    """Let *process* have those facts that were *found*."""
    for fact in KEPT:
        value = getattr(found, fact)
        if value is not None:
            setattr(process, fact, value)


def _is_same(process: Process, found: Process) -> bool:
    """Return whether both started at the same time, as far as that is known."""
    if process.started is None or found.started is None:
        return True
    return abs(process.started - found.started) < LATE_TICKS * TICK


def _cmdline(directory: str, process: Process, _extra: Extra) -> None:
    line = _procfs.parse_cmdline(_procfs.read_up_to(directory + "/cmdline", CMDLINE_BYTES))
    if line is not None:
        process.cmdline = text(line)


def _exe(directory: str, process: Process, _extra: Extra) -> None:
    with suppress(FileNotFoundError):  # a zombie has none
        process.exe = storable(os.readlink(directory + "/exe"))  # noqa: PTH115 - paths cost more


def _cwd(directory: str, process: Process, _extra: Extra) -> None:
    with suppress(FileNotFoundError):
        process.cwd = storable(os.readlink(directory + "/cwd"))  # noqa: PTH115


def _groups(directory: str, process: Process, _extra: Extra) -> None:
    raw = _procfs.read_up_to(directory + "/cgroup", 65536)
    process.cgroup, process.container = _cgroup.parse_cgroup(text(raw))


def _login(directory: str, process: Process, _extra: Extra) -> None:
    number = int(_procfs.read(directory + "/loginuid"))
    process.auid = None if number == UNSET else number


def _effective_ids(directory: str, process: Process) -> None:
    """Take the effective IDs from the directory, which is much cheaper."""
    status = os.stat(directory)  # noqa: PTH116
    process.uid, process.gid = status.st_uid, status.st_gid


def _all_ids(directory: str, process: Process) -> None:
    ids = _procfs.parse_ids(_procfs.read(directory + "/status"))
    process.ruid, process.uid, process.rgid, process.gid = ids
