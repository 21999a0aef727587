"""Programs at tracepoints and the ring buffer they fill: attached together, gone together."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from zeek_agent_linux._bpf import syscall
from zeek_agent_linux._bpf.descriptors import Descriptors
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.ring import Records, Ring

RING_BYTES = 8 << 20
"""Holds what happens while the agent is busy for some seconds: 20,000 programs executed."""
SPARE_BYTES = 64 << 10
SLICE_BYTES = 128 << 10
"""How much is taken from the ring at a time: some milliseconds of work."""
COUNTER_BYTES = 8


class Maps(NamedTuple):
    """Descriptors of the maps that programs use."""

    ring: int
    spare: int
    """A second ring, for when the first one cannot be had."""
    lost: int
    """Array of one number: events that found no room in the ring."""
    extra: dict[str, int]
    """Those that only some programs need, by name."""


class Program(NamedTuple):
    """A program and where it runs."""

    tracepoint: str
    assemble: Callable[[Kernel, Maps], bytes]
    may_miss: bool = False
    """Whether nothing is lost when the kernel skips it because it is at work already."""


class MapSpec(NamedTuple):
    """A map that programs need: kind, sizes of key and value in bytes, number of entries."""

    kind: int
    key: int
    value: int
    entries: int
    flags: int = 0


class Session:
    """Programs at work; what they tell is read with `read`."""

    def __init__(
        self,
        kernel: Kernel,
        programs: Iterable[Program],
        maps: dict[str, MapSpec] | None = None,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        """Load all, then attach all; raises `OSError` and leaves nothing behind if one fails."""
        self._files = Descriptors()  # maps, programs, links: to be closed the other way round
        self._programs: list[int] = []
        """Those of which nothing may be missed."""
        self._ring: Ring | None = None
        self._spare: Ring | None = None
        self._late: list[bytes] = []
        """Records of the spare ring whose turn has not come."""
        self._told = 0
        try:
            self._open(kernel, programs, maps or {}, ring_bytes)
        except OSError:
            self.close()
            raise
        kernel.save()

    def _open(
        self, kernel: Kernel, programs: Iterable[Program], maps: dict[str, MapSpec], size: int
    ) -> None:
        self._ring, self._spare = Ring(size), Ring(min(size, SPARE_BYTES))
        self._lost = self._map(MapSpec(syscall.ARRAY, 4, COUNTER_BYTES, 1))
        self.maps = {name: self._map(spec) for name, spec in maps.items()}
        self._known = Maps(self._ring.fd, self._spare.fd, self._lost, self.maps)
        self.attach(kernel, programs)

    def attach(self, kernel: Kernel, programs: Iterable[Program]) -> None:
        """Load and attach some programs besides those that are there; raises `OSError`."""
        all_: list[int] = []
        for program in programs:
            code = program.assemble(kernel, self._known)
            target = kernel.tracepoint(program.tracepoint)
            name = f"zeek_{program.tracepoint}"
            all_.append(self._files.add(syscall.load(name, code, syscall.TRACEPOINT, target)))
            if not program.may_miss:
                self._programs.append(all_[-1])
        for loaded in all_:
            self._files.add(syscall.attach_tracepoint(loaded))

    def _map(self, spec: MapSpec) -> int:
        return self._files.add(syscall.create_map(*spec))

    @property
    def files(self) -> list[int]:
        """The descriptors that are readable when there are events; none once this is closed."""
        return [ring.fd for ring in (self._ring, self._spare) if ring is not None]

    def read(self) -> Records:
        """Return the oldest events, in their order; none if there are no more."""
        if self._ring is None or self._spare is None:
            return Records(b"", [])
        records = self._ring.read(SLICE_BYTES)
        late = self._spare.read(SPARE_BYTES)
        if not late.places and not self._late:
            return records
        self._late += late.split()
        merged, self._late = merge(records.split(), self._late)
        return merged

    def lost(self) -> int:
        """Return how many events were lost since the last time, for want of room or otherwise."""
        raw = syscall.look_up(self._lost, bytes(4), COUNTER_BYTES)
        total = int.from_bytes(raw, "little" if syscall.IS_LITTLE else "big")
        for program in self._programs:
            with suppress(OSError):  # kernels before 5.12 do not tell
                total += syscall.missed(program)
        since, self._told = total - self._told, total
        return since

    def close(self) -> None:
        """Detach, then let go of all; twice is fine."""
        self._programs.clear()
        self._files.close()
        for ring in (self._ring, self._spare):
            if ring is not None:
                ring.close()
        self._ring = self._spare = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def merge(records: list[bytes], late: list[bytes]) -> tuple[Records, list[bytes]]:
    """Return *records* with those of *late* that are no newer, by time, and those that are.

    All begin with their time. With no records at all, everything is due.
    """
    until = max(map(_time, records), default=None)
    due = [record for record in late if until is None or _time(record) <= until]
    rest = [record for record in late if until is not None and _time(record) > until]
    ordered = sorted(records + due, key=_time)
    places, at = [], 0
    for record in ordered:
        places.append((at, len(record)))
        at += len(record)
    return Records(b"".join(ordered), places), rest


def _time(record: bytes) -> int:
    return int.from_bytes(record[:8], sys.byteorder)
