"""``interfaces``: network interfaces and their addresses."""

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.portable import interfaces


class Interfaces(interfaces.Interfaces):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`GetAdaptersAddresses`, through psutil",
        needs="-",
        verified="the same code on Linux; a scripted host with what psutil gives on Windows",
        null=("number",),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[Interfaces]:
    """Offer the table on the host itself."""
    return [Interfaces(host)] if host.platform == "windows" else []
