"""Which sockets came and went between two looks at the kernel's lists."""

import os
from collections.abc import Collection, Hashable, Sequence
from contextlib import suppress
from socket import ntohs
from time import time_ns
from typing import NamedTuple

from zeek_agent_core.api import Host
from zeek_agent_linux import _netns, _procfs
from zeek_agent_linux._owners import Owners
from zeek_agent_linux._sockdiag import Filter
from zeek_agent_linux._sockends import Ending
from zeek_agent_linux._socklists import KINDS, TCP, Lister, Listing
from zeek_agent_linux._sockquery import ADDRESSES, FAMILIES
from zeek_agent_linux._sockrows import Flow
from zeek_agent_linux._tcpstates import Ends, Told, ends_of

UDP = 17
SHARE = 20
"""A look may take this part of the time between two looks."""
CLOSE, LISTEN = 7, 10
ALIVE = Filter(states=sum(1 << state for state in (1, 4, 5, 7, 8, 9, 10, 11)))
"""All states but those that come before a connection and after it."""
ENDING = {4, 5, 9, 11}
"""FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING."""

Port = tuple[int | None, int, int]
"""Network namespace, protocol and number."""


class Found(NamedTuple):
    """A socket in the kernel's lists."""

    flow: Flow
    inode: int
    is_ending: bool
    """Whether its process has let go of it: the kernel is about to end it."""


class Differences:
    """The sockets of some protocols in all network namespaces, from one look to the next.

    All calls are for one thread at a time.
    """

    def __init__(self, host: Host, protocols: Collection[int]) -> None:
        """Look at the sockets of *host*; nothing is known before the first look."""
        self._prefix = host.prefix
        self._proc = f"{host.prefix}/proc"
        self._kinds = [kind for kind in KINDS if kind.protocol in protocols]
        self._lister = Lister(self._proc, lambda _: None, is_live=not host.prefix)
        self._owners = Owners(self._proc)
        self._own_netns = _netns.own(self._proc).inode
        self._known: dict[Hashable, Flow] = {}
        self._ports: set[Port] = set()
        self._by_ends: dict[tuple[int, Ends], Hashable] = {}
        """Keys of what is known in the agent's own network namespace."""
        self._ended: set[tuple[int, Ends]] = set()
        """What has ended since the last look."""
        self._is_first = True

    def look(self) -> list[Told]:
        """Return what is to be told since the last look; `Flow.since` is the wall clock's."""
        return self.compare(self.listed())

    def listed(self) -> list[Listing]:
        """Return what the kernel lists now."""
        namespaces = _netns.seen(self._proc, self._prefix).known.values()
        return self._lister.sockets(namespaces or [_netns.own(self._proc)], self._kinds, ALIVE)

    def compare(self, listings: Sequence[Listing]) -> list[Told]:
        """Return as `look` does, from *listings*.

        `end` must have been told of all that ended before they were made.
        """
        before, now = self._known, time_ns()
        self._ports = listening_ports(listings)
        found = {
            key: each
            for key, each in flows(listings, self._ports).items()
            if key in before or not (each.is_ending or self._has_ended(each.flow))
        }
        self._ended.clear()
        self._known = {key: before.get(key, flow) for key, (flow, _, _) in found.items()}
        self._by_ends = {
            (flow.protocol, ends_of(flow)): key
            for key, flow in self._known.items()
            if flow.netns == self._own_netns
        }
        told: list[Told] = [("closed", flow) for key, flow in before.items() if key not in found]
        new = [each for key, each in found.items() if key not in before]
        self._find_owners(new)
        if self._is_first:
            self._is_first = False
            return []
        for flow, _, _ in new:
            flow.since = now
            told.append(("listen" if flow.is_listening else "established", flow))
        return told

    def end(self, ending: Ending) -> list[Told]:
        """Return what is to be told of a socket that the kernel says is no more.

        If no look has seen it, it began since the last one, and its process is
        not known, unless somebody listens for it.
        """
        ends, protocol = ending.ends, ending.protocol
        self._ended.add((protocol, ends))
        key = self._by_ends.pop((protocol, ends), None)
        if key is not None and key in self._known:
            return [("closed", self._known.pop(key))]
        if not ends.remote_port or not ends.local_port:
            return []  # it never had a peer, or was reset, which forgets it
        flow = Flow(
            f"{ends} {time_ns()}", ends.family, protocol, ends.local_addr, ends.local_port,
            ends.remote_addr, ends.remote_port, netns=self._own_netns,
        )  # fmt: skip
        if (flow.netns, protocol, flow.local_port) in self._ports:
            flow.direction = "in"
            self._own_by_listener([flow])
        elif protocol == TCP and not ending.acked and not ending.received:
            flow.direction = "out"
            return [("failed", flow)]  # not even its SYN was acknowledged
        elif ending.has_opened:
            flow.direction = "out"
        return [("established", flow), ("closed", flow)]

    def _has_ended(self, flow: Flow) -> bool:
        """Return whether a connection has ended after it was listed."""
        is_own = flow.netns == self._own_netns and not flow.is_listening
        return is_own and (flow.protocol, ends_of(flow)) in self._ended

    def _find_owners(self, new: Collection[Found]) -> None:
        """Add the owners of *new* flows."""
        owners = self._owners.find({each.inode for each in new})
        for flow, inode, _ in new:
            self._own(flow, owners.get(inode))
        self._own_by_listener([flow for flow, _, _ in new if flow.pid is None])

    def _own_by_listener(self, orphans: Sequence[Flow]) -> None:
        """Let connections that were not accepted yet, or not seen, be their listeners'."""
        if not any(flow.direction == "in" for flow in orphans):
            return
        listeners = {
            (flow.netns, flow.protocol, flow.local_port): flow.pid
            for flow in self._known.values()
            if flow.is_listening
        }
        for flow in orphans:
            if flow.direction == "in":
                self._own(flow, listeners.get((flow.netns, flow.protocol, flow.local_port)))

    def _own(self, flow: Flow, pid: int | None) -> None:
        flow.pid = pid
        if pid is None:
            return
        directory = f"{self._proc}/{pid}"
        with suppress(OSError):
            status = os.stat(directory)  # noqa: PTH116 - paths cost more
            flow.uid, flow.gid = status.st_uid, status.st_gid
            flow.process = _procfs.name(_procfs.read(directory + "/comm")[:-1])


