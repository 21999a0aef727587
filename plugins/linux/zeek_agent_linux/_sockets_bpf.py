"""Rows of ``sockets`` from the kernel's own structures, the same rows as those of netlink.

One pass over the open files of all processes tells of every socket that a
process holds, whatever its network namespace, with the process. Those of the
agent's own namespace that no process holds come from netlink if it surely knows
all of them, and from a pass over all sockets otherwise. What is left comes from
where it came before: raw and ping sockets, and those of other namespaces that
no process holds.
"""

from collections.abc import Callable, Iterator
from socket import ntohs

from zeek_agent_core.api import Chunk, ColumnRows, Host, Row, Where, column_chunk
from zeek_agent_linux import _netns
from zeek_agent_linux._bpf.choice import Choice
from zeek_agent_linux._bpf.programs.open_sockets import OPEN
from zeek_agent_linux._netns import Namespace, Namespaces
from zeek_agent_linux._opensockets import INODE, NAME, PID, UDP, Held, OpenSockets, Wanted
from zeek_agent_linux._ownerless import Ownerless
from zeek_agent_linux._socketcolumns import chunks
from zeek_agent_linux._sockets import ProcSource
from zeek_agent_linux._socklists import TCP, Lister, Listing
from zeek_agent_linux._sockquery import (
    ADDRESSES,
    FAMILIES,
    STATES,
    matching,
    wanted_filter,
    wanted_kinds,
)


class BpfSource:
    """Sockets as the kernel has them; as netlink lists them where BPF does not work."""

    def __init__(self, host: Host, warn: Callable[[str], None], proc: ProcSource) -> None:
        """Serve from *proc* whatever BPF cannot serve, or not better."""
        self._proc = proc
        self._lister = Lister("/proc", warn, is_live=True)
        self._choice = Choice("table sockets", host, OpenSockets, warn)
        self._ownerless = Ownerless(self._lister)

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
            records = Held(part.held()).records(Wanted(where))
            return ColumnRows(chunks(records, where, is_owned=True))
        others = self._others(part, where)
        rest: list[bytes] = []
        quick = self._ownerless.find(part)
        if quick is None:
            # These come first: a socket that is made meanwhile then has its process.
            brief = {protocol: part.brief(protocol) for protocol in (TCP, UDP)}
            held = Held(part.held())
            rest = [part.unheld(protocol, held.sockets, raw) for protocol, raw in brief.items()]
        else:
            held, ownerless = quick
            others += [matching(listing, where) for listing in ownerless]
        return ColumnRows(_chunks(held, rest, others, where))

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


def _chunks(held: Held, rest: list[bytes], others: list[Listing], where: Where) -> Iterator[Chunk]:
    """Yield what processes hold, records of what they do not, and what netlink listed."""
    wanted = Wanted(where)
    yield from chunks(held.records(wanted), where, is_owned=True)
    for raw in rest:
        yield from chunks(_owned(wanted.records(raw), held), where, is_owned=False)
    for listing in others:
        rows = list(_unheld(listing, held))
        if rows:
            yield column_chunk(rows, where.columns | {"pid"})


def _owned(raw: bytes, held: Held) -> bytes:
    """Return *raw* with the processes of those sockets that have the inode of another."""
    found = []
    for fields in map(list, OPEN.struct.iter_unpack(raw)):
        owner = held.by_inode(fields[INODE])
        if owner is not None:
            fields[PID], fields[NAME] = owner[PID], owner[NAME]
        found.append(OPEN.struct.pack(*fields))
    return b"".join(found)


def _unheld(listing: Listing, held: Held) -> Iterator[Row]:
    """Yield rows of the listed sockets that no process holds; the others have been told."""
    netns, kind, sockets = listing
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


def is_selective(where: Where) -> bool:
    """Return whether netlink can be asked for a few sockets only."""
    columns = ("state", "local_port", "remote_port")
    return any(where.values(column) is not None for column in columns)
