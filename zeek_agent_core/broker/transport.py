"""What carries events between the agent and one Zeek, whatever the wire."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """One Zeek event as it came over the wire, its arguments as values of `data`."""

    topic: str
    name: str
    arguments: tuple[Any, ...]
    sent: int | None = None
    """The network time that older Zeeks attach, in nanoseconds, read as UTC."""


class Flavour(StrEnum):
    """What kind of server answered; layouts and limits follow from it."""

    BROKER = "broker"
    """Broker's own WebSocket server, Zeek up to 8.0."""
    CLUSTER = "cluster"
    """Zeek's own WebSocket server, Zeek 7.2 and newer."""
    NATIVE = "native"
    """A native Broker peering."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who answered, from the server's `ack`."""

    endpoint: str
    version: str
    flavour: Flavour
    release: tuple[int, int] = (0, 0)
    """Zeek's release as far as it is known, for example `(8, 0)`; else the oldest possible."""


class Reason(StrEnum):
    """Why a connection ended; the pause before the next attempt follows from it."""

    REFUSED = "refused"
    FULL = "full"
    GOING_DOWN = "going down"
    MISCONFIGURED = "misconfigured"
    OVERRUN = "overrun"
    BROKEN = "broken"
    SILENT = "silent"
    CLOSED = "closed"


class Handler(Protocol):
    """Who a transport tells what happens; called on the event loop."""

    def connected(self, peer: Peer) -> None:
        """Learn who answered; events may flow."""

    def received(self, event: Event) -> None:
        """Take an event."""

    def complained(self, text: str) -> None:
        """Learn what the server did not like; the connection goes on."""


class Lost(Exception):  # noqa: N818 - it is an event rather than an error
    """The connection has ended."""

    def __init__(self, reason: Reason, text: str) -> None:
        """Say why, for the log."""
        super().__init__(text)
        self.reason = reason


@dataclass(slots=True)
class TransportStats:
    """What a connection has done."""

    sent_events: int = 0
    sent_bytes: int = 0
    confirmed_events: int = 0
    """Events that are known to have reached the server: those before an answered ping."""
    received_events: int = 0
    errors: int = 0
    extra: dict[str, int] = field(default_factory=dict)


class Transport(Protocol):
    """One connection; made for one use."""

    stats: TransportStats

    async def run(self, topics: Sequence[str], handler: Handler) -> None:
        """Connect, subscribe to *topics*, serve until the end; always raises `Lost`."""

    def publish(self, topic: str, event: str, arguments: Sequence[Any]) -> None:
        """Queue one event whose arguments are codec values; never blocks."""

    def publish_encoded(self, frames: Sequence[bytes]) -> None:
        """Queue events that a compiled encoder has made for this transport's peer."""

    def ready(self) -> Awaitable[None] | None:
        """Return None if more may be queued now, else what to wait for."""

    async def close(self, goodbye: float = 2.0) -> None:
        """Send what is queued, within *goodbye* seconds, and end the connection."""
