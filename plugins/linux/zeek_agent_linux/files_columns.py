"""``files_columns``: columns of text files."""

from zeek_agent_core.api import Host, hookimpl
from zeek_agent_core.files.columns import FilesColumns


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesColumns]:
    """Offer the table; every host has files."""
    return [FilesColumns(host)]
