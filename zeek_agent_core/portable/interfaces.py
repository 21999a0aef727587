"""Rows of ``interfaces``, which psutil knows on every system."""

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from zeek_agent_core.api import Host, Row, Where
from zeek_agent_core.schema import interfaces

IP_FAMILIES = (socket.AF_INET, socket.AF_INET6)
UNKNOWN_SPEED = 0xFFFF  # Linux has this, or -1, where it does not know


class Network(Protocol):
    """The part of psutil that is asked."""

    AF_LINK: int

    def net_if_addrs(self) -> Mapping[str, Sequence[Any]]:
        """Return the addresses of each interface: `family`, `address`, `netmask`."""

    def net_if_stats(self) -> Mapping[str, Any]:
        """Return `isup`, `flags`, `mtu` and `speed` (Mbit/s) of each interface."""


class Interfaces(interfaces.Interfaces):  # noqa: D101 - described by its declaration
    def __init__(self, host: Host, network: Network | None = None) -> None:
        """Ask *network*, which is psutil unless it is given."""
        super().__init__(host)
        self._network = network

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there are few
        """Yield a row per interface, on Linux of the agent's network namespace."""
        asked: Any = self._network
        if asked is None:
            import psutil as asked  # noqa: PLC0415 - 10 ms that not every agent needs
        addresses = asked.net_if_addrs()
        indexes = {name: index for index, name in socket.if_nameindex()}
        for name, status in sorted(asked.net_if_stats().items()):
            known = addresses.get(name, [])
            yield {
                "name": name,
                "number": indexes.get(name),
                "mac": mac_address(known, asked.AF_LINK),
                "mtu": status.mtu,
                "speed": status.speed if 0 < status.speed < UNKNOWN_SPEED else None,
                **state(status, known),
                "addresses": {address for address, _ in ip_addresses(known)},
                "networks": {network for _, network in ip_addresses(known) if network},
            }


def state(status: Any, known: Iterable[Any]) -> Row:
    """Return the columns that are flags; Windows has but one, and knows loopback by address."""
    if not status.flags:
        loopback = any(ipaddress.ip_address(ip).is_loopback for ip, _ in ip_addresses(known))
        return {"is_up": status.isup, "is_running": status.isup, "is_loopback": loopback}
    flags = set(status.flags.split(","))
    return {f"is_{flag}": flag in flags for flag in ("up", "running", "loopback")}


def mac_address(known: Iterable[Any], family: int) -> str | None:
    """Return the hardware address; loopback's, all zero, is none."""
    for entry in known:
        if entry.family == family and entry.address.strip("0:-"):
            return str(entry.address).replace("-", ":").lower()
    return None


def ip_addresses(known: Iterable[Any]) -> Iterator[tuple[str, str | None]]:
    """Yield each IP address with the network it is in, if that has a mask."""
    for entry in known:
        if entry.family in IP_FAMILIES:
            address = entry.address.partition("%")[0]
            yield address, network(address, entry.netmask)


def network(address: str, mask: str | None) -> str | None:
    """Return the network of *address*; psutil gives masks of IPv6 as addresses."""
    if not mask:
        return None
    bits = int(ipaddress.ip_address(mask)).bit_count()
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
