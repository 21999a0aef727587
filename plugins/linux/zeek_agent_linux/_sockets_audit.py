"""``sockets_events`` from the kernel's auditing.

The kernel records who connects, accepts and listens, and whether it works out;
what it does not record is asked of the socket while that is there. The end of
a connection is not recorded.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from zeek_agent_core.api import Row
from zeek_agent_linux import _sockseed
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.lookup import FAMILIES, socket_ends
from zeek_agent_linux._audit.rows import common_row
from zeek_agent_linux._audit.serving import ServingSource
from zeek_agent_linux._audit.sockaddr import IPV4, UNIX
from zeek_agent_linux._audit.socket_rows import complete, descriptor, socket_row
from zeek_agent_linux._audit.syscalls import ACCEPT, CONNECT, LISTEN
from zeek_agent_linux._sockrows import EventRow, Flow, SocketRows

UDP = 17
EINPROGRESS = -115
FAMILY_NAMES = {2: "IPv4", 10: "IPv6"}


class AuditSource(ServingSource):
    """Connections as they are opened and accepted, and who listens."""

    needed = frozenset({"connect"}) | ACCEPT

    def calls(self) -> frozenset[str]:
        """Return the calls on sockets."""
        return CONNECT | ACCEPT | LISTEN

    def existing(self) -> Iterable[Row]:
        """Return all sockets that are open."""
        return _sockseed.open_sockets(self.table)

    def work(self, events: Sequence[Event]) -> Sequence[Row]:
        """Return the rows of *events*."""
        rows = SocketRows(self.table)
        return [told for event in events if (told := self._told(event, rows)) is not None]

    def _told(self, event: Event, rows: SocketRows) -> EventRow | None:
        row = listen_row(event) or socket_row(event)
        if row is None or row["pid"] is None or row["fd"] is None or row.get("family") == UNIX:
            return None
        complete(row, socket_ends(row["pid"], row["fd"]))
        state = state_of(row)
        if state is None or row.get("family") not in FAMILIES:
            return None
        told = rows.row(flow_of(row, _netns(row["pid"])), state, row["time"])
        if told is not None:
            told["error"] = -row["exit"] if state == "failed" else None
            told["incomplete"] |= None in (row.get("local_port"), row.get("protocol"))
        return told


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
        is_listening=not has_peer,
    )


def _netns(pid: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 - for speed
    return None
