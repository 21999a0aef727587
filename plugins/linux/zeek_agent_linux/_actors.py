"""Who a process is or was, by its ID.

A table that follows all processes can tell of those that are gone: while it
runs, it adds a function to `HISTORIES`.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from zeek_agent_core.api import storable
from zeek_agent_linux import _procfs


class Actor(NamedTuple):
    """A process; what is not known is None."""

    name: str | None = None
    exe: str | None = None
    uid: int | None = None
    """Effective user ID."""


History = Callable[[int], Actor | None]
"""Returns who the process with an ID is, or was last; None if unknown. Must be quick."""

HISTORIES: list[History] = []
"""What knows of processes that are gone; for the event loop's thread alone."""

UNKNOWN = Actor()


def look(proc: str, pid: int) -> Actor:
    """Return who process *pid* is, from *proc* or else from what remembers it."""
    directory = f"{proc}/{pid}"
    try:
        status = _procfs.read(f"{directory}/status")
        uid = _procfs.parse_ids(status)[1]
        name = _procfs.name(status[len(b"Name:\t") : status.index(b"\n")])
    except (OSError, ValueError):
        return remembered(pid) or UNKNOWN
    try:
        exe = storable(os.readlink(f"{directory}/exe"))  # noqa: PTH115 - for each process
    except OSError:
        exe = None
    return Actor(name, exe, uid)


def remembered(pid: int) -> Actor | None:
    """Return who the process was, if something remembers it."""
    for history in HISTORIES:
        actor = history(pid)
        if actor is not None:
            return actor
    return None
