"""``sockets_events`` from listing the sockets again and again.

What lives from one look to the next is told, with its owner.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from socket import ntohs
from time import monotonic, time_ns

from zeek_agent_core.api import Row, Source, Sourced, TableError
from zeek_agent_linux import _netns, _procfs, _sockseed
from zeek_agent_linux._owners import Owners
from zeek_agent_linux._sockdiag import Filter
from zeek_agent_linux._socklists import KINDS, TCP, Lister, Listing
from zeek_agent_linux._sockquery import ADDRESSES, FAMILIES
from zeek_agent_linux._sockrows import Flow, SocketRows

UDP = 17
WATCHED = [kind for kind in KINDS if kind.protocol in {TCP, UDP}]
SHARE = 20
"""A look may take this part of the time between two looks."""
ESTABLISHED, CLOSE, LISTEN = 1, 7, 10
ALIVE = Filter(states=sum(1 << state for state in (1, 4, 5, 7, 8, 9, 10, 11)))
"""All states but those that come before a connection and after it."""

Key = tuple[object, ...]


class PollingSource(Source):
    """Differences between the sockets now and those of a moment ago."""

    name = "polling"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._prefix = table.host.prefix
        self._proc = f"{self._prefix}/proc"
        self._lister = Lister(self._proc, table.warn, is_live=not self._prefix)
        self._owners = Owners(self._proc)
        self._rows = SocketRows(table)
        self._known: dict[Key, Flow] = {}
        self._is_first = True

    def check(self) -> None:
        """See whether there is a ``/proc``."""
        if not any(_procfs.listed(self._proc)):
            raise TableError(self.table.name, f"no processes below {self._proc}")

    def existing(self) -> Iterable[Row]:
        """Return all sockets that are open."""
        return _sockseed.open_sockets(self.table)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what has changed since the last look."""
        await asyncio.to_thread(lambda: list(self._look()))
        yield []
        pause = interval = self.table.setting("interval")
        while True:
            await asyncio.sleep(pause)
            began = monotonic()
            yield await asyncio.to_thread(lambda: list(self._look()))
            pause = max(interval, SHARE * (monotonic() - began))

    def _look(self) -> Iterator[Row]:
        """Yield a row for each socket that came or went; for a thread."""
        self._rows.refresh()
        before, now = self._known, time_ns()
        found = _flows(self._list())
        self._known = {key: before.get(key, flow) for key, (flow, _) in found.items()}
        for key in before.keys() - found.keys():
            yield from self._row(before[key], "closed", now, now)
        new = {key: each for key, each in found.items() if key not in before}
        self._find_owners(new.values())
        for flow, _ in new.values():
            if not self._is_first:
                flow.since = now
                yield from self._row(flow, "listen" if flow.is_listening else "established", now)
        self._is_first = False

    def _row(self, flow: Flow, state: str, now: int, until: int | None = None) -> list[Row]:
        row = self._rows.row(flow, state, now // 1000, until)
        return [] if row is None else [row]

    def _list(self) -> list[Listing]:
        namespaces = _netns.seen(self._proc, self._prefix).known.values()
        return self._lister.sockets(namespaces or [_netns.own(self._proc)], WATCHED, ALIVE)

    def _find_owners(self, new: Collection[tuple[Flow, int]]) -> None:
        """Add the owners of *new* flows; a connection not yet accepted is its listener's."""
        owners = self._owners.find({inode for _, inode in new})
        for flow, inode in new:
            self._own(flow, owners.get(inode))
        listeners = {
            (flow.netns, flow.local_port): flow.pid
            for flow in self._known.values()
            if flow.is_listening
        }
        for flow, _ in new:
            if flow.pid is None and flow.direction == "in":
                self._own(flow, listeners.get((flow.netns, flow.local_port)))

    def _own(self, flow: Flow, pid: int | None) -> None:
        flow.pid = pid
        if pid is None:
            return
        directory = f"{self._proc}/{pid}"
        with suppress(OSError):
            status = os.stat(directory)  # noqa: PTH116 - paths cost more
            flow.uid, flow.gid = status.st_uid, status.st_gid
            flow.process = _procfs.name(_procfs.read(directory + "/comm")[:-1])


def _flows(listings: Sequence[Listing]) -> dict[Key, tuple[Flow, int]]:
    """Return a flow for each connection and each listening socket, and its inode."""
    ports = {
        (listing.netns, listing.kind.protocol, each[1])
        for listing in listings
        for each in listing.sockets
        if each[0] == LISTEN
    }
    flows: dict[Key, tuple[Flow, int]] = {}
    for netns, kind, sockets in listings:
        addresses, family = ADDRESSES[kind.family], FAMILIES[kind.family]
        for state, local_port, remote_port, local, remote, inode in sockets:
            is_listening = state == (LISTEN if kind.protocol == TCP else CLOSE)
            if kind.protocol == TCP and state == CLOSE:
                continue
            direction = "in" if (netns, kind.protocol, local_port) in ports else "out"
            # A connection whose process has let go of it has no inode any more.
            own = inode if is_listening or kind.protocol != TCP else None
            key = (netns, kind.family, kind.protocol, local, local_port, remote, remote_port, own)
            flow = Flow(
                f"{key} {inode}", family, kind.protocol, addresses[local], ntohs(local_port),
                addresses[remote], ntohs(remote_port), None if is_listening else direction,
                netns=netns, is_listening=is_listening,
            )  # fmt: skip
            flows[key] = flow, inode
    return flows
