"""What the states of TCP sockets tell of connections: pure, for all sources.

A source calls `Flows.change` with each change of the state of a socket, in the
order of the events, as the kernel's trace event `inet_sock_set_state` has them;
what is returned are flows and the states to tell of them, for `SocketRows.row`.
The key is what the source knows a socket by for as long as it lives: its
address in the kernel, or its cookie.

Who opens a connection, or listens, does so itself, and the event happens in its
process; all later changes may happen in an interrupt in the midst of any other.
So the owner is kept from the first event on. An accepted connection has the
owner of the socket that listened.

Sources: net/ipv4/tcp.c, net/ipv4/inet_connection_sock.c, include/trace/events/sock.h.
"""

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from zeek_agent_linux._sockrows import Flow

ESTABLISHED, SYN_SENT, SYN_RECV = 1, 2, 3
CLOSE, LISTEN = 7, 10
"""Numbers of states in include/net/tcp_states.h; those not named are ways to the end."""
MOST = 1 << 18
"""So many sockets are known at once; beyond, the oldest is forgotten."""

TCP = 6
ANY = {"0.0.0.0", "::"}  # noqa: S104 - nothing is bound
"""Local addresses of sockets that listen on all."""
OWNED = ("pid", "process", "uid", "gid", "netns")
"""What a connection that was accepted has from the socket that listened."""

Told = tuple[str, Flow]
"""A state of `sockets_events`, and whose it is."""
NOTHING: Sequence[Told] = ()


class Ends(NamedTuple):
    """The addresses and ports of both ends of a socket."""

    family: str
    local_addr: str
    local_port: int
    remote_addr: str
    remote_port: int


class Owner(NamedTuple):
    """The process that opens a connection or listens; None is not known."""

    pid: int
    process: str | None = None
    uid: int | None = None
    gid: int | None = None
    netns: int | None = None


