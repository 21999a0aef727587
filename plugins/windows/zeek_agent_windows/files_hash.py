"""``files_hash``: hashes of files."""

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.files import hashes


class FilesHash(hashes.FilesHash):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="directories and files, links followed",
        needs="Administrators, or SYSTEM, for files of others",
        verified="the same code on Linux; drives, shares and case in unit tests",
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesHash]:
    """Offer the table; every host has files."""
    return [FilesHash(host)] if host.platform == "windows" else []
