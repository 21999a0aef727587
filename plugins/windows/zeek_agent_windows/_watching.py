"""A source of events that is `ReadDirectoryChangesW`, for the tables of files."""

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from zeek_agent_core.api import Host, Row, Sourced, TableError
from zeek_agent_windows._blocking import BlockingSource, Reader
from zeek_agent_windows._changes import Renames, parse_notifications
from zeek_agent_windows._watch import MOST, Seen, watch

DIRECTORIES = (
    r"%SystemRoot%\System32\drivers\etc",
    r"%SystemRoot%\System32\Tasks",
    r"%ProgramData%",
    r"%SystemDrive%\Users",
)
"""What is watched unless the settings say something else."""


def expanded(pattern: str) -> list[str]:
    """Return the directories that a pattern names; a `*` at its end is what is below anyway."""
    name = os.path.expandvars(pattern).rstrip("\\/*") or pattern
    found = [path for path in glob.glob(name) if os.path.isdir(path)]  # noqa: PTH112, PTH207
    return sorted(found) if glob.has_magic(name) else [name]


class WatchTable(Sourced):
    """A table of changes; put it before the declaration."""

    def __init__(self, host: Host, watching: Callable[[Sequence[str]], Reader] = watch) -> None:
        """Watch with *watching*."""
        super().__init__(host)
        self.watch = watching


class WatchSource(BlockingSource):
    """Derive, and say what rows the changes make."""

    name = "directories"
    setting: ClassVar[str]
    """The key of the settings that names the directories."""
    table: WatchTable

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._renames: dict[str, Renames] = {}

    def made(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Row]:
        """Return the rows of some changes, which are those of `Renames`."""
        raise NotImplementedError

    def directories(self) -> list[str]:
        """Return the directories of the settings, variables of the environment replaced."""
        named = [each for name in self.table.setting(self.setting) for each in expanded(name)]
        if not 0 < len(named) <= MOST:
            reason = f"{self.setting} names {len(named)} directories; 1 to {MOST} are possible"
            raise TableError(self.table.name, reason)
        return named

    def check(self) -> None:
        """Raise an error unless directories are named."""
        self.directories()

    def reader(self) -> Reader:
        """Return a watch."""
        return self.table.watch(self.directories())

    def rows(self, items: Sequence[Seen]) -> list[Row]:
        """Return the rows of some buffers; an empty one tells of a loss."""
        changes: list[Row] = []
        prefix = self.table.wanted.prefix("path")
        for directory, raw in items:
            if not raw:
                self.table.lose("overflow")
            renames = self._renames.setdefault(directory, Renames())
            changes += renames.rows(directory, parse_notifications(raw))
        rows = self.made(changes)
        return [row for row in rows if prefix is None or prefix.begins(row["path"])]
