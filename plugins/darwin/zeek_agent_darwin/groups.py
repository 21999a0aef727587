"""``groups``: groups of Open Directory."""

from collections.abc import Iterator

from zeek_agent_core.api import Host, Origin, Row, Where, hookimpl
from zeek_agent_core.schema import groups
from zeek_agent_darwin._directory import (
    Directory,
    LocalDirectory,
    first,
    is_system,
    number,
    read,
)

ATTRIBUTES = ("RecordName", "PrimaryGroupID", "GroupMembership", "IsHidden")


class Groups(groups.Groups):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`dscl . -readall /Groups`",
        needs="-",
        verified="property lists written after dscl's documentation",
        null=("sid",),
    )

    def __init__(self, host: Host, directory: Directory | None = None) -> None:
        """Ask *directory*, which is the host's unless it is given."""
        super().__init__(host)
        self._directory: Directory = directory or LocalDirectory()

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per group."""
        for record in read(self._directory, "Groups", ATTRIBUTES):
            gid = number(record, "PrimaryGroupID")
            if where.admits("name", first(record, "RecordName")) and where.admits("gid", gid):
                yield {
                    "name": first(record, "RecordName"),
                    "gid": gid,
                    "is_system": is_system(record, gid),
                    "members": set(record.get("GroupMembership", ())),
                }


@hookimpl
def zeek_agent_tables(host: Host) -> list[Groups]:
    """Offer the table on the host itself."""
    return [Groups(host)] if host.platform == "darwin" else []
