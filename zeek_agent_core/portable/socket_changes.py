"""Pure: what happened to sockets between two looks at all of them."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

TCP, UDP = 6, 17
ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - addresses to compare with
OPENING = frozenset({"SYN_SENT", "SYN_RECEIVED"})
OPEN = frozenset({"ESTABLISHED"})
CLOSING = frozenset(
    {"CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSING", "LAST_ACK", "TIME_WAIT", "DELETE_TCB"}
)


class Seen(NamedTuple):
    """A socket as one look shows it."""

    pid: int | None
    family: str
    protocol: int
    local_addr: str
    local_port: int
    remote_addr: str
    remote_port: int
    state: str | None
    """TCP state as in ``sockets``; None for others."""

    @property
    def phase(self) -> str | None:
        """Return what events tell of it: `listen`, `opening`, `open`, `closing`; None: nothing."""
        if self.protocol == UDP:
            if self.remote_port and self.remote_addr not in ANY:
                return "open"
            return "listen" if self.local_port else None
        if self.protocol != TCP or self.state is None:
            return None
        if self.state == "LISTEN":
            return "listen"
        for phase, states in (("opening", OPENING), ("open", OPEN), ("closing", CLOSING)):
            if self.state in states:
                return phase
        return None


class Change(NamedTuple):
    """Something that happened to a socket."""

    state: str
    """As in ``sockets_events``: `established`, `failed`, `listen`, `closed`."""
    socket: Seen
    """As it was seen last."""
    direction: str | None
    since: int
    """When it was first seen, or opened if that is known: µs since the epoch."""


@dataclass(slots=True)
class _Known:
    socket: Seen
    told: str | None
    """The last state that was told; None: nothing so far."""
    direction: str | None
    since: int


class SocketChanges:
    """Compares each look with the one before."""

    def __init__(self) -> None:
        """Know nothing: the first look tells nothing either."""
        self._known: dict[Hashable, _Known] | None = None

    def update(
        self, now: int, found: Mapping[Hashable, Seen], opened: Mapping[Hashable, int] | None = None
    ) -> list[Change]:
        """Return what happened up to *now*, in µs since the epoch.

        *found* has what is there, by keys that a socket keeps for its life;
        *opened* has the time since when it is there, where that is known.
        """
        known, times = self._known, opened or {}
        ports = {
            (seen.protocol, seen.local_port) for seen in found.values() if seen.phase == "listen"
        }
        changes: list[Change] = []
        current: dict[Hashable, _Known] = {}
        for key, each in (known or {}).items():
            if key not in found:
                changes += _gone(each)
        for key, seen in found.items():
            entry = (known or {}).get(key)
            if entry is None:
                entry = _Known(seen, None, _direction(seen, ports), times.get(key, now))
            if known is None:
                entry.told = _silently(seen)
            elif seen.pid is None:  # the process let go of it
                seen = seen._replace(pid=entry.socket.pid)  # noqa: PLW2901
            if known is not None:
                changes += _told(entry, seen)
            entry.socket = seen
            current[key] = entry
        self._known = current
        return changes


def _direction(seen: Seen, ports: set[tuple[int, int]]) -> str | None:
    """Return who opened it: one that lives on a port that listens was accepted."""
    if seen.phase == "listen" or seen.protocol == UDP:
        return None if seen.phase == "listen" else "out"
    if seen.state == "SYN_SENT":
        return "out"
    if seen.state == "SYN_RECEIVED":
        return "in"
    return "in" if (seen.protocol, seen.local_port) in ports else "out"


def _silently(seen: Seen) -> str | None:
    """Return the state that a socket of the first look counts as having told."""
    return {"open": "established", "listen": "listen", "closing": "closed"}.get(seen.phase or "")


def _told(entry: _Known, seen: Seen) -> Iterator[Change]:
    phase, told = seen.phase, entry.told
    if phase == "listen" and told != "listen":
        entry.told = "listen"
    elif phase == "open" and told != "established":
        entry.told = "established"
        if told == "listen":  # a UDP socket that got a peer
            entry.direction = "out"
    elif phase == "closing" and told != "closed":
        entry.told = "closed"
        if told is None:
            yield Change("established", seen, entry.direction, entry.since)
    else:
        return
    yield Change(entry.told, seen, entry.direction, entry.since)


def _gone(entry: _Known) -> Iterator[Change]:
    """Tell of the end of what is there no more."""
    if entry.told in {"established", "listen"}:
        yield Change("closed", entry.socket, entry.direction, entry.since)
    elif entry.told is None and entry.socket.phase == "opening":
        yield Change("failed", entry.socket, entry.direction, entry.since)
