"""``interfaces``: network interfaces and their addresses."""

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from zeek_agent_core.api import Host, Row, Where, hookimpl
from zeek_agent_core.schema import interfaces

IP_FAMILIES = (socket.AF_INET, socket.AF_INET6)
UNKNOWN_SPEED = 0xFFFF  # the kernel has this, or -1, where it does not know


class Interfaces(interfaces.Interfaces):  # noqa: D101 - described by its declaration
    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there are few
        """Yield a row per interface of the agent's network namespace."""
        import psutil  # noqa: PLC0415 - 10 ms that not every agent needs

        addresses = psutil.net_if_addrs()
        indexes = {name: index for index, name in socket.if_nameindex()}
        for name, status in sorted(psutil.net_if_stats().items()):
            flags = set(status.flags.split(","))
            known = addresses.get(name, [])
            yield {
                "name": name,
                "number": indexes.get(name),
                "mac": mac_address(known, psutil.AF_LINK),
                "mtu": status.mtu,
                "is_up": "up" in flags,
                "is_running": "running" in flags,
                "is_loopback": "loopback" in flags,
                "speed": status.speed if 0 < status.speed < UNKNOWN_SPEED else None,
                "addresses": {address for address, _ in ip_addresses(known)},
                "networks": {network for _, network in ip_addresses(known) if network},
            }


def mac_address(known: Iterable[Any], family: int) -> str | None:
    """Return the hardware address; loopback's, all zero, is none."""
    for entry in known:
        if entry.family == family and entry.address.strip("0:"):
            return str(entry.address)
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


@hookimpl
def zeek_agent_tables(host: Host) -> list[Interfaces]:
    """Offer the table on the host itself: addresses are in no file."""
    return [] if host.prefix else [Interfaces(host)]
