"""Whose sockets are that no event tells the process of: those from before, and unused ones."""

import os
from collections.abc import Collection
from typing import NamedTuple

from zeek_agent_linux._opensockets import (
    NAME,
    NETNS,
    NUMBER,
    PID,
    PROTOCOL,
    REMOTE_PORT,
    SOCKET,
    STATE,
    OpenSockets,
)  # fmt: skip
from zeek_agent_linux._socklists import TCP

LISTEN = 10


class Owner(NamedTuple):
    """A process and its effective IDs."""

    pid: int
    uid: int
    gid: int
    name: bytes


class Holders:
    """Finds processes by what they hold; all but `before` and `listener` are for a thread."""

    def __init__(self, sockets: OpenSockets) -> None:
        """Look at what *sockets* shows."""
        self._sockets = sockets
        self._listeners: dict[tuple[int, int], Owner] = {}
        self._before: dict[int, tuple[Owner, str]] = {}

    def learn(self) -> None:
        """Learn whose all sockets are that are there now."""
        living = _Living()
        connected: list[tuple[int, tuple[int, int], Owner]] = []
        for fields in self._sockets.chosen():
            owner = living.owner(fields[PID], fields[NAME])
            if fields[PROTOCOL] != TCP or owner is None:
                continue
            port = fields[NETNS], fields[NUMBER]
            if fields[STATE] == LISTEN:
                self._listeners.setdefault(port, owner)
            elif fields[REMOTE_PORT]:
                connected.append((fields[SOCKET], port, owner))
        for socket, port, owner in connected:
            self._before[socket] = owner, "in" if port in self._listeners else "out"

    def find(self, wanted: Collection[int]) -> dict[int, Owner]:
        """Return the processes that hold the sockets at the addresses *wanted*."""
        living, found = _Living(), {}
        for fields in self._sockets.chosen():
            if fields[SOCKET] in wanted:
                owner = living.owner(fields[PID], fields[NAME])
                if owner is not None:
                    found[fields[SOCKET]] = owner
        return found

    def before(self, socket: int) -> tuple[Owner | None, str | None]:
        """Return whose connection it was, and its direction, if it was there before; once."""
        return self._before.pop(socket, (None, None))

    def listens(self, netns: int, port: int, owner: Owner | None) -> None:
        """Note who listens on a port, or with None that nobody does any more."""
        if owner is None:
            self._listeners.pop((netns, port), None)
        else:
            self._listeners[netns, port] = owner

    def listener(self, netns: int, port: int) -> Owner | None:
        """Return who listens on a port: a connection that nobody has accepted is its."""
        return self._listeners.get((netns, port))


class _Living(dict[int, tuple[int, int] | None]):
    """Effective IDs of processes, each looked at once."""

    def __missing__(self, pid: int) -> tuple[int, int] | None:
        try:
            status = os.stat(f"/proc/{pid}")  # noqa: PTH116 - paths cost more
        except OSError:
            self[pid] = None  # it has ended
        else:
            self[pid] = status.st_uid, status.st_gid
        return self[pid]

    def owner(self, pid: int, name: bytes) -> Owner | None:
        ids = self[pid]
        return None if ids is None else Owner(pid, *ids, name)
