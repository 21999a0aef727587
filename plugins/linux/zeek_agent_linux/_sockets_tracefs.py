"""``sockets_events`` from the kernel's trace event for the state of TCP sockets.

It tells of every connection and listening socket of the host, in all network
namespaces, and in which thread one begins; who that thread belongs to is known
by the processes' own events. It tells neither how many bytes went, which the
kernel announces elsewhere, nor why a connection failed, nor anything of UDP,
whose sockets are listed now and then.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, suppress
from time import monotonic, time_ns
from typing import Any

from zeek_agent_core.api import Row, Source, Sourced
from zeek_agent_linux import _sockseed
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._pidns import check_initial
from zeek_agent_linux._prochistory import Entry, History
from zeek_agent_linux._readable import GATHER_SECONDS, Readable
from zeek_agent_linux._sockdiff import SHARE, UDP, Differences
from zeek_agent_linux._sockends import TCP_GROUPS, Ending, Endings
from zeek_agent_linux._sockowner import OwnerFinder
from zeek_agent_linux._sockrows import EventRow, Flow, SocketRows
from zeek_agent_linux._socktrace import TRACED, filter_text, parse_ends
from zeek_agent_linux._tcpstates import CLOSE, Ends, Flows, Owner, Told, ends_of
from zeek_agent_linux._tracefs import Instance, Traced
from zeek_agent_linux._traceorder import AGAIN_SECONDS, Ordered
from zeek_agent_linux._tracepage import IN_INTERRUPT, Event

NAME = "zeek-agent-sockets"
STATE, EXEC = "state", "exec"
EVENTS = {STATE: TRACED, EXEC: Traced("sched/sched_process_exec", ("pid", "filename"))}
SLICE = 500
"""Events that are worked on before others have their turn."""
LOOK_SECONDS = 1.0
"""Least time between two looks for the owners of sockets that listen."""


class TraceSource(Source):
    """TCP connections and listening sockets, as their states change."""

    name = "tracefs"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._clock = KernelClock(BootTime(f"{table.host.prefix}/proc"))
        self._rows = SocketRows(table)
        self._flows = Flows()
        self._readable = Readable([])
        self._filter = ""
        self._entries: deque[Entry] = deque()
        self._orphans: list[Flow] = []
        self._looked = 0.0
        self._alive: set[Ends] | None = None
        """What was there when events had been lost, at the time `_listed`."""
        self._listed = 0
        self._lost = self._forgotten = self._forged = 0
        self._endings: Endings | None = None
        self._ended: tuple[dict[Ends, Ending], dict[Ends, Ending]] = {}, {}
        """What the kernel has announced since the last batch, and before that."""
        self._udp = Differences(table.host, {UDP})
        self._due = 0.0
        """When the UDP sockets are listed next."""

    def _instance(self) -> Instance:
        may_mount = self.table.setting("mount_tracefs")
        return Instance(self.table.host, NAME, EVENTS, may_mount=may_mount)

    def check(self) -> None:
        """Trace for a moment."""
        check_initial(self.table.host)
        instance = self._instance()
        instance.open()
        instance.close()

    def existing(self) -> Iterable[Row]:
        """Return all sockets that are open."""
        return _sockseed.open_sockets(self.table)

    def wanted_changed(self) -> None:
        """Let the kernel filter anew, soon."""
        self._readable.wake()

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to sockets."""
        with ExitStack() as stack:
            history = self._follow(stack)
            async with self._instance() as instance:
                self._finder = OwnerFinder(self.table.host, history)
                await self._filter_anew(instance)
                yield []
                await self._seed(history)
                files = [instance.fileno()] + ([history.fileno()] if history else [])
                self._readable, ordered = Readable(files), Ordered(instance)
                while True:
                    self._hear_endings(stack)
                    yield await self._look_at_udp()
                    await self._wait(instance, ordered)
                    events = await self._read(ordered, history)
                    for start in range(0, len(events), SLICE):
                        told = self._work(instance, history, events[start : start + SLICE])
                        if rows := await self._tell(told):
                            yield rows
                        await asyncio.sleep(0)
                    self._catch_up(history, ordered.until)
                    if rows := self._expire(ordered.until):
                        yield rows
                    if self._count(instance, history):
                        await self._list(history)

    def _follow(self, stack: ExitStack) -> History | None:
        """Begin to follow the processes, if that can be done."""
        try:
            return stack.enter_context(History(self.table.host, keep=0))
        except OSError as error:
            self.table.warn(f"owners are known from /proc only: proc connector: {error}")
            return None

    async def _seed(self, history: History | None) -> None:
        """Learn what is there already."""
        if history is not None:
            await history.fill()
        host, wants_owners = self.table.host, self.table.wanted.wants("pid", "process", "uid")
        found = await asyncio.to_thread(_sockseed.flows, host, with_owners=wants_owners)
        for flow in found:
            self._flows.add(flow)

    async def _filter_anew(self, instance: Instance) -> None:
        """Let the kernel filter by what is wanted now."""
        text = filter_text(self.table.wanted)
        if text != self._filter:
            await asyncio.to_thread(instance.filter, STATE, text)
            self._filter = text

    def _hear_endings(self, stack: ExitStack) -> None:
        """Let the kernel announce the ends of connections once byte counts are wanted."""
        if self._endings is None and self.table.wanted.wants("sent", "received"):
            self._endings = Endings(TCP_GROUPS)
            with suppress(OSError):  # it just does not, where that part is not built in
                stack.enter_context(self._endings)

    async def _look_at_udp(self) -> list[EventRow]:
        """Return rows for the UDP sockets that came and went, if it is time to look."""
        protocols = self.table.wanted.values("protocol")
        if protocols is not None and UDP not in protocols:
            self._due = math.inf
            return []
        began = monotonic()
        if began < self._due < math.inf:
            return []
        told = await asyncio.to_thread(self._udp.look)
        took = monotonic() - began
        self._due = monotonic() + max(self.table.setting("interval"), SHARE * took)
        self._rows.refresh()
        now = time_ns()
        return self._rows.of(told, now)

    async def _wait(self, instance: Instance, ordered: Ordered) -> None:
        if ordered.is_holding or self._entries or self._alive is not None:
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            most = None if self._due == math.inf else self._due - monotonic()
            await self._readable.wait(GATHER_SECONDS, most)
        await self._filter_anew(instance)

    async def _read(self, ordered: Ordered, history: History | None) -> list[Event]:
        events = await ordered.read()
        if history is not None:
            self._entries = deque(sorted([*self._entries, *history.read()], key=lambda e: e[0]))
        self._ended = {}, self._ended[0]
        while self._endings is not None and (some := self._endings.read(SLICE)):
            self._ended[0].update((ending.ends, ending) for ending in some)
            await asyncio.sleep(0)
        self._clock.refresh()
        self._rows.refresh()
        self._finder.begin()
        return events

    def _work(
        self, instance: Instance, history: History | None, events: Sequence[Event]
    ) -> list[tuple[Told, int]]:
        """Return what is to be told of *events*, and when each happened."""
        told: list[tuple[Told, int]] = []
        for time, kind, values in events:
            self._catch_up(history, time)
            if instance.names[kind] == EXEC:
                self._finder.executed(*values)
                continue
            for state, flow in self._change(time, values):
                told.append(((state, flow), time))
                if state == "established" and flow.direction == "in":
                    self._see_owner(flow)
        return told

    def _see_owner(self, flow: Flow) -> None:
        """Note an accepted *flow* if the process that began to listen for it is gone.

        Many servers listen first and go to the background then.
        """
        if flow.pid is None or not self._finder.is_alive(flow.pid):
            self._orphans.append(flow)

    def _catch_up(self, history: History | None, time: int) -> None:
        """Let the history know all that has happened until *time*."""
        entries = self._entries
        while entries and entries[0][0] <= time and history is not None:
            self._finder.apply(history, entries.popleft())

    def _change(self, time: int, values: tuple[Any, ...]) -> Sequence[Told]:
        flags, thread, key, old, new, sport, dport, family, *addresses = values
        local, remote, local6, remote6 = addresses
        ends = parse_ends(family, sport, dport, (local, remote), (local6, remote6))
        if ends is None:
            return ()
        owner: Owner | None = None
        if old == CLOSE and not flags & IN_INTERRUPT:
            wanted = self.table.wanted
            if wanted.wants("pid", "process", "uid", "gid", "netns"):
                owner = self._finder.owner(thread, with_netns="netns" in wanted.columns)
        return self._flows.change(key, old, new, ends, time, owner=owner)

    async def _tell(self, told: Sequence[tuple[Told, int]]) -> list[EventRow]:
        """Return the rows of what is told."""
        if self._orphans:
            await self._find_owners()
        rows = [self._row(state, flow, time) for (state, flow), time in told]
        return [row for row in rows if row is not None]

    def _row(self, state: str, flow: Flow, time: int) -> EventRow | None:
        if state not in {"closed", "expired"}:
            return self._rows.row(flow, state, self._clock.micros(time))
        row = self._rows.row(flow, state, self._clock.micros(time), time)
        if row is not None and self._endings is not None:
            ends = ends_of(flow)
            ending = self._ended[0].pop(ends, None) or self._ended[1].pop(ends, None)
            if ending is not None:
                has_opened = flow.direction == "out"
                row["sent"], row["received"] = ending.counts(has_opened=has_opened)
        return row

    async def _find_owners(self) -> None:
        """Look for who listens now, unless that was done a moment ago."""
        orphans, self._orphans = self._orphans, []
        if not self.table.wanted.wants("pid", "process", "uid"):
            return
        if monotonic() - self._looked > LOOK_SECONDS:
            host = self.table.host
            found = await asyncio.to_thread(_sockseed.flows, host, with_owners=True, listening=True)
            self._flows.adopt(found)
            self._looked = monotonic()
        for flow in orphans:
            self._flows.inherit(flow)

    def _count(self, instance: Instance, history: History | None) -> int:
        """Return how many events the kernel has lost since the last time."""
        forged = (history.forged if history else 0) + (self._endings.forged if self._endings else 0)
        if forged != self._forged:
            self.table.warn("messages that did not come from the kernel were ignored")
        self._forged = forged
        lost = instance.lost + (history.lost if history else 0) - self._lost
        self._lost += lost
        self.table.lose("kernel", lost)
        forgotten = self._flows.forgotten - self._forgotten
        self._forgotten += forgotten
        self.table.lose("bound", forgotten)
        return lost

    async def _list(self, history: History | None) -> None:
        """See what is there after events were lost; what ends until now is told yet."""
        self._listed = self._clock.now()
        if history is not None:
            await history.fill()
        found = await asyncio.to_thread(_sockseed.flows, self.table.host, with_owners=False)
        self._alive = {ends_of(flow) for flow in found}

    def _expire(self, until: int) -> list[EventRow]:
        """Return rows for the flows whose end was lost, once all that came before is told."""
        if self._alive is None or until < self._listed:
            return []
        flows = self._flows.expire(self._alive, self._listed)
        self._alive = None
        time = self._clock.micros(until)
        rows = [self._rows.row(flow, "expired", time, until) for flow in flows]
        return [row for row in rows if row is not None]
