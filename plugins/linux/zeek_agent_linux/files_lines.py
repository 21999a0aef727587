"""``files_lines``: lines of text files."""

from zeek_agent_core.api import Host, hookimpl
from zeek_agent_core.files.lines import FilesLines


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesLines]:
    """Offer the table; every host has files."""
    return [FilesLines(host)]
