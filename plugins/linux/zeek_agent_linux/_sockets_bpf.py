"""Rows of ``sockets`` from the kernel's own structures, the same rows as those of netlink.

One pass over the open files of all processes tells of every socket that a
process holds, whatever its network namespace, with the process. A pass over the
sockets of the agent's own namespace adds those that no process holds. What is
left comes from where it came before: raw and ping sockets, and those of other
namespaces that no process holds.
"""

from collections.abc import Callable, Iterator
from socket import htons, ntohs
from typing import Any, NamedTuple

from zeek_agent_core.api import Host, Row, Where
from zeek_agent_linux import _netns, _procfs
from zeek_agent_linux._bpf import iterator
from zeek_agent_linux._bpf.choice import Choice
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs import open_sockets as programs
from zeek_agent_linux._netns import Namespace, Namespaces
from zeek_agent_linux._socklists import KINDS, TCP, Lister, Listing
from zeek_agent_linux._sockets import ProcSource
from zeek_agent_linux._sockquery import (
    ADDRESSES,
    FAMILIES,
    STATES,
    matching,
    wanted_filter,
    wanted_kinds,
)

UDP = programs.UDP
RAW_TYPE, RAW = 3, 255
"""Type of a raw socket, and what stands for its protocol."""
CLOSED = 7
LISTED = frozenset(kind.protocol for kind in KINDS)
SIZES = {2: 4, 10: 16}
"""Bytes of an address, by family."""
MOST_NAMES = 4096
Fields = tuple[Any, ...]
(
    SOCKET, START, INODE, PID, NETNS, LOCAL, REMOTE, NAME, REMOTE_PORT, FAMILY, PROTOCOL, KIND,
    NUMBER, STATE,
) = range(len(programs.OPEN.names))  # fmt: skip


class Holder(NamedTuple):
    """A process that holds a socket; of several, the oldest."""

    start: int
    """When it started, in ns since boot."""
    pid: int
    name: bytes


class OpenSockets:
    """The iterators over sockets, each loaded when it is first used."""

    def __init__(self, kernel: Kernel) -> None:
        """Load the one that is always needed, and check it; raises `OSError`."""
        self._kernel = kernel
        self._iterators: dict[str, iterator.Iterator] = {}
        try:
            self.held()
        except OSError:
            self.close()
            raise

    def held(self) -> bytes:
        """Return records of `programs.OPEN` for each descriptor of a socket."""
        return self._read("held", programs.HELD, programs.open_sockets)

    def all(self, protocol: int) -> bytes:
        """Return records of `programs.OPEN` for all sockets of this thread's namespace."""
        target = programs.TCP_SOCKETS if protocol == TCP else programs.UDP_SOCKETS
        return self._read(
            f"all_{protocol}", target, lambda kernel: programs.all_sockets(kernel, protocol)
        )

    def namespaces(self) -> dict[int, int]:
        """Return the network namespaces of all processes, with one process of each."""
        raw = self._read("namespaces", programs.PROCESSES, programs.namespaces)
        return {netns: pid for pid, netns in programs.NAMESPACE.struct.iter_unpack(raw)}

    def holders(self) -> dict[int, Holder]:
        """Return the oldest process that holds each socket, by the socket's address."""
        return {
            fields[SOCKET]: Holder(fields[START], fields[PID], fields[NAME])
            for fields in oldest(self.held()).values()
        }

    def _read(self, name: str, target: str, assemble: Callable[[Kernel], bytes]) -> bytes:
        if name not in self._iterators:
            code, number = assemble(self._kernel), self._kernel.function(target)
            self._iterators[name] = iterator.Iterator(f"zeek_{name}", code, number)
            self._kernel.save()
        return self._iterators[name].read()

    def close(self) -> None:
        """Let go of everything in the kernel; twice is fine."""
        for each in self._iterators.values():
            each.close()
        self._iterators.clear()


def oldest(raw: bytes) -> dict[int, Fields]:
    """Return one record for each socket, by its address: that of the oldest process.

    What a process has passed on to those that it made is its own.
    """
    found: dict[int, Fields] = {}
    for fields in programs.OPEN.struct.iter_unpack(raw):
        known = found.setdefault(fields[SOCKET], fields)
        if known is not fields and (fields[START], fields[PID]) < (known[START], known[PID]):
            found[fields[SOCKET]] = fields
    return found