def listening_ports(listings: Sequence[Listing]) -> set[Port]:
    """Return where connections may come in."""
    return {
        (listing.netns, listing.kind.protocol, ntohs(each[1]))
        for listing in listings
        for each in listing.sockets
        if each[0] == LISTEN
    }


def flows(listings: Sequence[Listing], ports: Collection[Port]) -> dict[Hashable, Found]:
    """Return each connection and each listening socket.

    The keys are the same at each look.
    """
    found: dict[Hashable, Found] = {}
    for netns, kind, sockets in listings:
        addresses, family, protocol = ADDRESSES[kind.family], FAMILIES[kind.family], kind.protocol
        for state, local, remote, local_addr, remote_addr, inode in sockets:
            if protocol == TCP and state == CLOSE:
                continue
            is_listening = state == (LISTEN if protocol == TCP else CLOSE)
            local_port = ntohs(local)
            is_in = (netns, protocol, local_port) in ports
            flow = Flow(
                "", family, protocol, addresses[local_addr], local_port,
                addresses[remote_addr], ntohs(remote), "in" if is_in else "out",
                netns=netns, is_listening=is_listening,
            )  # fmt: skip
            if is_listening:
                flow.direction = None
            # A connection whose process has let go of it has no inode any more.
            own = inode if is_listening or protocol != TCP else None
            key = (netns, protocol, ends_of(flow), own)
            flow.key = f"{key} {inode}"
            found[key] = Found(flow, inode, not inode and state in ENDING)
    return found
