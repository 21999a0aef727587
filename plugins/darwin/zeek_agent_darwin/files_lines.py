"""``files_lines``: lines of text files."""

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.files import lines


class FilesLines(lines.FilesLines):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="directories and files, links followed",
        needs="root for files of others; Full Disk Access for what macOS protects",
        verified="the same code on Linux",
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesLines]:
    """Offer the table; every host has files."""
    return [FilesLines(host)] if host.platform == "darwin" else []
