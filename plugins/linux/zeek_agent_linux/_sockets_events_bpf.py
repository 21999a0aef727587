"""``sockets_events`` from programs at the tracepoints of sockets.

The kernel tells of a connection that was accepted before it is known whose it
is. Its row waits until the process uses it, mostly some µs; if that takes
longer than a second, a look at all descriptors tells who holds it.

UDP sockets with a fixed peer are told of when they first send, from kernel 6.3
on; all other UDP sockets, and the ends of all, when they are listed now and then.
With the setting `system_calls`, sockets without a fixed peer are told of once for
each peer that they talk with.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from time import monotonic, time_ns
from typing import Any

from zeek_agent_core.api import Row, Source, Sourced
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._bpf.choice import explained
from zeek_agent_linux._bpf.kernel import Kernel, kernel_of
from zeek_agent_linux._bpf.opening import opened
from zeek_agent_linux._bpf.programs import datagram_calls
from zeek_agent_linux._bpf.programs import socket_events as programs
from zeek_agent_linux._bpf.ring import Records
from zeek_agent_linux._bpf.session import Session
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._opensockets import NAMES, PADDED, OpenSockets
from zeek_agent_linux._readable import Readable
from zeek_agent_linux._sockdiff import SHARE
from zeek_agent_linux._sockholders import Holders, Owner
from zeek_agent_linux._sockquery import FAMILIES
from zeek_agent_linux._sockrows import Flow, SocketRows
from zeek_agent_linux._sockseed import open_sockets as open_rows
from zeek_agent_linux._udpflows import Datagrams

WAIT = 1_000_000_000
"""Nanoseconds for which the process of an accepted connection is waited for."""
LOOK_SECONDS = 1.0
"""Time between two looks for those that are late."""
SOCK_DONE = 1 << 1
"""Flag of a socket whose peer has sent all (include/net/sock.h)."""
DIRECTIONS = {programs.OUT: "out", programs.IN: "in"}

Fields = tuple[Any, ...]
Key = tuple[int, int]
"""Address of a socket, and when it was first seen."""
(
    TIME, SOCKET, BEGUN, SINCE, ACKED, SENT, AGAIN, RECEIVED, KIND, NETNS, PID, DIRECTION, ERROR,
    FLAGS, FAMILY, LOCAL_PORT, REMOTE_PORT, PROTOCOL, LOCAL, REMOTE, NAME,
) = (
    programs.EVENT.names.index(name)
    for name in (
        "time", "socket", "first", "since", "acked", "sent", "again", "received", "kind", "netns",
        "pid", "direction", "error", "flags", "family", "local_port", "remote_port", "protocol",
        "local", "remote", "name",
    )
)  # fmt: skip


class BpfSource(Source):
    """Every TCP connection and listening socket, in all network namespaces."""

    name = "BPF"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._clock = KernelClock(BootTime("/proc"))
        self._rows = SocketRows(table)
        self._waiting: dict[Key, Fields] = {}
        self._holders: Holders
        self._ports: tuple[Collection[Any] | None, Collection[Any] | None] = (None, None)
        self._looked = 0
        self._udp = Datagrams(table.host)
        self._due = 0.0
        """When the UDP sockets are listed next."""

    def check(self) -> None:
        """Load and attach the programs, and let go of them."""
        try:
            kernel = kernel_of(self.table.host)
            with self._session(kernel):
                kernel.save()
        except OSError as error:
            raise explained(error) from error

    def _session(self, kernel: Kernel) -> Session:
        """Load and attach the programs, with the one for system calls if that is asked for."""
        if not self.table.setting("system_calls"):
            return Session(kernel, programs.programs(kernel), programs.MAPS)
        wanted = [*programs.programs(kernel), datagram_calls.PROGRAM]
        return Session(kernel, wanted, {**programs.MAPS, **datagram_calls.MAPS})

    def existing(self) -> Iterable[Row]:
        """Return all sockets that are open."""
        return open_rows(self.table)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield connections and listening sockets as they come and go."""
        kernel = kernel_of(self.table.host)
        session, sockets = await opened(lambda: self._session(kernel)), None
        try:
            yield []
            sockets = await opened(lambda: OpenSockets(kernel))
            self._holders = Holders(sockets)
            await asyncio.to_thread(self._holders.learn)
            readable = Readable(session.files)
            while True:
                yield await self._look_at_udp()
                await readable.wait(most=self._pause())
                async for rows in self._drained(session):
                    yield rows
                if self._waiting:
                    yield await self._look()
        finally:
            session.close()
            if sockets is not None:
                sockets.close()

    def _pause(self) -> float | None:
        """Return for how many seconds at most nothing but events is of interest."""
        pauses = [LOOK_SECONDS] if self._waiting else []
        if self._due < math.inf:
            pauses.append(self._due - monotonic())
        return min(pauses, default=None)

    async def _look_at_udp(self) -> list[Row]:
        """Return rows for the UDP sockets that came and went, if it is time to list them."""
        protocols = self.table.wanted.values("protocol")
        if protocols is not None and programs.UDP not in protocols:
            self._due = math.inf
            return []
        began = monotonic()
        if began < self._due < math.inf:
            return []
        told = await asyncio.to_thread(self._udp.look)
        took = monotonic() - began
        self._due = monotonic() + max(self.table.setting("interval"), SHARE * took)
        self._rows.refresh()
        return list(self._rows.of(self._udp.new(told), time_ns()))

    async def _drained(self, session: Session) -> AsyncIterator[Sequence[Row]]:
        """Yield all that has gathered, in slices that take a few milliseconds."""
        while (records := session.read()).places:
            yield self._work(records)
            await asyncio.sleep(0)
        self.table.lose("kernel", session.lost())

    def _work(self, records: Records) -> list[Row]:
        self._clock.refresh()
        self._rows.refresh()
        wanted = self.table.wanted
        self._ports = wanted.values("local_port"), wanted.values("remote_port")
        raw, unpack, size = records.buffer, programs.EVENT.struct.unpack_from, programs.EVENT.size
        rows: list[Row] = []
        for place, length in records.places:
            if length >= size:
                self._add(unpack(raw, place), rows)
        return rows

    def _add(self, fields: Fields, rows: list[Row]) -> None:
        """Add the rows that an event makes, now or by what it tells of an earlier one."""
        kind = fields[KIND]
        if kind == programs.OWNED:
            accepted = self._waiting.pop((fields[SOCKET], fields[BEGUN]), None)
            if accepted is not None:
                self._row(accepted, "established", _owner(fields), rows)
            return
        local, remote = self._ports
        if fields[FAMILY] not in PADDED:
            return
        if (local is not None and fields[LOCAL_PORT] not in local) or (
            remote is not None and fields[REMOTE_PORT] not in remote
        ):
            return
        if kind == programs.ACCEPTED:
            self._waiting[fields[SOCKET], fields[BEGUN]] = fields
        elif kind == programs.OPENED:
            self._row(fields, "established", _owner(fields), rows)
        elif kind == programs.FAILED:
            self._failed(fields, rows)
        elif kind == programs.LISTENS:
            owner = _owner(fields)
            self._holders.listens(fields[NETNS], fields[LOCAL_PORT], owner)
            self._row(fields, "listen", owner, rows)
        elif kind == programs.CLOSED:
            self._closed(fields, rows)

    def _failed(self, fields: Fields, rows: list[Row]) -> None:
        row = self._row(fields, "failed", _owner(fields), rows)
        if row is not None and fields[ERROR]:
            row["error"] = fields[ERROR]

    def _closed(self, fields: Fields, rows: list[Row]) -> None:
        owner, direction = _owner(fields), DIRECTIONS.get(fields[DIRECTION])
        accepted = self._waiting.pop((fields[SOCKET], fields[BEGUN]), None)
        is_connection = fields[REMOTE_PORT] > 0
        if direction is None and is_connection:
            before, direction = self._holders.before(fields[SOCKET])
            owner = owner or before
        if owner is None and direction == "in":
            owner = self._listener(fields)
        if accepted is not None:
            self._row(accepted, "established", owner, rows)
        if not is_connection:
            self._holders.listens(fields[NETNS], fields[LOCAL_PORT], None)
        row = self._row(fields, "closed", owner, rows, until=fields[TIME])
        if row is not None and is_connection:
            row["direction"] = direction
            row["sent"], row["received"] = transferred(fields)

    def _listener(self, fields: Fields) -> Owner | None:
        return self._holders.listener(fields[NETNS], fields[LOCAL_PORT])

    def _row(
        self,
        fields: Fields,
        state: str,
        owner: Owner | None,
        rows: list[Row],
        until: int | None = None,
    ) -> dict[str, Any] | None:
        """Append the row of an event, if a query wants it, and return it."""
        family = fields[FAMILY]
        addresses = PADDED[family]
        flow = Flow(
            f"{fields[SOCKET]} {fields[BEGUN] or fields[TIME]}",
            FAMILIES[family],
            fields[PROTOCOL],
            addresses[fields[LOCAL]],
            fields[LOCAL_PORT],
            addresses[fields[REMOTE]],
            fields[REMOTE_PORT],
            DIRECTIONS.get(fields[DIRECTION]),
            netns=fields[NETNS],
            since=fields[SINCE] or None,
        )
        if owner is not None:
            flow.pid, flow.uid, flow.gid = owner.pid, owner.uid, owner.gid
            flow.process = NAMES[owner.name]
        if fields[PROTOCOL] == programs.UDP:
            self._udp.sends(flow)
        row = self._rows.row(flow, state, self._clock.micros(fields[TIME]), until)
        if row is not None:
            rows.append(row)
        return row

    async def _look(self) -> list[Row]:
        """Return rows of the connections whose process has not shown itself for a while."""
        now = self._clock.now()
        first = next(iter(self._waiting.values()))
        if min(now - first[TIME], now - self._looked) < WAIT:
            return []
        self._looked = now
        late = {key: each for key, each in self._waiting.items() if now - each[TIME] >= WAIT}
        holders = await asyncio.to_thread(self._holders.find, {key[0] for key in late})
        rows: list[Row] = []
        for key, fields in late.items():
            if self._waiting.pop(key, None) is not None:
                owner = holders.get(key[0]) or self._listener(fields)
                self._row(fields, "established", owner, rows)
        return rows


def _owner(fields: Fields) -> Owner | None:
    """Return the process of an event; there is none of ID 0."""
    pid, uid, gid = fields[PID : PID + 3]
    return Owner(pid, uid, gid, fields[NAME]) if pid else None


def transferred(fields: Fields) -> tuple[int, int]:
    """Return the bytes of a connection that the peer acknowledged, and those that it sent.

    The kernel counts the marks of beginning and end as bytes: what was
    acknowledged is no more than what was sent, once each.
    """
    acked, received = fields[ACKED], fields[RECEIVED]
    if fields[DIRECTION] == programs.OUT:
        acked = max(acked - 1, 0)
    acked = min(acked, max(fields[SENT] - fields[AGAIN], 0))
    if fields[FLAGS] & SOCK_DONE:
        received = max(received - 1, 0)
    return acked, received
