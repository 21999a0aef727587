"""``files_hash``: hashes of files."""

from zeek_agent_core.api import Host, hookimpl
from zeek_agent_core.files.hashes import FilesHash


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesHash]:
    """Offer the table; every host has files."""
    return [FilesHash(host)]
