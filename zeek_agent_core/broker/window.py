"""Pure: how much may be under way to the server before it has answered a ping.

Both servers answer a ping in order with the data before it. So a ping is a
barrier: its answer confirms what was sent before. With few pings unanswered,
and few events between two of them, our own answers to the server's pings are
never far behind, and a slow Zeek slows the agent instead of ending the
connection.
"""

from collections import deque

MOST_PINGS = 4
MOST_EVENTS = 500
FIRST_EVENTS = 32
"""Events between two pings to begin with: few, since the server may be slow."""
LEAST_EVENTS = 4
MOST_BYTES = 256 << 10
SLOW, FAST = 1.0, 0.25
"""Seconds for an answer above which the distance of pings halves, or below which it doubles."""


class Window:
    """Counts events, bytes and pings of one connection."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.sent = 0
        self.confirmed = 0
        self.events_per_ping = FIRST_EVENTS
        self._since_ping = 0
        self._bytes_since_ping = 0
        self._pings: deque[tuple[bytes, int, float, int]] = deque()
        self._number = 0
        self._changes = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing may be sent until a ping is answered."""
        return len(self._pings) >= MOST_PINGS

    @property
    def unconfirmed(self) -> int:
        """Events after the last answered ping."""
        return self.sent - self.confirmed

    @property
    def needs_barrier(self) -> bool:
        """Whether there are events with no ping after them."""
        return self._since_ping > 0 and not self.is_full

    @property
    def allowed(self) -> int:
        """Events that may be sent before the next ping."""
        return 0 if self.is_full else self.events_per_ping - self._since_ping

    def note_event(self, size: int) -> bool:
        """Count an event of *size* bytes; return whether a ping is due after it."""
        self.sent += 1
        self._since_ping += 1
        self._bytes_since_ping += size
        bytes_per_ping = MOST_BYTES * self.events_per_ping // MOST_EVENTS
        return self._since_ping >= self.events_per_ping or self._bytes_since_ping >= bytes_per_ping

    def ping(self, now: float, *, is_numbered: bool) -> bytes:
        """Return the payload of the next ping.

        It is empty towards Broker's server, which may drop the connection
        when a short frame with a payload arrives in two pieces.
        """
        self._number += 1
        payload = self._number.to_bytes(4) if is_numbered else b""
        self._pings.append((payload, self.sent, now, self._changes))
        self._since_ping = self._bytes_since_ping = 0
        return payload

    def pong(self, payload: bytes, now: float) -> None:
        """Take the answer to the oldest ping, or to the one with this *payload*."""
        if not any(payload == ping[0] for ping in self._pings):
            return
        while self._pings:
            known, confirmed, begun, changes = self._pings.popleft()
            self.confirmed = confirmed
            if known == payload:
                if changes == self._changes:  # what a change does shows in later pings only
                    self._adapt(now - begun)
                return

    def _adapt(self, seconds: float) -> None:
        before = self.events_per_ping
        if seconds > SLOW:
            self.events_per_ping = max(before // 2, LEAST_EVENTS)
        elif seconds < FAST:
            self.events_per_ping = min(before * 2, MOST_EVENTS)
        self._changes += self.events_per_ping != before
