"""SQL functions of our own; each is pure, none does I/O."""

import ipaddress
import posixpath
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zeek_agent_core.errors import StatementError
from zeek_agent_core.regexps import search
from zeek_agent_core.values import iso_time

if TYPE_CHECKING:
    import apsw

IPV4 = 4


def regexp(pattern: Any, text: Any) -> int | None:
    """Return 1 where *pattern* matches anywhere in *text*: `regexp(p, t)`, `t REGEXP p`."""
    if pattern is None or text is None:
        return None
    subject = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text)
    return int(search(str(pattern), subject))


def iso(time: Any) -> str | None:
    """Return a time (µs since the epoch) as RFC 3339 text in UTC."""
    if not isinstance(time, int | float):
        return None
    try:
        return iso_time(int(time))
    except (OverflowError, ValueError):
        return None


def seconds(interval: Any) -> float | None:
    """Return an interval (ns) in seconds."""
    return interval / 1e9 if isinstance(interval, int | float) else None


@lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise StatementError(f"cidr_contains: {error}") from error


def cidr_contains(network: Any, address: Any) -> int | None:
    """Return 1 where *network* (`10.0.0.0/8`) holds *address*; IPv4-mapped IPv6 counts as IPv4."""
    if network is None or not isinstance(address, str):
        return None
    inside = _network(str(network))
    host = _address(address)
    if host is None:
        return None
    if isinstance(host, ipaddress.IPv6Address) and inside.version == IPV4 and host.ipv4_mapped:
        host = host.ipv4_mapped
    return int(host.version == inside.version and host in inside)


def ip_version(address: Any) -> int | None:
    """Return 4 or 6 for the text of an IP address, else NULL."""
    host = _address(address) if isinstance(address, str) else None
    return None if host is None else host.version


def basename(path: Any) -> str | None:
    """Return the last component of a path."""
    return posixpath.basename(path) if isinstance(path, str) else None


def dirname(path: Any) -> str | None:
    """Return a path without its last component."""
    return posixpath.dirname(path) if isinstance(path, str) else None


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, str]] = {
    "regexp": (regexp, 2, "regexp(pattern, text)"),
    "iso": (iso, 1, "iso(time)"),
    "seconds": (seconds, 1, "seconds(interval)"),
    "cidr_contains": (cidr_contains, 2, "cidr_contains(network, address)"),
    "ip_version": (ip_version, 1, "ip_version(address)"),
    "basename": (basename, 1, "basename(path)"),
    "dirname": (dirname, 1, "dirname(path)"),
}
"""Name to function, number of arguments, and signature for help."""


def register(connection: "apsw.Connection") -> None:
    """Make all functions known to *connection*."""
    import apsw  # noqa: PLC0415 - the module is used without SQLite too

    flags = apsw.SQLITE_INNOCUOUS
    for name, (function, arguments, _) in FUNCTIONS.items():
        connection.create_scalar_function(
            name, function, arguments, deterministic=True, flags=flags
        )
