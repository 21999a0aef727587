"""Pure: an event to a row of ``file_events``."""

import posixpath
from collections.abc import Callable, Sequence
from typing import Any

from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.records import CWD, PATH, decoded, fields, number
from zeek_agent_linux._audit.rows import common_row
from zeek_agent_linux._audit.syscalls import OPEN

AT_FDCWD = 0xFFFFFF9C
"""In place of a directory's descriptor: the current directory."""
FLAGS = {"open": "a1", "openat": "a2"}
"""Which argument has the flags; creat has none, and those of openat2 are not recorded."""
O_CREAT_WRONLY_TRUNC = 0o1101
"""What creat(2) stands for."""

Directory = Callable[[int, int], str | None]
"""The path of the directory behind a descriptor of a process; None if it is gone."""


def file_row(event: Event, directory: Directory) -> dict[str, Any] | None:
    """Return the row of *event*."""
    if event.syscall not in OPEN:
        return None
    row = common_row(event)
    items = [fields(body) for body in event.bodies(PATH)]
    target = chosen(items)
    if target is not None:
        row["path"] = _path(event, target, items, directory)
        row["inode"] = number(target.get("inode"))
        row["created"] = target.get("nametype") == "CREATE"
    row["flags"] = _flags(event)
    if event.syscall == "creat":
        row["syscall"] = "create"
    return row


def chosen(items: Sequence[dict[str, str]]) -> dict[str, str] | None:
    """Return the PATH record of the file itself; others are of its directory, or a link."""
    for kinds in (("CREATE", "NORMAL"), ("DELETE", "UNKNOWN")):
        found = [item for item in items if item.get("nametype") in kinds]
        if found:
            return found[-1]
    return None


def _path(
    event: Event,
    target: dict[str, str],
    items: Sequence[dict[str, str]],
    directory: Directory,
) -> str | None:
    name = decoded(target.get("name"))
    if name is None:
        return None
    parents = [item for item in items if item.get("nametype") == "PARENT"]
    base = decoded(parents[-1].get("name")) if parents else None
    if parents and base is not None and not name.startswith("/"):
        name = posixpath.join(base, posixpath.basename(name))
    if not name.startswith("/"):
        name = posixpath.join(_start(event, directory) or "", name)
    return normal(name)


def _start(event: Event, directory: Directory) -> str | None:
    """Return the directory that a relative path of the call begins in."""
    descriptor = number(event.call.get("a0"), 16)
    if event.syscall in ("openat", "openat2") and descriptor is not None:
        descriptor &= 0xFFFFFFFF
        if descriptor != AT_FDCWD:
            pid = number(event.call.get("pid"))
            return None if pid is None else directory(pid, descriptor)
    return next((decoded(fields(body).get("cwd")) for body in event.bodies(CWD)), None)


def normal(path: str) -> str:
    """Return *path* without `.`, `..` and doubled slashes, as text alone tells."""
    found = posixpath.normpath(path)
    return found[1:] if found.startswith("//") else found


def _flags(event: Event) -> int | None:
    if event.syscall == "creat":
        return O_CREAT_WRONLY_TRUNC
    name = FLAGS.get(event.syscall or "")
    return number(event.call.get(name), 16) if name else None
