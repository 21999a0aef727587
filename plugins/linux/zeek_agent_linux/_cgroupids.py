"""Control groups of processes that may be gone, by what the kernel calls their set of groups.

All processes of one set have the same ``/proc/<pid>/cgroup``, so one of them
that is alive tells for all. Where none is left, the group's ID still finds its
directory, as long as that is there.
"""

import ctypes
import math
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from zeek_agent_core.api import text
from zeek_agent_linux import _cgroup, _procfs

MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where the unified hierarchy is mounted."""
KERNFS = 0xFE
"""FILEID_KERNFS in include/linux/exportfs.h: the handle is the ID."""
MOST = 4096
LOOK_SECONDS = 0.05
"""Least time between two looks at all processes, however many sets are new."""

Groups = tuple[str | None, str | None]
"""Control group and container, as in `processes`."""
Set = tuple[int, int]
"""Address of a set of groups, and the sum of their IDs: another set has another."""
NONE: Groups = (None, None)


class GroupSets:
    """Remembers the groups of each set."""

    def __init__(self, members: Callable[[], dict[int, int]]) -> None:
        """Let *members* tell a process that is alive of each set, by the set's address."""
        self._members = members
        self._known: dict[Set, Groups] = {}
        self._alive: dict[int, int] = {}
        self._looked = -math.inf

    def find(self, group_set: Set, identity: int) -> Groups:
        """Return the groups of a set whose group in the unified hierarchy has an ID."""
        known = self._known.get(group_set)
        if known is None:
            is_fresh = self._look()
            known = self._living(group_set[0]) or by_identity(identity)
            if known is None and not is_fresh:
                return NONE
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[group_set] = known or NONE
        return known

    def _look(self) -> bool:
        """Look which processes are alive, unless that was a moment ago; return whether."""
        now = monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        with suppress(OSError):
            self._alive = self._members()
        return True

    def _living(self, address: int) -> Groups | None:
        with suppress(OSError, ValueError):
            pid = self._alive.get(address)
            if pid is not None:
                raw = _procfs.read_up_to(f"/proc/{pid}/cgroup", 65536)
                return _cgroup.parse_cgroup(text(raw))
        return None


def by_identity(identity: int) -> Groups | None:
    """Return the groups of the directory with an ID; None if it is gone, or the root's."""
    for mount in MOUNTS:
        with suppress(OSError):
            path = _directory(mount, identity)
            if path != mount and path.startswith(mount + "/"):
                group = path.removeprefix(mount)
                return group, _cgroup.container_of(group)
    return None


def _directory(mount: str, identity: int) -> str:
    """Return the path of the directory below *mount* that has an ID (open_by_handle_at(2))."""
    anchor = os.open(mount, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle = ctypes.create_string_buffer(struct.pack("=IiQ", 8, KERNFS, identity))
        library = ctypes.CDLL(None, use_errno=True)
        file: int = library.open_by_handle_at(anchor, handle, os.O_PATH | os.O_CLOEXEC)
        if file < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), mount)
        try:
            return os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115
        finally:
            os.close(file)
    finally:
        os.close(anchor)
