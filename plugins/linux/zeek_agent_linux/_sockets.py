"""Rows of ``sockets``: the kernel's lists, and the processes that hold the sockets."""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from socket import ntohs
from typing import Protocol

from zeek_agent_core.api import Host, Row, Where
from zeek_agent_linux import _netns, _procfs
from zeek_agent_linux._netns import Namespace, Namespaces
from zeek_agent_linux._owners import Owners
from zeek_agent_linux._socklists import TCP, Lister, Listing
from zeek_agent_linux._sockquery import (
    ADDRESSES,
    FAMILIES,
    STATES,
    matching,
    wanted_filter,
    wanted_kinds,
)

INET = (b"TCP", b"UDP", b"RAW", b"PING")
"""How the kernel's names of the protocols we list begin."""


class SocketSource(Protocol):
    """What can serve the rows of ``sockets``."""

    @property
    def name(self) -> str:
        """What the source is called."""

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the sockets that *where* wants."""


class ProcSource:
    """Sockets from the kernel's lists, owners from the descriptors below ``/proc``."""

    def __init__(self, host: Host, warn: Callable[[str], None]) -> None:
        """Look at *host*; tell *warn* what cannot be read."""
        self._proc = f"{host.prefix}/proc"
        self._prefix = host.prefix
        self._warn = warn
        self._lister = Lister(self._proc, warn, is_live=not host.prefix)
        self._owners = Owners(self._proc)

    @property
    def name(self) -> str:
        """What the sockets come from."""
        return self._lister.source

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the sockets that *where* wants."""
        owners: Mapping[int, int] = {}
        pids = where.values("pid")
        if pids is not None:
            listings, owners = self._held_by(pids, where)
        else:
            listings = self._list(self._namespaces(where), where)
            if where.wants("pid", "process"):
                owners = self._find_owners(listings)
        names = self._names(where)
        for netns, kind, sockets in listings:
            addresses = ADDRESSES[kind.family]
            family = FAMILIES[kind.family]
            protocol = kind.protocol
            states = STATES if protocol == TCP else {}
            for state, local_port, remote_port, local, remote, inode in sockets:
                pid = owners.get(inode)
                yield {
                    "pid": pid,
                    "process": names[pid],
                    "family": family,
                    "protocol": protocol,
                    "local_addr": addresses[local],
                    "local_port": ntohs(local_port),
                    "remote_addr": addresses[remote],
                    "remote_port": ntohs(remote_port),
                    "state": states.get(state),
                    "netns": netns,
                }

    def _list(self, namespaces: Collection[Namespace], where: Where) -> list[Listing]:
        kinds = wanted_kinds(where)
        listings = self._lister.sockets(namespaces, kinds, wanted_filter(where)) if kinds else []
        return [matching(listing, where) for listing in listings]

    def _find_owners(self, listings: list[Listing]) -> Mapping[int, int]:
        owners = self._owners.find({found[-1] for each in listings for found in each.sockets})
        if self._owners.denied:
            self._warn(f"cannot see the descriptors of {self._owners.denied} processes")
        return owners

    def _namespaces(self, where: Where) -> list[Namespace]:
        """Return all network namespaces that are wanted, the agent's own first."""
        own = _netns.own(self._proc)
        if own.inode is None:
            return [own]
        found = Namespaces({own.inode: own})
        for pid in _procfs.listed(self._proc):
            found.add_process(self._proc, pid)
        found.add_mounted(self._prefix)
        if found.denied:
            self._warn(f"cannot see the network namespaces of {found.denied} processes")
        wanted = where.values("netns")
        return [n for n in found.known.values() if wanted is None or n.inode in wanted]

    def _held_by(
        self, pids: Collection[int], where: Where
    ) -> tuple[list[Listing], Mapping[int, int]]:
        """Return the sockets of some processes, and the oldest of them that holds each."""
        owners: dict[int, int] = {}
        paths: dict[int, str] = {}
        near = Namespaces()
        own = _netns.own(self._proc)
        if own.inode is not None:
            near.known[own.inode] = own
        numbers = (pid for pid in pids if isinstance(pid, int))
        for pid in sorted(numbers, key=self._owners.age, reverse=True):
            held = self._descriptors(pid)
            if held:
                paths |= held
                owners |= dict.fromkeys(held, pid)
                near.add_process(self._proc, pid)
        if not owners:
            return [], owners
        namespaces = list(near.known.values()) or [own]
        listings = self._of(owners, self._list(namespaces, where))
        left = owners.keys() - {found[-1] for each in listings for found in each.sockets}
        if any(self._is_inet(paths[inode]) for inode in left):
            # A socket stays in its namespace when its process moves on, or is handed over.
            others = [n for n in self._namespaces(where) if n.inode not in near.known]
            listings += self._of(owners, self._list(others, where))
        return self._of(self._not_inherited(owners, listings), listings), owners

    def _not_inherited(self, owners: Mapping[int, int], listings: list[Listing]) -> set[int]:
        """Return the sockets that no ancestor holds as well.

        Processes share sockets by inheritance, so this spares a look at all the others.
        """
        own = {found[-1] for each in listings for found in each.sockets}
        for pid in {owners[inode] for inode in own}:
            for ancestor in self._owners.ancestors(pid):
                held = self._descriptors(ancestor)
                own -= {inode for inode in own & held.keys() if owners[inode] == pid}
        return own

    @staticmethod
    def _of(wanted: Collection[int], listings: list[Listing]) -> list[Listing]:
        return [
            each._replace(sockets=[found for found in each.sockets if found[-1] in wanted])
            for each in listings
        ]

    def _descriptors(self, pid: int) -> dict[int, str]:
        """Return the sockets that a process holds; none for the ID of a mere thread."""
        try:
            if not _procfs.is_leader(_procfs.read(f"{self._proc}/{pid}/status")):
                return {}
            held = self._owners.held_by(pid)
            return {inode: f"{self._proc}/{pid}/fd/{name}" for inode, name in held.items()}
        except PermissionError:
            self._warn(f"cannot see the descriptors of process {pid}")
        except (OSError, ValueError):
            pass
        return {}

    @staticmethod
    def _is_inet(path: str) -> bool:
        """Return whether a descriptor is a socket that some namespace should list."""
        try:
            return os.getxattr(path, "system.sockprotoname").startswith(INET)
        except OSError:
            return False

    def _names(self, where: Where) -> Mapping[int | None, str | None]:
        return _Names(self._proc) if where.wants("process") else defaultdict(lambda: None)


class _Names(dict[int | None, str | None]):
    """Names of processes, each read when it is first needed."""

    def __init__(self, proc: str) -> None:
        super().__init__({None: None})
        self._proc = proc

    def __missing__(self, pid: int) -> str | None:
        name = None
        with suppress(OSError):
            name = _procfs.name(_procfs.read(f"{self._proc}/{pid}/comm")[:-1])
        self[pid] = name
        return name
