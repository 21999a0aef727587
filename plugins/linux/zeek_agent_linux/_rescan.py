"""Finds changes of files by comparing what there is with what there was."""

import os
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from zeek_agent_linux import _changes
from zeek_agent_linux._changes import Change
from zeek_agent_linux._trees import Plan

MOST_FILES = 200_000
"""Files that are compared."""


class State(NamedTuple):
    """What is compared of a file."""

    inode: tuple[int, int]
    is_directory: bool
    content: tuple[int, int]
    """Size and time of the last change of content; of a directory nothing."""
    attributes: tuple[int, int, int]
    """Owner, group, mode."""


Files = dict[str, State]


def look(root: str, plan: Plan) -> tuple[Files, bool]:
    """Return the files that are of interest to *plan* below *root*, and whether that is all."""
    files: Files = {}
    for directory, interest in plan.directories.items():
        try:
            with os.scandir(root + directory) as entries:
                for entry in entries:
                    if not interest.wants(entry.name):
                        continue
                    if len(files) >= MOST_FILES:
                        return files, False
                    path = os.path.join(directory, entry.name)  # noqa: PTH118 - for each of many
                    files[path] = _state(entry.stat(follow_symlinks=False))
        except OSError:  # gone meanwhile, or not for us
            continue
    return files, not plan.is_full


def _state(status: os.stat_result) -> State:
    is_directory = stat.S_ISDIR(status.st_mode)
    return State(
        (status.st_dev, status.st_ino),
        is_directory,
        (0, 0) if is_directory else (status.st_size, status.st_mtime_ns),
        (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)),
    )


def _identity(state: State) -> tuple[object, ...]:
    """Return by what a file is known under another name; the inode alone may be another's now."""
    return (state.inode, state.is_directory, state.content)


def differences(old: Mapping[str, State], new: Mapping[str, State], now: int) -> Iterator[Change]:
    """Yield what has changed from *old* to *new*; a file that only has another name was renamed."""
    gone = {_identity(state): path for path, state in old.items() if path not in new}
    for path, state in new.items():
        known = old.get(path)
        if known is None:
            before = gone.pop(_identity(state), None)
            action = _changes.CREATED if before is None else _changes.RENAMED
            yield Change(now, action, path, before, state.is_directory)
            known = state if before is None else old[before]
        if known.inode != state.inode or known.content != state.content:
            yield Change(now, _changes.MODIFIED, path, None, state.is_directory)
        if known.attributes != state.attributes:
            yield Change(now, _changes.ATTRIBUTES, path, None, state.is_directory)
    for path in gone.values():
        yield Change(now, _changes.DELETED, path, None, old[path].is_directory)
