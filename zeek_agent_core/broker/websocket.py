"""The default transport: a WebSocket, to either of Zeek's two servers."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from zeek_agent_core import __version__
from zeek_agent_core.broker.codec import (
    OLDEST,
    Ack,
    Complaint,
    Rules,
    decode_frame,
    encode_event,
    encode_subscriptions,
    peer,
    rules_for,
)
from zeek_agent_core.broker.destination import Endpoint
from zeek_agent_core.broker.dial import dial
from zeek_agent_core.broker.pace import Pace
from zeek_agent_core.broker.tls import TlsSettings, mode_for
from zeek_agent_core.broker.transport import Flavour, Handler, Lost, Peer, Reason, TransportStats
from zeek_agent_core.broker.window import Window
from zeek_agent_core.broker.wire import Wire
from zeek_agent_core.errors import DecodeError

log = logging.getLogger(__name__)

BATCH = 64 << 10
"""Bytes that are written at once, and once per turn of the event loop."""
HIGH, LOW = 256 << 10, 64 << 10
"""Queued bytes above which `ready` asks to wait, and below which it no longer does."""
MOST_QUEUED = 16 << 20
"""Queued bytes above which the connection ends: somebody does not ask `ready`."""

_EVENT_NAME = re.compile(rb'"string","data":"([\w:]+)"')
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9/_.=:*@-]")


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits of a connection, in seconds."""

    opening: float = 10.0
    """For TCP, for TLS and for the HTTP reply each."""
    ack: float = 10.0
    ping: float = 15.0
    silence: float = 90.0
    """Longer than any stall of Zeek's: who comes back too early makes an overload worse."""
    barrier: float = 1.0
    """After the last event, until a ping asks whether it has arrived."""


