"""``mounts``: file systems in use."""

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.portable import mounts


class Mounts(mounts.Mounts):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`GetLogicalDriveStrings` and `GetVolumeInformation`, through psutil",
        needs="-",
        verified="the same code on Linux; a scripted host with what psutil gives on Windows",
        null=("root",),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[Mounts]:
    """Offer the table on the host itself."""
    return [Mounts(host)] if host.platform == "windows" else []