def ownerless(raw: bytes, held: dict[int, Fields]) -> Iterator[Fields]:
    """Yield the records of those sockets that are not among the *held* ones."""
    size = programs.OPEN.size
    addresses = memoryview(raw).cast("Q")[:: size // 8].tolist() if raw else []
    for number, address in enumerate(addresses):
        if address not in held:
            yield programs.OPEN.struct.unpack_from(raw, number * size)


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

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the sockets that *where* wants."""
        if not where.wants("pid", "process") and is_selective(where):
            return self._proc.rows(where)  # which asks the kernel for just these
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
        # The sockets come first: one that is made meanwhile then has its process.
        listed = [part.all(TCP), part.all(UDP)] if where.values("pid") is None else []
        others = self._others(part, where)
        held = oldest(part.held())
        return self._rows(held, listed, others, where)

    def _others(self, part: OpenSockets, where: Where) -> list[Listing]:
        """Return from netlink what may have no process: all that the two passes do not show."""
        if where.values("pid") is not None:
            return []
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
        self,
        held: dict[int, Fields],
        listed: list[bytes],
        others: list[Listing],
        where: Where,
    ) -> Iterator[Row]:
        wants = _Wants(where)
        name_of = self._name
        for fields in held.values():
            if is_listed(fields) and wants.admits(fields):
                yield row_of(fields, fields[PID], name_of(fields[NAME]))
        inodes: dict[int, Fields] | None = None
        for raw in listed:
            for fields in ownerless(raw, held):
                if not is_listed(fields) or not wants.admits(fields):
                    continue
                inodes = by_inode(held) if inodes is None else inodes
                owner = inodes.get(fields[INODE]) if fields[INODE] else None
                pid, name = (owner[PID], name_of(owner[NAME])) if owner else (None, None)
                yield row_of(fields, pid, name)
        if others:
            yield from self._unheld(others, by_inode(held) if inodes is None else inodes)

    @staticmethod
    def _unheld(listings: list[Listing], inodes: dict[int, Fields]) -> Iterator[Row]:
        """Yield rows of the listed sockets that no process holds; the others have been told."""
        for netns, kind, sockets in listings:
            addresses = ADDRESSES[kind.family]
            states = STATES if kind.protocol == TCP else {}
            for state, local_port, remote_port, local, remote, inode in sockets:
                if inode not in inodes:
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
    narrow = ("state", "local_port", "remote_port")
    return any(where.values(column) is not None for column in narrow)


def is_listed(fields: Fields) -> bool:
    """Return whether the kernel has a socket in its lists: not before it is bound or connects."""
    protocol = fields[PROTOCOL]
    if fields[KIND] == RAW_TYPE:
        return True
    if protocol == TCP:
        return bool(fields[STATE] != CLOSED)
    return protocol in LISTED and fields[NUMBER] > 0


def row_of(fields: Fields, pid: int | None, name: str | None) -> dict[str, Any]:
    """Return the row of a record."""
    family = fields[FAMILY]
    addresses, size = ADDRESSES[family], SIZES[family]
    protocol = RAW if fields[KIND] == RAW_TYPE else fields[PROTOCOL]
    return {
        "pid": pid,
        "process": name,
        "family": FAMILIES[family],
        "protocol": protocol,
        "local_addr": addresses[fields[LOCAL][:size]],
        "local_port": fields[NUMBER],
        "remote_addr": addresses[fields[REMOTE][:size]],
        "remote_port": ntohs(fields[REMOTE_PORT]),
        "state": STATES.get(fields[STATE]) if protocol == TCP else None,
        "netns": fields[NETNS],
    }


def by_inode(held: dict[int, Fields]) -> dict[int, Fields]:
    """Return the records by inode."""
    return {fields[INODE]: fields for fields in held.values()}


class _Wants:
    """Looks at numbers before a row is made of them."""

    def __init__(self, where: Where) -> None:
        self._checks: list[tuple[int, frozenset[Any]]] = []
        self._add(PID, where.values("pid"))
        self._add(NETNS, where.values("netns"))
        self._add(NUMBER, where.values("local_port"))
        ports = where.values("remote_port")
        if ports is not None:
            numbers = (port for port in ports if isinstance(port, int) and 0 <= port < 1 << 16)
            self._add(REMOTE_PORT, map(htons, numbers))
        states = where.values("state")
        if states is not None:
            self._add(STATE, (number for number, name in STATES.items() if name in states))
            self._add(PROTOCOL, (TCP,))
        families = where.values("family")
        if families is not None:
            self._add(FAMILY, (number for number, name in FAMILIES.items() if name in families))

    def _add(self, place: int, values: Any) -> None:
        if values is not None:
            self._checks.append((place, frozenset(values)))

    def admits(self, fields: Fields) -> bool:
        """Return whether a query may want the socket."""
        for place, values in self._checks:
            if fields[place] not in values:
                return False
        return True
