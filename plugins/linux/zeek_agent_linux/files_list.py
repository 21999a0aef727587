"""``files_list``: paths that match a pattern."""

from zeek_agent_core.api import Host, hookimpl
from zeek_agent_core.files.listing import FilesList


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesList]:
    """Offer the table; every host has files."""
    return [FilesList(host)]
