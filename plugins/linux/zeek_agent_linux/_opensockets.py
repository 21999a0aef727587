"""The sockets that processes hold, and those of a namespace, through iterators of the kernel."""

import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from socket import inet_ntop
from typing import Any

from zeek_agent_core.api import Where
from zeek_agent_linux import _procfs
from zeek_agent_linux._bpf import iterator, syscall
from zeek_agent_linux._bpf.descriptors import Descriptors
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs import open_sockets as programs
from zeek_agent_linux._memo import Memo
from zeek_agent_linux._socklists import TCP, V4, V6
from zeek_agent_linux._sockquery import FAMILIES, STATES

UDP = programs.UDP
MOST_TOLD = 4096
Fields = tuple[Any, ...]
(
    SOCKET, START, INODE, PID, NETNS, LOCAL, REMOTE, NAME, NUMBER, REMOTE_PORT, PROTOCOL, FAMILY,
    KIND, STATE, LIST,
) = range(len(programs.OPEN.names))  # fmt: skip


class OpenSockets:
    """The iterators over sockets, each loaded when it is first used."""

    def __init__(self, kernel: Kernel) -> None:
        """Load the one that is always needed, and check it; raises `OSError`."""
        self._kernel = kernel
        self._iterators: dict[str, iterator.Iterator] = {}
        self._maps = Descriptors()
        self._told = -1
        try:
            self.held()
        except OSError:
            self.close()
            raise

    def held(self) -> bytes:
        """Return records of `programs.OPEN` for each descriptor of a socket."""
        return self._read("held", programs.HELD, programs.open_sockets)

    def all(self, protocol: int) -> bytes:
        """Return what `programs.all_sockets` writes of this thread's namespace, in full."""
        return self._read(
            f"all_{protocol}",
            _LISTS[protocol],
            lambda kernel: programs.all_sockets(kernel, protocol, None),
        )

    def brief(self, protocol: int) -> bytes:
        """Return the same with mere addresses of those that a process holds, it seems."""
        if self._told < 0:
            self._told = self._maps.add(syscall.create_map(syscall.HASH, 8, 1, MOST_TOLD))
        told = self._told
        return self._read(
            f"brief_{protocol}",
            _LISTS[protocol],
            lambda kernel: programs.all_sockets(kernel, protocol, told),
        )

    def unheld(self, protocol: int, held: Collection[int], brief: bytes) -> bytes:
        """Return records of `programs.OPEN` of the sockets in *brief* that are not *held*.

        A socket with a file that no process holds is in no one's hands but the
        kernel's, or those of a process that cannot be seen. It is told in full
        from the next time on.
        """
        addresses, records = parse_sockets(brief)
        hidden = addresses.difference(held)
        if not hidden:
            return records
        for address in hidden:
            with suppress(OSError):  # the map is full
                syscall.update_map(self._told, address.to_bytes(8, sys.byteorder), b"\1")
        _, everything = parse_sockets(self.all(protocol))
        size = programs.OPEN.size
        return records + b"".join(
            everything[at * size : (at + 1) * size]
            for at, address in enumerate(programs.OPEN.column(everything, "socket"))
            if address in hidden
        )

    def namespaces(self) -> dict[int, int]:
        """Return the network namespaces of all processes, with one process of each."""
        raw = self._read("namespaces", programs.PROCESSES, programs.namespaces)
        return {netns: pid for pid, netns in programs.NAMESPACE.struct.iter_unpack(raw)}

    def chosen(self) -> Iterable[Fields]:
        """Return a record for each socket that a process holds: of the oldest such process."""
        return Held(self.held()).chosen()

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
        self._maps.close()
        self._told = -1


_LISTS = {TCP: programs.TCP_SOCKETS, UDP: programs.UDP_SOCKETS}


