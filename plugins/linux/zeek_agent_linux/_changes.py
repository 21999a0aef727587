"""Pure: changes of files, put together to rows."""

from collections.abc import Callable, Container, Iterable
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


_ACTIONS = (
    (What.CREATED, CREATED),
    (What.MODIFIED, MODIFIED),
    (What.ATTRIBUTES, ATTRIBUTES),
    (What.DELETED, DELETED),
)
_REPLACED = What.CREATED | What.DELETED
_IN_ORDER = {
    bits: tuple(action for bit, action in _ACTIONS if bits & bit) for bits in range(What.MOVED_FROM)
}


def actions(what: int, exists: Callable[[], bool]) -> tuple[str, ...]:
    """Return what *what* means, in the order in which it is likely to have happened."""
    found = _IN_ORDER[what & (What.MOVED_FROM - 1)]
    if what & _REPLACED == _REPLACED and exists():
        return (DELETED, *found[:-1])
    return found


class Tally:
    """Changes, those alike put together and counted."""

    def __init__(
        self, changes: Iterable[Change] = (), before: Container[str | None] = frozenset()
    ) -> None:
        """Begin with *changes*; of paths *before* it was guessed that they were created."""
        self._before = before
        self._first: dict[tuple[object, ...], Change] = {}
        self._counts: dict[tuple[object, ...], int] = {}
        self.extend(changes)

    def __len__(self) -> int:
        """Return how many kinds of changes there are."""
        return len(self._first)

    def extend(self, changes: Iterable[Change]) -> None:
        """Add *changes*."""
        for change in changes:
            key = (change.action, change.path, change.old_path, change.pid, change.is_guess)
            self._first.setdefault(key, change)
            self._counts[key] = self._counts.get(key, 0) + 1

    def add(self, time: int, action: str, path: str, pid: int | None, actor: Actor) -> None:
        """Add a change of a file, as `extend` would, at half the price."""
        key = (action, path, None, pid, False)
        count = self._counts.get(key)
        if count is None:
            self._first[key] = Change(time, action, path, None, False, pid, actor)  # noqa: FBT003
            self._counts[key] = 1
        else:
            self._counts[key] = count + 1

    @property
    def has_unknown(self) -> bool:
        """Whether a process was gone before anybody looked who it was."""
        return any(c.pid is not None and c.actor is UNKNOWN for c in self._first.values())

    def name(self, find: Callable[[int], Actor | None]) -> None:
        """Let *find* tell who those processes were."""
        for key, change in self._first.items():
            if change.pid is not None and change.actor is UNKNOWN:
                self._first[key] = change._replace(actor=find(change.pid) or UNKNOWN)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each kind; none for what was guessed and told as well."""
        told = {(c.action, c.path) for c in self._first.values() if not c.is_guess}

        def is_double(change: Change) -> bool:
            if change.is_guess:
                return (change.action, change.path) in told
            is_known = change.action == CREATED and change.path in self._before
            return is_known and (DELETED, change.path) not in told

        return [
            row(change, self._counts[key])
            for key, change in self._first.items()
            if not is_double(change)
        ]

    def guesses(self) -> set[str | None]:
        """Return the paths of which it was guessed that they were created."""
        return {change.path for change in self._first.values() if change.is_guess}


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
