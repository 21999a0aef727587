"""Offers osquery's tables where the configuration has osquery's socket."""

from zeek_agent_core.api import Discovery, Host, hookimpl
from zeek_agent_osquery._settings import settings


@hookimpl
def zeek_agent_discoveries(host: Host) -> list[Discovery]:
    """Watch osquery, if its socket is known."""
    if not settings(host)["extensions_socket"]:
        return []
    from zeek_agent_osquery._watching import OsqueryTables  # noqa: PLC0415 - not at every start

    return [OsqueryTables(host)]
