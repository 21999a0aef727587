"""Parses the lists of sockets below ``/proc/net``.

Sources: proc(5) (``/proc/pid/net/tcp``), net/ipv4/tcp_ipv4.c, net/ipv6/udp.c.
"""

import struct
from functools import lru_cache
from socket import htons

from zeek_agent_linux._sockdiag import Filter, Socket

_FIELDS = 10
_V4, _V6 = 8, 32
"""Hexadecimal digits of an address."""


@lru_cache(maxsize=4096)
def parse_address(digits: str) -> bytes:
    """Return an address in network order: the kernel prints words as they are in memory."""
    if len(digits) not in (_V4, _V6):
        raise ValueError("not an address")
    words = struct.unpack(f">{len(digits) // 8}I", bytes.fromhex(digits))
    return struct.pack(f"={len(words)}I", *words)


def parse_sockets(text: str, only: Filter) -> list[Socket]:
    """Return the sockets in one list that *only* wants; `ValueError` if it is no such list."""
    found: list[Socket] = []
    for line in text.splitlines()[1:]:
        fields = line.split(None, _FIELDS)
        if len(fields) < _FIELDS:
            raise ValueError(f"not a line of sockets: {line.strip()[:80]!r}")
        local, _, local_port = fields[1].partition(":")
        remote, _, remote_port = fields[2].partition(":")
        state, sport, dport = int(fields[3], 16), int(local_port, 16), int(remote_port, 16)
        if not only.states >> state & 1:
            continue
        if only.local_port not in (0, sport) or only.remote_port not in (0, dport):
            continue
        ports = htons(sport), htons(dport)
        found.append((state, *ports, parse_address(local), parse_address(remote), int(fields[9])))
    return found
