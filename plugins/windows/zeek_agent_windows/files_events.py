"""``files_events``: changes below directories, as Windows tells of them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.schema import files_events as schema
from zeek_agent_windows._watching import DIRECTORIES, WatchSource, WatchTable

ACTIONS = {"create": "created", "modify": "modified", "rename": "renamed", "unlink": "deleted"}


class FilesSource(WatchSource):
    """`ReadDirectoryChangesW`; like changes that come together are one row."""

    setting = "paths"

    def made(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return the rows of some changes."""
        counts: dict[tuple[str, str | None, str | None], int] = {}
        for row in rows:
            action, path, new = ACTIONS[row["syscall"]], row["path"], row.get("destination")
            key = (action, new or path, path if new else None)
            counts[key] = counts.get(key, 0) + 1
        return [
            {"action": action, "path": path, "old_path": old, "count": count}
            for (action, path, old), count in counts.items()
        ]


class FilesEvents(WatchTable, schema.FilesEvents):
    """Files and directories as they are made, changed, renamed and deleted.

    On Windows the setting `paths` of `[tables.files_events]` names directories, at
    most 32, that are watched with all that is below; variables of the environment
    such as `%ProgramData%` are replaced, wildcards too. Who made a change is not known. What
    changes faster than it can be told is lost and counted.
    """

    sources = (FilesSource,)
    settings = MappingProxyType({**Sourced.settings, "paths": DIRECTORIES})
    origin = Origin(
        source="`ReadDirectoryChangesW`",
        needs="the right to list the directories",
        verified="buffers of the same call under Wine",
        null=("is_directory", "pid", "process", "exe", "uid"),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesEvents]:
    """Offer the table on the host itself."""
    return [FilesEvents(host)] if host.platform == "windows" else []
