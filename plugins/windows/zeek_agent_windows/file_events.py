"""``file_events``: changes below directories, as Windows tells of them."""

import os
from collections.abc import Callable, Sequence
from types import MappingProxyType

from zeek_agent_core.api import Host, Origin, Row, Sourced, TableError, hookimpl
from zeek_agent_core.schema import file_events as schema
from zeek_agent_windows._blocking import BlockingSource, Reader
from zeek_agent_windows._changes import Renames, parse_notifications
from zeek_agent_windows._watch import MOST, Seen, watch

DIRECTORIES = (
    r"%SystemRoot%\System32\drivers\etc",
    r"%SystemRoot%\System32\Tasks",
    r"%ProgramData%",
    r"%SystemDrive%\Users",
)


class WatchSource(BlockingSource):
    """`ReadDirectoryChangesW`."""

    name = "directories"
    table: "FileEvents"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._renames: dict[str, Renames] = {}

    def directories(self) -> list[str]:
        """Return the directories of the settings, variables of the environment replaced."""
        named = [os.path.expandvars(name) for name in self.table.setting("directories")]
        if len(named) > MOST:
            raise TableError(self.table.name, f"more than {MOST} directories cannot be watched")
        return named

    def check(self) -> None:
        """Raise an error unless directories are named."""
        if not self.directories():
            raise TableError(self.table.name, "the setting directories names none")

    def reader(self) -> Reader:
        """Return a watch."""
        return self.table.watch(self.directories())

    def rows(self, items: Sequence[Seen]) -> list[Row]:
        """Return the rows of some buffers; an empty one tells of a loss."""
        rows: list[Row] = []
        prefix = self.table.wanted.prefix("path")
        for directory, raw in items:
            if not raw:
                self.table.lose("overflow")
            renames = self._renames.setdefault(directory, Renames())
            rows += renames.rows(directory, parse_notifications(raw))
        return [row for row in rows if prefix is None or prefix.begins(row["path"])]


class FileEvents(schema.FileEvents):
    """Files created, written, renamed and removed, one row for each change.

    Windows tells of changes below the directories that the setting
    `directories` names, but not who made them. What changes faster than it can
    be told is lost and counted.
    """

    sources = (WatchSource,)
    settings = MappingProxyType({**Sourced.settings, "directories": DIRECTORIES})
    origin = Origin(
        source="`ReadDirectoryChangesW`",
        needs="the right to list the directories",
        verified="buffers of the same call under Wine",
        null=(
            "pid", "ppid", "uid", "gid", "auid", "euid", "egid", "exe", "inode", "exit", "flags",
            "comm", "ses", "key", "arch", "serial", "orig_ppid", "platform_binary", "signing_id",
            "team_id", "cdhash",
        ),
    )  # fmt: skip

    def __init__(self, host: Host, watching: Callable[[Sequence[str]], Reader] = watch) -> None:
        """Watch with *watching*."""
        super().__init__(host)
        self.watch = watching


@hookimpl
def zeek_agent_tables(host: Host) -> list[FileEvents]:
    """Offer the table on the host itself."""
    return [FileEvents(host)] if host.platform == "windows" else []
