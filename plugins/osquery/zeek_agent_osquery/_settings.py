"""The section `[osquery]` of the configuration; all that a start without osquery needs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host

SECTION = "osquery"
SETTINGS: Mapping[str, Any] = MappingProxyType({
    "extensions_socket": "",
    "timeout": 5.0,
    "retry_interval": 30.0,
    "refresh_interval": 60.0,
    "prefix": "osquery_",
    "plain_names": True,
    "include_events": (),
    "exclude": (),
    "allow_queries": False,
    "max_rows": 100_000,
    "max_reply": 64,
})  # fmt: skip
"""Its keys with their defaults; without a socket osquery is not asked."""


def settings(host: Host) -> dict[str, Any]:
    """Return the settings of *host*, defaults included."""
    return {**SETTINGS, **host.settings.get(SECTION, {})}
