"""Rows of ``sockets`` from the kernel's own structures, the same rows as those of netlink.

One pass over the open files of all processes tells of every socket that a
process holds, whatever its network namespace, with the process. A pass over the
sockets of the agent's own namespace adds those that no process holds. What is
left comes from where it came before: raw and ping sockets, and those of other
namespaces that no process holds.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from socket import ntohs
from typing import Any

from zeek_agent_core.api import Host, Row, Where
from zeek_agent_linux import _netns, _procfs
from zeek_agent_linux._bpf.choice import Choice
from zeek_agent_linux._netns import Namespace, Namespaces
from zeek_agent_linux._opensockets import (
    INODE,
    NAME,
    PADDED,
    PID,
    UDP,
    Fields,
    Held,
    OpenSockets,
    Wanted,
)  # fmt: skip
from zeek_agent_linux._sockets import ProcSource
from zeek_agent_linux._socklists import KINDS, TCP, Lister, Listing
from zeek_agent_linux._sockquery import (
    ADDRESSES,
    FAMILIES,
    STATES,
    matching,
    wanted_filter,
    wanted_kinds,
)

RAW_TYPE, RAW = 3, 255
"""Type of a raw socket, and what stands for its protocol."""
CLOSED = 7
LISTED = frozenset(kind.protocol for kind in KINDS)
MOST_NAMES = 4096


class BpfSource:
    """Sockets as the kernel has them; as netlink lists them where BPF does not work."""

    def __init__(self, host: Host, warn: Callable[[str], None], proc: ProcSource) -> None:
        """Serve from *proc* whatever BPF cannot serve, or not better."""
        self._proc = proc
        self._lister = Lister("/proc", warn, is_live=True)
        self._choice = Choice("table sockets", host, OpenSockets, warn)
        self._names: dict[bytes, str] = {}

    @property
    def name(self) -> str:
        """What serves the rows right now."""
        return "BPF" if self._choice.is_at_work else self._proc.name

    def close(self) -> None:
        """Let go of everything in the kernel; the next query loads it anew."""
        self._choice.close()

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the sockets that *where* wants."""
        if not where.wants("pid", "process") and is_selective(where):
            return self._proc.rows(where)  # the kernel selects, and no process is looked at
        part = self._choice.part()
        if part is None:
            return self._proc.rows(where)
        try:
            return self._through(part, where)
        except OSError as error:
            self._choice.failed(error)
            return self._proc.rows(where)

    def _through(self, part: OpenSockets, where: Where) -> Iterator[Row]:
        """Make all passes now; return the rows, made as they are taken."""
        if where.values("pid") is not None:
            return self._rows(Held(part.held()), [], [], where)
        others = self._others(part, where)
        # These come first: a socket that is made meanwhile then has its process.
        brief = {protocol: part.brief(protocol) for protocol in (TCP, UDP)}
        held = Held(part.held())
        listed = [part.unheld(protocol, held.sockets, raw) for protocol, raw in brief.items()]
        return self._rows(held, listed, others, where)

    def _others(self, part: OpenSockets, where: Where) -> list[Listing]:
        """Return from netlink what may have no process: all that the two passes do not show."""
        kinds = wanted_kinds(where)
        rest = [kind for kind in kinds if kind.protocol not in (TCP, UDP)]
        own, *foreign = self._namespaces(part, where)
        only = wanted_filter(where)
        listings = self._lister.sockets([own], rest, only) if rest else []
        if foreign and kinds:
            listings += self._lister.sockets(foreign, kinds, only)
        return [matching(listing, where) for listing in listings]

    @staticmethod
    def _namespaces(part: OpenSockets, where: Where) -> list[Namespace]:
        """Return the agent's own network namespace, then all others that are wanted."""
        own = _netns.own("/proc")
        found = Namespaces({} if own.inode is None else {own.inode: own})
        for inode, pid in part.namespaces().items():
            path = f"/proc/{pid}"
            found.known.setdefault(inode, Namespace(inode, f"{path}/ns/net", f"{path}/net"))
        found.add_mounted("")
        wanted = where.values("netns")
        others = [n for n in found.known.values() if n.inode != own.inode]
        return [own, *(n for n in others if wanted is None or n.inode in wanted)]

    def _rows(
        self, held: "Held", listed: list[bytes], others: list[Listing], where: Where
    ) -> Iterator[Row]:
        wanted = Wanted(where)
        name_of = self._name if where.wants("process") else lambda _: None
        pids = where.values("pid")
        yield from rows_of(held.chosen(wanted), pids, name_of)
        for raw in listed:
            for fields in wanted.records(raw):
                owner = held.by_inode(fields[INODE])
                known = fields if owner is None else owned(fields, owner)
                yield from rows_of((known,), None, name_of)
        yield from self._unheld(others, held)

    @staticmethod
    def _unheld(listings: list[Listing], held: "Held") -> Iterator[Row]:
        """Yield rows of the listed sockets that no process holds; the others have been told."""
        for netns, kind, sockets in listings:
            addresses = ADDRESSES[kind.family]
            states = STATES if kind.protocol == TCP else {}
            for state, local_port, remote_port, local, remote, inode in sockets:
                if held.by_inode(inode) is not None:
                    continue
                yield {
                    "family": FAMILIES[kind.family],
                    "protocol": kind.protocol,
                    "local_addr": addresses[local],
                    "local_port": ntohs(local_port),
                    "remote_addr": addresses[remote],
                    "remote_port": ntohs(remote_port),
                    "state": states.get(state),
                    "netns": netns,
                }

    def _name(self, raw: bytes) -> str:
        known = self._names.get(raw)
        if known is None:
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            known = self._names[raw] = _procfs.name(raw.partition(b"\0")[0])
        return known


def is_selective(where: Where) -> bool:
    """Return whether netlink can be asked for a few sockets only."""
    columns = ("state", "local_port", "remote_port")
    return any(where.values(column) is not None for column in columns)


def owned(fields: Fields, owner: Fields) -> Fields:
    """Return a record with the process of another one."""
    both = list(fields)
    both[PID], both[NAME] = owner[PID], owner[NAME]
    return tuple(both)


def rows_of(
    records: Iterable[Fields],
    pids: Collection[int] | None,
    name_of: Callable[[bytes], str | None],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of those records that the kernel has in its lists, of *pids* only if given.

    A socket is in them once it is bound or connects. A process ID of 0 is none.
    """
    for (
        _, _, _, pid, netns, local, remote, name, remote_port, family, protocol, kind, number,
        state,
    ) in records:  # fmt: skip
        if pids is not None and pid not in pids:
            continue
        state_name = None
        if kind == RAW_TYPE:
            pass  # its protocol stands in the place of the port
        elif protocol == TCP:
            if state == CLOSED:
                continue
            state_name = STATES.get(state)
        elif not number or protocol not in LISTED:
            continue
        addresses = PADDED[family]
        yield {
            "pid": pid or None,
            "process": name_of(name) if pid else None,
            "family": FAMILIES[family],
            "protocol": RAW if kind == RAW_TYPE else protocol,
            "local_addr": addresses[local],
            "local_port": number,
            "remote_addr": addresses[remote],
            "remote_port": remote_port,
            "state": state_name,
            "netns": netns,
        }
