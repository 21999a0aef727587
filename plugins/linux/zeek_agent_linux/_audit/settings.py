"""The settings that all audit tables share, section `[tables.audit]`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from zeek_agent_core.api import Host

SECTION = "audit"
OFF = "off"
"""In place of a source: there are no audit tables."""

SYSCALLS = ("process", "fork", "socket", "accept", "file")
"""Groups of system calls that can be audited."""

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "source": "",
        "initial": False,
        "socket": "",
        "manage_rules": False,
        "syscalls": ("process", "fork", "socket", "accept"),
        "directories": (),
        "backlog_limit": 8192,
        "ignore_self": True,
        "unix_sockets": False,
    }
)

SOCKETS = ("/var/run/audispd_events", "/run/audit/audispd_events")
"""Where auditd's plugin `af_unix` listens, up to version 4.0 and since then."""


class Settings(NamedTuple):
    """The settings, by their keys."""

    source: str
    socket: str
    manage_rules: bool
    syscalls: frozenset[str]
    directories: tuple[str, ...]
    backlog_limit: int
    ignore_self: bool
    unix_sockets: bool

    @classmethod
    def of(cls, host: Host) -> Self:
        """Return the settings of *host*, whichever table asks."""
        given = {**DEFAULTS, **host.settings.get(SECTION, {})}
        del given["initial"]
        given["syscalls"] = frozenset(given["syscalls"])
        given["directories"] = tuple(given["directories"])
        return cls(**given)
