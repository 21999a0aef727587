"""Rows of ``sockets_events`` from flows: for all sources.

A source makes a `Flow` of what it knows of a socket and calls `SocketRows.row`
with each state that is told; it returns a row, or None if no query wants it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zeek_agent_core.api import Evented

CONDITIONS = (
    "pid", "uid", "family", "protocol", "local_addr", "local_port", "remote_addr",
    "remote_port", "state",
)  # fmt: skip
"""Columns with conditions that are looked at here, so that unwanted rows are not held."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]

EventRow = dict[str, Any]


@dataclass(slots=True)
class Flow:
    """A connection or a listening socket; None is not known."""

    key: str
    """Tells it from all other sockets of this boot: goes into its `seuid`."""
    family: str
    protocol: int
    local_addr: str
    local_port: int
    remote_addr: str
    remote_port: int
    direction: str | None = None
    pid: int | None = None
    process: str | None = None
    uid: int | None = None
    gid: int | None = None
    netns: int | None = None
    since: int | None = None
    """When it was established or began to listen, in ns of a clock of the kernel."""
    is_listening: bool = False
    seuid: str | None = None
    """Made from the key when it is first needed."""


class SocketRows:
    """Makes those rows that are wanted of a table."""

    def __init__(self, table: Evented) -> None:
        """Make rows for *table*."""
        self._table = table
        agent = table.host.agent
        self._salt = f"{agent.id} {agent.instance} ".encode()
        self.refresh()

    def refresh(self) -> None:
        """Learn what queries want now."""
        wanted = self._table.wanted
        self._admits = wanted.admits
        self._conditions = tuple(
            name
            for name in CONDITIONS
            if name in wanted.allowed
            or name in wanted.lows
            or name in wanted.highs
            or name in wanted.prefixes
        )
        self._told = tuple({"pid", "process", "uid"} & wanted.columns)
        self._has_id = "seuid" in wanted.columns

    def row(self, flow: Flow, state: str, time: int, until: int | None = None) -> EventRow | None:
        """Return the row of a *flow* that came into *state* at *time* (µs since the epoch).

        *until* is when it ended, by the clock of `Flow.since`.
        """
        row: EventRow = {
            "time": time,
            "pid": flow.pid,
            "process": flow.process,
            "uid": flow.uid,
            "gid": flow.gid,
            "family": flow.family,
            "protocol": flow.protocol,
            "local_addr": flow.local_addr,
            "local_port": flow.local_port,
            "remote_addr": flow.remote_addr,
            "remote_port": flow.remote_port,
            "state": state,
            "direction": flow.direction,
            "netns": flow.netns,
            "incomplete": False,
        }
        for name in self._conditions:
            if not self._admits(name, row[name]):
                return None
        if None in map(row.get, self._told):
            row["incomplete"] = True
        if until is not None and flow.since is not None:
            row["duration"] = max(until - flow.since, 0)
        if self._has_id:
            if flow.seuid is None:
                flow.seuid = seuid(self._salt, flow.key)
            row["seuid"] = flow.seuid
        return row

    def of(self, told: Iterable[tuple[str, Flow]], now: int) -> list[EventRow]:
        """Return the rows of some states and flows at *now* (ns since the epoch, as `since`)."""
        made = (
            self.row(flow, state, now // 1000, now if state == "closed" else None)
            for state, flow in told
        )
        return [row for row in made if row is not None]


def seuid(salt: bytes, key: str) -> str:
    """Return the ID of a socket: `S` and 12 digits of base 62, from 64 bits of a hash."""
    number = int.from_bytes(hashlib.blake2b(salt + key.encode(), digest_size=8).digest())
    digits = "S"
    for _ in range(6):
        number, pair = divmod(number, len(_PAIRS))
        digits += _PAIRS[pair]
    return digits
