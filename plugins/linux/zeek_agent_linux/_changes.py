"""Pure: changes of files, put together to rows."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from zeek_agent_core.api import storable
from zeek_agent_linux._actors import UNKNOWN, Actor
from zeek_agent_linux._happenings import What

CREATED, MODIFIED, RENAMED, DELETED = "created", "modified", "renamed", "deleted"
ATTRIBUTES = "attributes"


class Change(NamedTuple):
    """Something that happened to a file."""

    time: int
    """In µs since the epoch."""
    action: str
    path: str | None
    old_path: str | None = None
    is_directory: bool = False
    pid: int | None = None
    actor: Actor = UNKNOWN
    is_guess: bool = False
    """Whether it was found by looking, so that the same may have been told as well."""


def actions(what: What, exists: Callable[[], bool]) -> list[str]:
    """Return what *what* means, in the order in which it is likely to have happened."""
    found = [
        action
        for bit, action in (
            (What.CREATED, CREATED),
            (What.MODIFIED, MODIFIED),
            (What.ATTRIBUTES, ATTRIBUTES),
            (What.DELETED, DELETED),
        )
        if what & bit
    ]
    if what & What.CREATED and what & What.DELETED and exists():
        found.remove(DELETED)  # it was replaced
        found.insert(0, DELETED)
    return found


def rows(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Return a row for each kind of change to a path by a process, counted."""
    groups: dict[tuple[Any, ...], list[Change]] = {}
    told = set()
    for change in changes:
        key = (change.action, change.path, change.old_path, change.pid, change.is_guess)
        groups.setdefault(key, []).append(change)
        if not change.is_guess:
            told.add((change.action, change.path))
    return [
        row(group[0], len(group))
        for group in groups.values()
        if not (group[0].is_guess and (group[0].action, group[0].path) in told)
    ]


def row(change: Change, count: int) -> dict[str, Any]:
    """Return the row for *count* changes alike."""
    actor = change.actor
    return {
        "time": change.time,
        "action": change.action,
        "path": None if change.path is None else storable(change.path),
        "old_path": None if change.old_path is None else storable(change.old_path),
        "is_directory": change.is_directory,
        "pid": change.pid,
        "process": actor.name,
        "exe": actor.exe,
        "uid": actor.uid,
        "count": count,
    }