class Flows:
    """Connections and listening sockets, by the keys of their sockets."""

    def __init__(self, most: int = MOST) -> None:
        """Know no flow; never more than *most*."""
        self.known: dict[Hashable, Flow] = {}
        self.forgotten = 0
        """Flows that gave way to newer ones, so far."""
        self._most = most
        self._listeners: dict[int, list[Flow]] = {}
        self._found: dict[Ends, Flow] = {}
        """Flows that were there when events began, whose keys are not known."""

    def __len__(self) -> int:
        """Return how many flows are known."""
        return len(self.known) + len(self._found)

    def add(self, flow: Flow) -> None:
        """Add a *flow* that was found, not seen to begin."""
        self._found[ends_of(flow)] = flow
        if flow.is_listening:
            self._listeners.setdefault(flow.local_port, []).append(flow)

    def change(
        self,
        key: Hashable,
        old: int,
        new: int,
        ends: Ends,
        time: int,
        *,
        owner: Owner | None = None,
    ) -> Sequence[Told]:
        """Return what is to be told of a change from state *old* to *new* at *time*.

        Times are nanoseconds of a clock of the kernel. The *owner* counts where
        *old* is `CLOSE`; `Flow.since` is *time* when a connection or a
        listening socket begins.
        """
        if new == CLOSE:
            return self._close(key, old, ends, time)
        if new == ESTABLISHED:
            return self._establish(key, old, ends, time)
        if old == CLOSE and new in {SYN_SENT, LISTEN}:
            return self._open(key, new, ends, time, owner)
        return ()

    def listeners(self, ends: Ends) -> list[Flow]:
        """Return the sockets that listen where a connection with *ends* came in.

        There is one, unless several processes share the port, or it is used in
        several network namespaces.
        """
        same = [f for f in self._listeners.get(ends.local_port, ()) if f.family == ends.family]
        exact = [flow for flow in same if flow.local_addr == ends.local_addr]
        return exact or [flow for flow in same if flow.local_addr in ANY]

    def inherit(self, flow: Flow) -> None:
        """Let an accepted *flow* have what those agree on that listen for it."""
        listeners = self.listeners(ends_of(flow))
        if len(listeners) == 1:
            _own(flow, listeners[0])
            return
        for name in OWNED:
            values: set[Any] = {getattr(listener, name) for listener in listeners}
            setattr(flow, name, values.pop() if len(values) == 1 else None)

    def adopt(self, found: Iterable[Flow]) -> None:
        """Take the owners of listening sockets from those *found* with the same ends."""
        for other in found:
            flows = [f for f in self.listeners(ends_of(other)) if ends_of(f) == ends_of(other)]
            if not flows:
                self.add(other)
            for flow in flows:
                _own(flow, other)

    def expire(self, alive: Collection[Ends], time: int) -> list[Flow]:
        """Forget the flows from before *time* whose ends are not among *alive*, and return them."""
        gone = [
            key
            for key, flow in self.known.items()
            if flow.since is not None and flow.since < time and ends_of(flow) not in alive
        ]
        flows = [self.known.pop(key) for key in gone]
        flows += [self._found.pop(ends) for ends in self._found.keys() - alive]
        for flow in flows:
            self._forget(flow)
        return flows

    def _open(
        self, key: Hashable, new: int, ends: Ends, time: int, owner: Owner | None
    ) -> Sequence[Told]:
        expired = self._expired(key)
        self._begun(ends)
        flow = self._make(key, ends, time)
        if owner is not None:
            flow.pid, flow.process, flow.uid, flow.gid, flow.netns = owner
        if new == SYN_SENT:
            flow.direction = "out"
            return expired
        flow.since, flow.is_listening = time, True
        self._listeners.setdefault(flow.local_port, []).append(flow)
        return (*expired, ("listen", flow))

    def _establish(self, key: Hashable, old: int, ends: Ends, time: int) -> Sequence[Told]:
        flow, expired = self.known.get(key), NOTHING
        if flow is not None and flow.since is not None:
            expired = self._expired(key)
            flow = None
        self._begun(ends)
        if flow is None:
            flow = self._make(key, ends, time)
            flow.direction = "out" if old == SYN_SENT else "in"
            if flow.direction == "in":
                self.inherit(flow)
        else:
            _set_ends(flow, ends)
        flow.since = time
        return (*expired, ("established", flow))

    def _close(self, key: Hashable, old: int, ends: Ends, time: int) -> Sequence[Told]:
        flow = self.known.pop(key, None)
        if flow is not None and flow.since is None:
            if old != SYN_SENT:
                return NOTHING
            _set_ends(flow, ends)
            return (("failed", flow),)
        if flow is None:
            if old in {SYN_SENT, SYN_RECV}:
                return NOTHING  # it began before, or never became a connection
            flow = self._found.pop(ends, None) or self._new(key, ends, time)
        self._forget(flow)
        return (("closed", flow),)

    def _make(self, key: Hashable, ends: Ends, time: int) -> Flow:
        flow = self.known[key] = self._new(key, ends, time)
        if len(self.known) > self._most:
            self._forget(self.known.pop(next(iter(self.known))))
            self.forgotten += 1
        return flow

    @staticmethod
    def _new(key: Hashable, ends: Ends, time: int) -> Flow:
        return Flow(
            f"{key} {time}", ends.family, TCP, ends.local_addr, ends.local_port,
            ends.remote_addr, ends.remote_port,
        )  # fmt: skip

    def _expired(self, key: Hashable) -> Sequence[Told]:
        """Return what was known by *key* before: its end was missed."""
        flow = self.known.pop(key, None)
        if flow is None:
            return NOTHING
        self._forget(flow)
        return () if flow.since is None else (("expired", flow),)

    def _begun(self, ends: Ends) -> None:
        """Forget what was found with the same *ends*: it was this one, or has ended."""
        flow = self._found.pop(ends, None)
        if flow is not None:
            self._forget(flow)

    def _forget(self, flow: Flow) -> None:
        if flow.is_listening:
            flows = self._listeners.get(flow.local_port, [])
            flows[:] = [other for other in flows if other is not flow]
            if not flows:
                self._listeners.pop(flow.local_port, None)


def ends_of(flow: Flow) -> Ends:
    """Return the ends of a *flow*."""
    return Ends(flow.family, flow.local_addr, flow.local_port, flow.remote_addr, flow.remote_port)


def _set_ends(flow: Flow, ends: Ends) -> None:
    _, flow.local_addr, flow.local_port, flow.remote_addr, flow.remote_port = ends


def _own(flow: Flow, other: Flow) -> None:
    """Let *flow* have the owner of the *other*."""
    flow.pid, flow.process = other.pid, other.process
    flow.uid, flow.gid, flow.netns = other.uid, other.gid, other.netns
