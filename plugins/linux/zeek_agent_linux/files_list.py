"""``files_list``: paths that match a pattern."""

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.files import listing


class FilesList(listing.FilesList):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="directories and files, links followed",
        needs="root for files of others",
        verified="tests on the running system",
        null=("attributes",),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesList]:
    """Offer the table; every host has files."""
    return [FilesList(host)]
