"""TCP sockets that no process holds, without a look at each socket.

The kernel counts the sockets in its lists. Those that processes hold, and those
that netlink lists in the states of connections that begin or end, are mostly all
there are. If they are not, somebody has to look at each: there may be connections
that wait to be accepted, sockets on their way between processes, or of the kernel.
"""

from itertools import compress

from zeek_agent_linux import _netns, _sockstat
from zeek_agent_linux._bpf.programs.open_sockets import OPEN, TCP_LIST, UDP_LIST
from zeek_agent_linux._opensockets import Held, OpenSockets
from zeek_agent_linux._sockdiag import Filter
from zeek_agent_linux._socklists import KINDS, TCP, V4, Lister, Listing

REQUEST = 3
"""The state of a connection that begins (SYN_RECEIVED), as netlink tells it."""
LOOSE = sum(1 << state for state in (3, 4, 5, 6, 9, 10, 11, 12))
"""All states but those in which a connection has an owner, or waits to be accepted.

A listening socket may be that of a process that the agent cannot see.
"""
FIRST = [kind for kind in KINDS if kind.protocol == TCP and kind.family == V4]
SECOND = [kind for kind in KINDS if kind.protocol == TCP and kind.family != V4]
PASSES = 16
"""Queries after which it is tried again where it failed."""


class Ownerless:
    """Finds the sockets of the agent's own network namespace that no process holds."""

    def __init__(self, lister: Lister) -> None:
        """Ask the kernel through *lister*."""
        self._lister = lister
        self._pause = 0

    def find(self, part: OpenSockets) -> tuple[Held, list[Listing]] | None:
        """Return what processes hold, and the others, all TCP; None if there may be more.

        Whatever comes to be meanwhile makes the numbers differ.
        """
        if self._pause:
            self._pause -= 1
            return None
        found = self._found(part)
        if found is None:
            self._pause = PASSES
        return found

    def _loose(self) -> tuple[list[Listing], _sockstat.Counts] | None:
        """Return what netlink lists in those states, then the counts; None if it cannot."""
        only = Filter(LOOSE)
        try:
            before = _sockstat.read()
            listings = self._lister.dumped(FIRST, only)
            if listings is None:
                return None
            ended = sum(not inode for each in listings for *_, inode in each.sockets)
            if before.tcp6 or ended < before.ended:
                more = self._lister.dumped(SECOND, only)
                if more is None:
                    return None
                listings += more
            return listings, _sockstat.read()
        except (OSError, ValueError):
            return None

    def _found(self, part: OpenSockets) -> tuple[Held, list[Listing]] | None:
        loose = self._loose()
        if loose is None:
            return None
        listings, counts = loose
        held = Held(part.held())
        listings = [
            each._replace(sockets=[found for found in each.sockets if found[-1] not in held.inodes])
            for each in listings
        ]
        others = sum(state != REQUEST for each in listings for state, *_ in each.sockets)
        tcp, udp = held_in(held.records(), _netns.own("/proc").inode)
        if tcp + others != counts.tcp + counts.tcp6 + counts.ended:
            return None
        return (held, listings) if udp == counts.udp + counts.udp6 else None


def held_in(raw: bytes, netns: int | None) -> tuple[int, int]:
    """Return how many of the sockets in *raw* a namespace has in its lists of TCP and UDP."""
    column, lists = OPEN.column(raw, "netns"), OPEN.letters(raw, "list")
    if set(column) != {netns}:
        lists = bytes(compress(lists, (inode == netns for inode in column)))
    return lists.count(TCP_LIST), lists.count(UDP_LIST)
