"""The trace event for the state of TCP sockets: its fields, and filters for it; pure.

Source: include/trace/events/sock.h. Ports are in host order there.
"""

from collections.abc import Collection
from typing import Any

from zeek_agent_core.api import Where
from zeek_agent_linux._socklists import V4, V6
from zeek_agent_linux._sockquery import ADDRESSES, FAMILIES
from zeek_agent_linux._tcpstates import CLOSE, ESTABLISHED, LISTEN, SYN_SENT, TCP, Ends
from zeek_agent_linux._tracefs import Traced

TRACED = Traced(
    "sock/inet_sock_set_state",
    (
        "common_flags", "common_pid", "skaddr", "oldstate", "newstate", "sport", "dport",
        "family", "saddr", "daddr", "saddr_v6", "daddr_v6",
    ),
)  # fmt: skip
PORTS = 16
"""More ports than that are not worth a filter."""


def parse_ends(
    family: int, sport: int, dport: int, v4: tuple[bytes, bytes], v6: tuple[bytes, bytes]
) -> Ends | None:
    """Return the ends of a socket, None for one of another family than IP."""
    if family == V4:
        local, remote = v4
    elif family == V6:
        local, remote = v6
    else:
        return None
    addresses = ADDRESSES[family]
    return Ends(FAMILIES[family], addresses[local], sport, addresses[remote], dport)


def filter_text(where: Where) -> str:
    """Return the filter that lets pass what a query may need for *where*.

    The local port of a connection is not chosen yet when it begins, and all
    that listens is needed for the owners of what is accepted.
    """
    listens = f"newstate == {LISTEN} || oldstate == {LISTEN}"
    begins = f"(oldstate == {CLOSE} && newstate == {SYN_SENT})"
    told = _any("newstate", (SYN_SENT, ESTABLISHED, LISTEN, CLOSE))
    terms = [f"protocol == {TCP}", told]
    families = where.values("family")
    if families is not None:
        numbers = [number for number, name in FAMILIES.items() if name in families]
        terms.append(_any("family", numbers))
    states = where.values("state")
    if states is not None and set(states) <= {"listen"}:
        terms.append(listens)
    local, remote = _ports(where.values("local_port")), _ports(where.values("remote_port"))
    if local:
        terms.append(f"{_any('sport', local)} || {begins}")
    if remote:
        terms.append(f"{_any('dport', remote)} || {listens}")
    return " && ".join(f"({term})" for term in terms)


def _ports(values: Collection[Any] | None) -> list[int]:
    """Return the ports to filter by; none for any port, or very many."""
    if values is None or len(values) > PORTS:
        return []
    return sorted(port for port in values if isinstance(port, int) and 0 <= port < 1 << 16)


def _any(field: str, numbers: Collection[int]) -> str:
    return " || ".join(f"{field} == {number}" for number in numbers) or f"{field} == 65535"
