"""How many sockets a network namespace has, as the kernel counts them.

Source: net/ipv4/proc.c and net/ipv6/proc.c of the kernel.
"""

from typing import NamedTuple

from zeek_agent_linux import _procfs

DIRECTORY = "/proc/thread-self/net"
MOST_BYTES = 65_536


class Counts(NamedTuple):
    """Sockets that the kernel has in its lists."""

    tcp: int
    """Connections and listening sockets of IPv4, other than those in `ended` and requests."""
    udp: int
    ended: int
    """What stays of TCP connections of both families for a while (TIME_WAIT)."""
    tcp6: int = 0
    """The same of IPv6."""
    udp6: int = 0


def read() -> Counts:
    """Return the counts of this thread's network namespace.

    Raises `OSError` if they cannot be read, `ValueError` if they are not understood.
    """
    counts = parse(_procfs.read_up_to(f"{DIRECTORY}/sockstat", MOST_BYTES))
    try:
        more = parse(_procfs.read_up_to(f"{DIRECTORY}/sockstat6", MOST_BYTES))
    except FileNotFoundError:  # the kernel has no IPv6
        return counts
    return counts._replace(tcp6=more.tcp, udp6=more.udp)


def parse(raw: bytes) -> Counts:
    """Return the counts in one of the two files."""
    found: dict[bytes, dict[bytes, int]] = {}
    for line in raw.splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        found[name.rstrip(b"6")] = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    try:
        tcp, udp = found[b"TCP"], found[b"UDP"]
        return Counts(tcp[b"inuse"], udp[b"inuse"], tcp.get(b"tw", 0))
    except KeyError as error:
        raise ValueError(f"no {error} among the counts of sockets") from error
