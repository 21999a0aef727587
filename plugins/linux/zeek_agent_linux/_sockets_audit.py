"""``sockets_events`` from the kernel's auditing.

The kernel records who connects, accepts and listens, and whether it works out;
what it does not record is asked of the socket while that is there. The ends of
sockets are those that the kernel announces for the agent's own network
namespace.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing, suppress
from time import time_ns
from typing import Any

from zeek_agent_core.api import Row, Sourced
from zeek_agent_linux import _sockseed
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.lookup import FAMILIES, socket_ends
from zeek_agent_linux._audit.rows import common_row
from zeek_agent_linux._audit.serving import ServingSource
from zeek_agent_linux._audit.sockaddr import IPV4, UNIX
from zeek_agent_linux._audit.socket_rows import complete, descriptor, socket_row
from zeek_agent_linux._audit.syscalls import ACCEPT, CONNECT, LISTEN
from zeek_agent_linux._sockends import Ending, Endings
from zeek_agent_linux._sockrows import EventRow, Flow, SocketRows
from zeek_agent_linux._tcpstates import Ends, ends_of

UDP = 17
EINPROGRESS = -115
FAMILY_NAMES = {2: "IPv4", 10: "IPv6"}
MOST_OPEN = 100_000
"""Sockets whose end is waited for; the oldest gives way."""
SLICE = 100
"""Ends that are read at a time."""


class AuditSource(ServingSource):
    """Connections as they are opened and accepted, and who listens."""

    needed = frozenset({"connect"}) | ACCEPT
    every = 1.0

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._rows = SocketRows(table)
        self._open: dict[tuple[int, Ends], Flow] = {}
        self._endings: Endings | None = None
        self._ended: deque[tuple[int, Ending]] = deque()
        """When each end was announced, in ns since the epoch."""
        self._overruns = 0

    def calls(self) -> frozenset[str]:
        """Return the calls on sockets."""
        return CONNECT | ACCEPT | LISTEN

    def existing(self) -> Iterable[Row]:
        """Return all sockets that are open."""
        return _sockseed.open_sockets(self.table)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to sockets."""
        with ExitStack() as stack:
            self._listen(stack)
            async with aclosing(super().events()) as batches:  # type: ignore[type-var]
                async for rows in batches:
                    yield rows

    def _listen(self, stack: ExitStack) -> None:
        """Hear of the ends of sockets, if that can be done."""
        try:
            self._endings = stack.enter_context(Endings())
        except OSError as error:
            self.table.warn(f"ends of sockets are not announced: {error.strerror}")
            return
        loop, file = asyncio.get_running_loop(), self._endings.fileno()
        loop.add_reader(file, self._hear)
        stack.callback(loop.remove_reader, file)

    def _hear(self) -> None:
        endings, now = self._endings, time_ns()
        if endings is not None:
            self._ended.extend((now, ending) for ending in endings.read(SLICE))
            self.table.lose("ends", endings.overruns - self._overruns)
            self._overruns = endings.overruns

    def work(self, events: Sequence[Event]) -> Sequence[Row]:
        """Return the rows of *events*, and of the ends since the last time."""
        self._rows.refresh()
        rows = [self._told(event) for event in events]
        while self._ended:
            rows.append(self._closed(*self._ended.popleft()))
        return [row for row in rows if row is not None]

    def _told(self, event: Event) -> EventRow | None:
        row = listen_row(event) or socket_row(event)
        if row is None or row["pid"] is None or row["fd"] is None or row.get("family") == UNIX:
            return None
        complete(row, socket_ends(row["pid"], row["fd"]))
        state = state_of(row)
        if state is None or row.get("family") not in FAMILIES:
            return None
        flow = flow_of(row, _netns(row["pid"]))
        told = self._rows.row(flow, state, row["time"])
        is_known = None not in {row.get("local_port"), row.get("protocol")}
        if is_known and state != "failed":
            self._remember(flow)
        if told is not None:
            told["error"] = -row["exit"] if state == "failed" else None
            told["incomplete"] |= not is_known
        return told

    def _remember(self, flow: Flow) -> None:
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
            self.table.lose("bound")
        self._open[flow.protocol, ends_of(flow)] = flow

    def _closed(self, now: int, ending: Ending) -> EventRow | None:
        flow = self._open.pop((ending.protocol, ending.ends), None)
        if flow is None:
            return None
        row = self._rows.row(flow, "closed", now // 1000, now)
        if row is not None and not flow.is_listening:
            counts = ending.counts(has_opened=flow.direction == "out")
            row["sent"], row["received"] = counts
        return row


def listen_row(event: Event) -> EventRow | None:
    """Return who listens; the kernel does not record where."""
    if event.syscall not in LISTEN:
        return None
    row = common_row(event)
    row["fd"] = descriptor(event, None)
    return row


def state_of(row: EventRow) -> str | None:
    """Return what has become of the socket; None if it is nothing to tell.

    A connection that is under way counts as established: whether it fails is
    not recorded.
    """
    call, has_worked = row["syscall"], row["exit"] is not None and row["exit"] >= 0
    if call == "connect":
        return "established" if has_worked or row["exit"] == EINPROGRESS else "failed"
    if not has_worked:
        return None
    if call in ACCEPT:
        return "established"
    return "listen" if call in LISTEN or row.get("protocol") == UDP else None


def flow_of(row: EventRow, netns: int | None) -> Flow:
    """Return the connection, or the socket that listens, of a *row* of a call; some is NULL."""
    known: Callable[[str], Any] = row.get
    direction = {"connect": "out", "accept": "in", "accept4": "in"}.get(row["syscall"])
    has_peer = direction is not None
    anywhere = "0.0.0.0" if row["family"] == IPV4 else "::"  # noqa: S104 - what others tell
    return Flow(
        f"audit {row['serial']}",
        FAMILY_NAMES[row["family"]],
        known("protocol"),
        known("local_address"),
        known("local_port"),
        known("remote_address") if has_peer else anywhere,
        known("remote_port") if has_peer else 0,
        direction,
        row["pid"],
        row["comm"],
        row["euid"],
        row["egid"],
        netns,
        since=row["time"] * 1000,
        is_listening=not has_peer,
    )


def _netns(pid: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 - for speed
    return None