class Held:
    """The sockets that processes hold: one record for each, of the oldest process."""

    def __init__(self, raw: bytes) -> None:
        """Look at the records of all descriptors."""
        self._raw = raw
        self._count = len(raw) // programs.OPEN.size
        self.inodes = frozenset(programs.OPEN.column(raw, "inode"))
        """Of all sockets; two may have the same, but hardly ever do."""
        self._left_out = self._inherited() if len(self.inodes) < self._count else set()
        self._by_inode: dict[int, int] | None = None

    @property
    def sockets(self) -> list[int]:
        """The address of the socket in each record."""
        return programs.OPEN.column(self._raw, "socket")

    def _inherited(self) -> set[int]:
        """Return the positions of records whose socket an older process holds as well.

        What a process has passed on to those that it made is its own.
        """
        record, raw = programs.OPEN, self._raw
        ages = list(zip(record.column(raw, "start"), record.column(raw, "pid"), strict=True))
        best: dict[int, int] = {}
        lost: set[int] = set()
        for at, socket in enumerate(self.sockets):
            before = best.setdefault(socket, at)
            if before != at:
                is_older = ages[at] < ages[before]
                best[socket] = at if is_older else before
                lost.add(before if is_older else at)
        return lost

    def chosen(self) -> Iterable[Fields]:
        """Return a record for each socket."""
        return programs.OPEN.struct.iter_unpack(self.records())

    def records(self, wanted: "Wanted | None" = None) -> bytes:
        """Return the records that are *wanted*."""
        raw, left_out = self._raw, self._left_out
        positions = None if wanted is None else wanted.positions(raw)
        if positions is None and not left_out:
            return raw
        candidates = range(self._count) if positions is None else positions
        return programs.OPEN.chosen(raw, [at for at in candidates if at not in left_out])

    def by_inode(self, inode: int) -> Fields | None:
        """Return the record of a socket, None if no process holds it."""
        if inode not in self.inodes:
            return None
        record = programs.OPEN
        if self._by_inode is None:
            column, left_out = record.column(self._raw, "inode"), self._left_out
            self._by_inode = {column[at]: at for at in range(self._count) if at not in left_out}
        return record.struct.unpack_from(self._raw, self._by_inode[inode] * record.size)


def parse_sockets(raw: bytes) -> tuple[set[int], bytes]:
    """Return the addresses that stand alone in what `programs.all_sockets` wrote, and the records.

    Raises `ValueError` if it is cut.
    """
    if len(raw) % programs.WORD:
        raise ValueError("truncated list of sockets")
    words, size = memoryview(raw).cast("Q").tolist(), programs.OPEN.size // programs.WORD
    addresses: set[int] = set()
    records: list[bytes] = []
    at = 0
    words.append(0)  # so that there is always another mark
    while (mark := words.index(0, at)) < len(words) - 1:
        addresses.update(words[at:mark])
        at = mark + 1 + size
        if at >= len(words):
            raise ValueError("truncated record of a socket")
        records.append(raw[(mark + 1) * programs.WORD : at * programs.WORD])
    addresses.update(words[at:mark])
    return addresses, b"".join(records)


PADDED = {
    V4: Memo[bytes, str](lambda raw: inet_ntop(V4, raw[:4])),
    V6: Memo[bytes, str](lambda raw: inet_ntop(V6, raw)),
}
"""Text of addresses by the 16 bytes that a record has for them."""
NAMES = Memo[bytes, str](lambda raw: _procfs.name(raw.partition(b"\0")[0]), 4096)
"""Names of processes by the 16 bytes that a record has for them."""


class Wanted:
    """Finds records by their numbers, before a row is made of them."""

    def __init__(self, where: Where) -> None:
        """Learn what *where* wants of processes, ports, states, family and namespace."""
        self._values: list[tuple[str, frozenset[Any]]] = []
        for column, field in (
            ("pid", "pid"), ("netns", "netns"), ("local_port", "number"),
            ("remote_port", "remote_port"),
        ):  # fmt: skip
            values = where.values(column)
            if values is not None:
                self._values.append((field, frozenset(values)))
        for column, field, names in (("state", "state", STATES), ("family", "family", FAMILIES)):
            values = where.values(column)
            if values is not None:
                numbers = frozenset(number for number, name in names.items() if name in values)
                self._values.append((field, numbers))

    def records(self, raw: bytes) -> bytes:
        """Return the records that may be wanted."""
        positions = self.positions(raw)
        return raw if positions is None else programs.OPEN.chosen(raw, positions)

    def positions(self, raw: bytes) -> list[int] | None:
        """Return the positions of the records that may be wanted; None for all of them."""
        found: list[int] | None = None
        for field, values in self._values:
            column = programs.OPEN.column(raw, field)
            candidates = range(len(column)) if found is None else found
            found = [at for at in candidates if column[at] in values]
        return found
