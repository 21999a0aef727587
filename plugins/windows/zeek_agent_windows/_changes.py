"""Pure: what `ReadDirectoryChangesW` tells of a directory."""

import ctypes
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from zeek_agent_core.api import Row
from zeek_agent_windows._layouts import NotifyInformation, wide

ADDED, REMOVED, MODIFIED, OLD_NAME, NEW_NAME = range(1, 6)
NAMES = {ADDED: "create", REMOVED: "unlink", MODIFIED: "modify"}
HEAD = NotifyInformation.FileName.offset
MOST = 100_000
"""Entries that one buffer can have at most: it is 64 KiB."""


class Notification(NamedTuple):
    """One change."""

    action: int
    name: str
    """Below the directory that is watched."""


def parse_notifications(raw: bytes) -> Iterator[Notification]:
    """Yield the entries of a buffer; what is cut short, or leads nowhere, ends it."""
    at = 0
    for _ in range(MOST):
        if at + HEAD > len(raw):
            return
        entry = NotifyInformation.from_buffer_copy(
            raw.ljust(at + ctypes.sizeof(NotifyInformation)), at
        )
        end = at + HEAD + entry.FileNameLength
        if end > len(raw):
            return
        yield Notification(entry.Action, wide(raw[at + HEAD : end]))
        if entry.NextEntryOffset < HEAD:
            return
        at += entry.NextEntryOffset


class Renames:
    """Makes one row of the two entries that a rename has."""

    def __init__(self) -> None:
        """Know no old name."""
        self._old: str | None = None

    def rows(self, directory: str, notifications: Iterable[Notification]) -> Iterator[Row]:
        """Yield a row per change; a name without its partner moved in, or out, of sight."""
        for action, name in notifications:
            path = f"{directory.rstrip(chr(92))}\\{name}"
            if action == OLD_NAME:
                yield from self.flush()
                self._old = path
            elif action == NEW_NAME and self._old is not None:
                old, self._old = self._old, None
                yield {**_row("rename", old), "destination": path}
            elif action == NEW_NAME:
                yield _row("create", path)
            elif action in NAMES:
                yield from self.flush()
                yield _row(NAMES[action], path)

    def flush(self) -> Iterator[Row]:
        """Yield what waits for a partner that does not come."""
        if self._old is not None:
            old, self._old = self._old, None
            yield _row("unlink", old)


def _row(action: str, path: str) -> dict[str, Any]:
    return {"syscall": action, "path": path, "success": True, "created": action == "create"}
