"""Pure: rows of ``logins_events`` from the audits of logons, and from starts of the system."""

import ipaddress
from typing import Any

from zeek_agent_core.api import Row, storable
from zeek_agent_windows._eventlog import Event

KERNEL = "Microsoft-Windows-Kernel-General"
AUDITING = "Microsoft-Windows-Security-Auditing"
ACTIONS = {
    (AUDITING, 4624): "login",
    (AUDITING, 4625): "failed",
    (AUDITING, 4634): "logout",
    (AUDITING, 4647): "logout",
    (KERNEL, 12): "boot",
    (KERNEL, 13): "shutdown",
}
QUERY = (
    "*[System[EventID=4624 or EventID=4625 or EventID=4634 or EventID=4647 or "
    f"(Provider[@Name='{KERNEL}'] and (EventID=12 or EventID=13))]]"
)
METHODS = {
    "2": "interactive",
    "3": "network",
    "4": "batch",
    "5": "service",
    "7": "unlock",
    "8": "network_cleartext",
    "9": "new_credentials",
    "10": "remote_interactive",
    "11": "cached_interactive",
}
"""Types of logons, as in `SECURITY_LOGON_TYPE` of ``<ntsecapi.h>``."""
MOST = 65_536
PORTS = 65_536


class Logons:
    """Makes rows; remembers sessions, so that their ends tell how long they were."""

    def __init__(self) -> None:
        """Know no session."""
        self._since: dict[str, int] = {}

    def row(self, event: Event) -> Row | None:
        """Return the row of an event, if it is about a login or a start."""
        action = ACTIONS.get((event.provider or "", event.number or 0))
        if action is None:
            return None
        row: dict[str, Any] = {"action": action}
        if event.time is not None:
            row["time"] = event.time
        if event.provider == KERNEL:
            return row
        row |= _told(event)
        session = row["session"]
        if session is not None and event.time is not None:
            if action == "login":
                self._remember(session, event.time)
            elif action == "logout" and session in self._since:
                row["duration"] = max(event.time - self._since.pop(session), 0) * 1000
        return row

    def _remember(self, session: str, since: int) -> None:
        self._since[session] = since
        if len(self._since) > MOST:
            del self._since[next(iter(self._since))]


def _told(event: Event) -> dict[str, Any]:
    user, domain = _text(event, "TargetUserName"), _text(event, "TargetDomainName")
    kind = _text(event, "LogonType")
    service = _text(event, "LogonProcessName")
    return {
        "user": f"{domain}\\{user}" if domain and user else user,
        "address": _address(_text(event, "IpAddress")),
        "port": _number(_text(event, "IpPort"), PORTS),
        "host": _text(event, "WorkstationName"),
        "pid": _number(_text(event, "ProcessId"), 1 << 32),
        "service": service.strip() or None if service else None,
        "method": METHODS.get(kind, f"unknown ({kind})") if kind else None,
        "session": _text(event, "TargetLogonId"),
    }


def _text(event: Event, name: str) -> str | None:
    """Return a parameter; a hyphen stands for none."""
    value = event.data.get(name)
    return storable(value) if value and value != "-" else None


def _number(text: str | None, limit: int) -> int | None:
    """Return a number below *limit*, decimal or `0x...`; zero is none."""
    try:
        value = int(text, 0) if text else 0
    except ValueError:
        return None
    return value if 0 < value < limit else None


def _address(text: str | None) -> str | None:
    """Return where a user came from; None for this host itself."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return None if address.is_loopback or address.is_unspecified else str(address)
