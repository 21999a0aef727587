"""Pure: the address of a socket, as a SOCKADDR record has it (struct sockaddr, see ip(7))."""

import ipaddress
import sys
from typing import NamedTuple

from zeek_agent_core.api import text
from zeek_agent_linux._audit.records import unhexed

UNIX, IPV4, IPV6 = 1, 2, 10


class SocketAddress(NamedTuple):
    """An address; what the bytes do not hold is None."""

    family: int
    address: str | None = None
    """IP address, an IPv4 one mapped into IPv6 as IPv4; or the path of a Unix socket."""
    port: int | None = None


def parse_sockaddr(digits: str | None) -> SocketAddress | None:
    """Return the address in the field `saddr`; None if there is none."""
    raw = unhexed(digits or "")
    if raw is None or len(raw) < 2:  # noqa: PLR2004 - the family
        return None
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == IPV4 and len(raw) >= 8:  # noqa: PLR2004 - of struct sockaddr_in
        return SocketAddress(family, str(ipaddress.IPv4Address(raw[4:8])), _port(raw))
    if family == IPV6 and len(raw) >= 24:  # noqa: PLR2004 - of struct sockaddr_in6
        return SocketAddress(family, ip_text(raw[8:24]), _port(raw))
    if family == UNIX:
        return SocketAddress(family, unix_path(raw[2:]))
    return SocketAddress(family)


def _port(raw: bytes) -> int:
    return int.from_bytes(raw[2:4], "big")


def ip_text(raw: bytes) -> str:
    """Return 16 bytes as an IP address, in its shortest form."""
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)


def unix_path(raw: bytes) -> str | None:
    """Return the path of a Unix socket; an abstract name begins with `@`, without a name None."""
    if raw[:1] == b"\0":
        name = raw[1:].rstrip(b"\0")
        return "@" + text(name) if name else None
    return text(raw.partition(b"\0")[0]) or None