class WebSocket:
    """One WebSocket connection; made for one use."""

    def __init__(
        self,
        endpoint: Endpoint,
        tls: TlsSettings | None = None,
        *,
        agent_id: str = "",
        pace: Pace | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Connect to *endpoint* once `run`; *pace* outlives the connection."""
        self.stats = TransportStats()
        self.peer: Peer | None = None
        self.rules: Rules = OLDEST
        self._endpoint = endpoint
        self._tls = tls or TlsSettings()
        self._name = _NOT_IN_NAME.sub("-", f"zeek-agent/{__version__}:{agent_id}")[:200]
        self._pace = pace or Pace()
        self._timing = timing or Timing()
        self._window = Window()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._last = b""
        self._wire: Wire | None = None
        self._handler: Handler | None = None
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._acked: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[Lost] = self._loop.create_future()
        self._room: asyncio.Future[None] | None = None
        self._progress = asyncio.Event()
        self._pumping: asyncio.Handle | None = None
        self._barrier: asyncio.TimerHandle | None = None
        self._mark = (self._loop.time(), 0)

    async def run(self, topics: Sequence[str], handler: Handler) -> None:
        """Connect, subscribe to *topics*, serve until the end; always raises `Lost`."""
        self._handler = handler
        try:
            mode = mode_for(self._endpoint, self._tls)
            headers = {
                "User-Agent": f"zeek-agent/{__version__}",
                "X-Application-Name": self._name,
            }
            self._wire = await dial(
                self._endpoint,
                self._tls,
                lambda: Wire(self._endpoint, mode, headers, self),
                self._timing.opening,
            )
            await self._wait_for(self._opened, self._timing.opening, "no answer to the upgrade")
            self._wire.text(encode_subscriptions(topics))
            self._wire.flush()
            await self._wait_for(self._acked, self._timing.ack, "no ack of the subscriptions")
            await self._stay_alive(self._wire)
        except Lost as lost:
            if lost.reason is Reason.OVERRUN:
                self._pace.halve(self._observed())
            raise
        finally:
            await self._clean_up()

    async def _wait_for(self, future: asyncio.Future[None], seconds: float, otherwise: str) -> None:
        either: set[asyncio.Future[Any]] = {future, self._ended}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            raise self._ended.result()
        if not future.done():
            raise Lost(Reason.SILENT, f"{otherwise} within {seconds:g} s")

    async def _stay_alive(self, wire: Wire) -> None:
        """Ping now and then; end the connection when nothing comes any more."""
        timing = self._timing
        while True:
            await asyncio.wait({self._ended}, timeout=min(timing.ping, timing.silence / 4))
            if self._ended.done():
                raise self._ended.result()
            if self._loop.time() - wire.heard > timing.silence:
                raise Lost(Reason.SILENT, f"nothing was heard for {timing.silence:g} s")
            if not self._window.is_full:
                self._ping(wire)
            self._mark = (self._loop.time(), self._window.sent)

    def _observed(self) -> float:
        """Return how many events per second were sent of late."""
        since, sent = self._mark
        return (self._window.sent - sent) / max(self._loop.time() - since, 1.0)

    async def _clean_up(self) -> None:
        self.ended(Lost(Reason.CLOSED, "closed"))
        for handle in (self._pumping, self._barrier):
            if handle is not None:
                handle.cancel()
        self._queue.clear()
        self._queued_bytes = 0
        self._make_room()
        if self._wire is not None:
            self._wire.abort()
            await self._wire.closed

    # What the wire tells.

    def opened(self) -> None:
        """Note that the server has agreed to speak WebSocket."""
        self._opened.set_result(None)

    def message(self, data: bytes) -> None:
        """Hand on a message; no content of it ends the connection."""
        try:
            message = decode_frame(data, self.rules)
        except DecodeError as error:
            self._count("undecodable")
            if self.stats.extra["undecodable"] == 1:
                log.warning("%s: cannot read a message: %s", self._endpoint, error)
            return
        assert self._handler is not None  # noqa: S101 - for the type checker
        try:
            if isinstance(message, Ack):
                self._take_ack(message, self._handler)
            elif isinstance(message, Complaint):
                self._take_complaint(message, self._handler)
            else:
                self.stats.received_events += 1
                self._handler.received(message)
        except Exception:
            self._count("failed")
            log.exception("%s: cannot handle a message", self._endpoint)

    def _take_ack(self, ack: Ack, handler: Handler) -> None:
        if self.peer is not None:
            return
        self.peer = peer(ack.endpoint, ack.version)
        self.rules = rules_for(self.peer)
        self._acked.set_result(None)
        handler.connected(self.peer)

    def _take_complaint(self, complaint: Complaint, handler: Handler) -> None:
        self.stats.errors += 1
        if self.peer is None:  # it never takes another list of subscriptions
            self.ended(Lost(Reason.MISCONFIGURED, f"the server refuses us: {complaint}"))
        else:
            handler.complained(f"{complaint}; last sent was {self._last_name() or 'nothing'}")

    def _last_name(self) -> str:
        found = _EVENT_NAME.search(self._last)
        return found[1].decode() if found else ""

    def pong(self, payload: bytes) -> None:
        """Take a barrier's answer, and send on."""
        self._window.pong(payload, self._loop.time())
        self.stats.confirmed_events = self._window.confirmed
        self._progress.set()
        self._schedule_pump()

    def writable(self) -> None:
        """Send on."""
        self._schedule_pump()

    def ended(self, lost: Lost) -> None:
        """Let `run` end with *lost*."""
        if self._ended.done():
            return
        if self._last and "last sent was nothing" in str(lost):
            lost = Lost(lost.reason, str(lost).replace("nothing", self._last_name()))
        self._ended.set_result(lost)
        self._progress.set()
        self._make_room()

    # What the session asks for.

    def publish(self, topic: str, event: str, arguments: Sequence[Any]) -> None:
        """Queue one event whose arguments are codec values; never blocks."""
        self.publish_encoded((encode_event(topic, event, arguments, self.rules),))

    def publish_encoded(self, frames: Sequence[bytes]) -> None:
        """Queue events that were encoded by `rules`; never blocks."""
        if self._ended.done():
            return
        if self._queued_bytes > MOST_QUEUED:
            self.ended(Lost(Reason.BROKEN, "more is queued than the server takes"))
            return
        self._queue.extend(frames)
        self._queued_bytes += sum(map(len, frames))
        self._schedule_pump()

    def ready(self) -> Awaitable[None] | None:
        """Return None if more may be queued now, else what to wait for."""
        if self._queued_bytes < HIGH or self._ended.done():
            return None
        if self._room is None:
            self._room = self._loop.create_future()
        return asyncio.shield(self._room)

    async def close(self, goodbye: float = 2.0) -> None:
        """Send what is queued, within *goodbye* seconds, and end the connection."""
        wire = self._wire
        if wire is not None and self.peer is not None:
            try:
                async with asyncio.timeout(goodbye):
                    await self._settle(wire)
            except TimeoutError:
                log.debug("%s: not everything was confirmed before the end", self._endpoint)
            wire.close()
            await asyncio.wait({self._ended}, timeout=min(goodbye, 1.0))
        self.ended(Lost(Reason.CLOSED, "closed"))

    async def _settle(self, wire: Wire) -> None:
        """Wait until everything is sent and confirmed."""
        while (self._queue or self._window.unconfirmed) and not self._ended.done():
            if not self._queue and self._window.needs_barrier:
                self._ping(wire)
            self._progress.clear()
            await self._progress.wait()

    # Sending.

    def _schedule_pump(self) -> None:
        if self._pumping is None and self._queue:
            self._pumping = self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send one batch, as far as the window, the pace and the connection allow."""
        self._pumping = None
        wire = self._wire
        if wire is None or wire.is_paused or not self._opened.done() or self._ended.done():
            return
        allowance = self._pace.allowance()
        if allowance == 0:
            self._pumping = self._loop.call_later(self._pace.wait(), self._pump)
            return
        sent = self._write_batch(wire, allowance)
        self._pace.spend(sent)
        self.stats.sent_events = self._window.sent
        if self._queued_bytes <= LOW:
            self._make_room()
        if self._queue:
            if not self._window.is_full:
                self._schedule_pump()
        else:
            self._progress.set()
            if self._barrier is None and self._window.needs_barrier:
                self._barrier = self._loop.call_later(self._timing.barrier, self._ask)

    def _write_batch(self, wire: Wire, allowance: int | None) -> int:
        queue, window, least = self._queue, self._window, self.rules.least_bytes
        sent = size = 0
        while queue and size < BATCH and not window.is_full and sent != allowance:
            frame = queue.popleft()
            self._queued_bytes -= len(frame)
            if len(frame) < least:
                frame = frame.ljust(least)
            wire.text(frame)
            sent += 1
            size += len(frame)
            self._last = frame
            if window.note_event(len(frame)):
                self._ping(wire, flush=False)
        self.stats.sent_bytes += size
        wire.flush()
        return sent

    def _ask(self) -> None:
        """Ask whether the last events have arrived, once no more follow."""
        self._barrier = None
        if self._wire is not None and not self._ended.done() and self._window.needs_barrier:
            self._ping(self._wire)

    def _ping(self, wire: Wire, *, flush: bool = True) -> None:
        is_numbered = self.peer is not None and self.peer.flavour is Flavour.CLUSTER
        wire.ping(self._window.ping(self._loop.time(), is_numbered=is_numbered))
        if flush:
            wire.flush()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _count(self, what: str) -> None:
        self.stats.extra[what] = self.stats.extra.get(what, 0) + 1
