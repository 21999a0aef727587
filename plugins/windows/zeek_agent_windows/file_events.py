"""``file_events``: the first generation's view of changes below directories."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.schema import file_events as schema
from zeek_agent_windows._watching import DIRECTORIES, WatchSource, WatchTable


class FileSource(WatchSource):
    """`ReadDirectoryChangesW`."""

    setting = "directories"

    def made(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Row]:
        """Return the changes as they are."""
        return rows


class FileEvents(WatchTable, schema.FileEvents):
    """Files created, written, renamed and removed, one row for each change.

    Windows tells of changes below the directories that the setting
    `directories` names, but not who made them. What changes faster than it can
    be told is lost and counted.
    """

    sources = (FileSource,)
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


@hookimpl
def zeek_agent_tables(host: Host) -> list[FileEvents]:
    """Offer the table on the host itself."""
    return [FileEvents(host)] if host.platform == "windows" else []
