"""What a query wants of the sockets: protocols, states, ports and addresses."""

import socket
from collections.abc import Collection
from functools import partial

from zeek_agent_core.api import Where
from zeek_agent_linux._memo import Memo
from zeek_agent_linux._sockdiag import Filter, Socket
from zeek_agent_linux._socklists import KINDS, TCP, V4, V6, Kind, Listing

STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECEIVED",
    4: "FIN_WAIT_1",
    5: "FIN_WAIT_2",
    6: "TIME_WAIT",
    7: "CLOSED",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECEIVED",  # NEW_SYN_RECV: a request that has no socket of its own yet
}
"""Names by number, as in include/net/tcp_states.h of the kernel."""
FAMILIES = {V4: "IPv4", V6: "IPv6"}
ADDRESSES = {family: Memo[bytes, str](partial(socket.inet_ntop, family)) for family in FAMILIES}
"""Text of addresses by their bytes; they repeat."""


def wanted_kinds(where: Where) -> list[Kind]:
    """Return the kinds of sockets that can match; only TCP has states."""
    families, protocols = where.values("family"), where.values("protocol")
    has_state = where.values("state") is not None
    return [
        kind
        for kind in KINDS
        if (families is None or FAMILIES[kind.family] in families)
        and (protocols is None or kind.protocol in protocols)
        and (kind.protocol == TCP or not has_state)
    ]


def wanted_filter(where: Where) -> Filter:
    """Return what the kernel can select itself."""
    states = where.values("state")
    bits = Filter().states
    if states is not None:
        bits = sum(1 << number for number, name in STATES.items() if name in states)
    return Filter(bits, _port(where, "local_port"), _port(where, "remote_port"))


def _port(where: Where, name: str) -> int:
    """Return the one port that is wanted, 0 if it is any, several or no port at all."""
    port = where.equal(name)
    return port if isinstance(port, int) and 0 < port < 1 << 16 else 0


def matching(listing: Listing, where: Where) -> Listing:
    """Return the listing without sockets whose ports or addresses are not wanted."""
    sockets = listing.sockets
    sockets = _within(sockets, 1, where.values("local_port"))
    sockets = _within(sockets, 2, where.values("remote_port"))
    addresses = ADDRESSES[listing.kind.family]
    local, remote = where.values("local_addr"), where.values("remote_addr")
    if local is not None:
        sockets = [found for found in sockets if addresses[found[3]] in local]
    if remote is not None:
        sockets = [found for found in sockets if addresses[found[4]] in remote]
    return listing._replace(sockets=sockets)


def _within(sockets: list[Socket], position: int, ports: Collection[int] | None) -> list[Socket]:
    if ports is None:
        return sockets
    wanted = {socket.htons(port) for port in ports if isinstance(port, int) and 0 <= port < 1 << 16}
    return [found for found in sockets if found[position] in wanted]
