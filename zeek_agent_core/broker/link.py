"""Keeps one destination joined: connects, lets the session talk, comes back when it is lost.

The session decides what is to be done; here it is done: events go out, queries
go to the scheduler, their results come back. What the server cannot take yet
makes the scheduler wait, so queries slow down and memory does not grow.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from zeek_agent_core.broker.actions import (
    Action,
    Cancel,
    Disconnect,
    Install,
    Log,
    Publish,
    PublishRows,
    Resubscribe,
    Slow,
)
from zeek_agent_core.broker.backoff import Backoff
from zeek_agent_core.broker.destination import Destination, Endpoint
from zeek_agent_core.broker.pace import Pace
from zeek_agent_core.broker.sending import Sender
from zeek_agent_core.broker.session import Session
from zeek_agent_core.broker.transport import Event, Lost, Peer, Reason, Transport
from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import Query, Result

log = logging.getLogger(__name__)

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING,
          "error": logging.ERROR}  # fmt: skip
TICK = 1.0
"""Seconds after which confirmed events are looked at, if nothing else happens."""
LEAST = 0.01
MOST_ORDERS = 20_000
"""Queries to install or cancel that wait; a Zeek that sends more at once is cut off."""
GOODBYE = 2.0

Connect = Callable[[Endpoint, Pace], Transport]
Permit = Callable[[Query], Awaitable[str | None]]
"""Returns why the policy of the host refuses a query; raises `QueryError` for a wrong one."""


class Recipient(Protocol):
    """The part of the link that the scheduler knows."""

    def result(self, query: Query, result: Result) -> Awaitable[None] | None:
        """Take the outcome of one run."""

    def failed(self, query: Query, error: QueryError) -> None:
        """Learn that a run failed."""

    def lost(self, query: Query, text: str) -> None:
        """Learn that a table lost events."""

    def done(self, query: Query, *, is_cancelled: bool) -> None:
        """Learn that the query is over."""


class Queries(Protocol):
    """The part of the scheduler that the link knows."""

    async def install(self, query: Query, recipient: Recipient) -> None:
        """Take a query on; raise `QueryError` if it cannot be."""

    def cancel(self, query_id: str) -> bool:
        """Forget a query."""


class Link:
    """One destination; `run` is its task, `close` its goodbye."""

    def __init__(
        self,
        destination: Destination,
        session: Session,
        queries: Queries,
        connect: Connect,
        *,
        backoff: Backoff | None = None,
        permit: Permit | None = None,
        audit: Callable[[Sequence[Action]], None] | None = None,
        broke: Callable[[], None] | None = None,
    ) -> None:
        """Install queries of *session* in *queries*, if *permit* has nothing against them.

        *audit* sees all orders of the session, *broke* is told when a
        connection is lost.
        """
        self.destination = destination
        self.session = session
        self.peer: Peer | None = None
        self.connects = 0
        self.errors: dict[Endpoint, str] = {}
        """Why each endpoint is not joined, as far as it was tried since the last success."""
        self._queries = queries
        self._connect = connect
        self._backoff = backoff or Backoff()
        self._permit = permit
        self._audit = audit
        self._broke = broke
        self._pace = Pace()
        self._loop = asyncio.get_running_loop()
        self._transport: Transport | None = None
        self._sender: Sender | None = None
        self._orders: asyncio.Queue[Install | Cancel] = asyncio.Queue()
        self._slow: dict[str, float] = {}
        self._sent: dict[str, asyncio.Future[None]] = {}
        self._stirred = asyncio.Event()
        self._useful_since: float | None = None
        self._verdict: Disconnect | Resubscribe | None = None
        self._is_closing = False

    def row(self) -> dict[str, Any]:
        """Return the row of `zeek_agent_connections`; safe in another thread."""
        peer, transport = self.peer, self._transport
        row: dict[str, Any] = {
            "destination": str(self.destination),
            "is_connected": peer is not None,
            "connects": self.connects,
            "last_error": next(iter(self.errors.copy().values()), None),
        }
        if peer is not None and transport is not None:
            stats = transport.stats
            row |= {
                "server": str(peer.flavour),
                "version": peer.version,
                "endpoint": peer.endpoint,
                "zeeks": len(self.session.instances),
                "sent": stats.sent_events,
                "sent_bytes": stats.sent_bytes,
                "confirmed": stats.confirmed_events,
                "received": stats.received_events,
                "errors": stats.errors,
            }
        return row

    def hasten_hello(self) -> None:
        """Say hello at once, if there is a connection."""
        self.session.greeting.hasten(self._loop.time())
        self._stirred.set()

    # The connection.

    async def run(self) -> None:
        """Stay joined until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_ticking(), name=f"clock of {self.destination}")
                tasks.create_task(self._keep_obeying(), name=f"queries of {self.destination}")
                await self._keep_connecting()
        finally:
            self._obey_now(self.session.lost(self._loop.time()))

    async def close(self, goodbye: float = GOODBYE) -> None:
        """Say goodbye and end the connection; `run` is to be cancelled after it."""
        self._is_closing = True
        self._obey_now(self.session.shutdown())
        if self._transport is not None:
            await self._transport.close(goodbye)

    async def _keep_connecting(self) -> None:
        endpoints = self.destination.endpoints
        while True:
            for number, endpoint in enumerate(endpoints):
                lost, useful = await self._guarded(endpoint)
                if self._is_closing:
                    await asyncio.Event().wait()
                if useful or number == len(endpoints) - 1:
                    break
            if isinstance(self._verdict, Resubscribe):
                continue
            pause = self._backoff.pause(lost.reason, useful)
            log.debug("%s: next attempt in %.1f s", self.destination, pause)
            await asyncio.sleep(pause)

    async def _guarded(self, endpoint: Endpoint) -> tuple[Lost, float]:
        """Attempt to connect; no fault of ours ends the link."""
        try:
            return await self._attempt(endpoint)
        except Exception as error:
            log.exception("%s: the connection failed", self.destination)
            return Lost(Reason.BROKEN, f"{type(error).__name__}: {error}"), 0.0

    async def _attempt(self, endpoint: Endpoint) -> tuple[Lost, float]:
        """Connect and serve to the end; return why it came, and for how long it was of use."""
        self._forget_last()
        self._transport = transport = self._connect(endpoint, self._pace)
        self._sender = Sender(transport)
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._sender.run(), name=f"rows to {endpoint}")
                lost = await self._serve(transport)
                sending.cancel()
        finally:
            self._disconnected()
        if isinstance(self._verdict, Disconnect):
            lost = Lost(self._verdict.reason, self._verdict.text)
        since = self._useful_since
        self._tell(endpoint, lost)
        return lost, 0.0 if since is None else self._loop.time() - since

    def _forget_last(self) -> None:
        self._verdict = self._useful_since = None

    async def _serve(self, transport: Transport) -> Lost:
        try:
            await transport.run(self.session.topics(), self)
        except Lost as lost:
            return lost
        except Exception as error:
            log.exception("%s: the connection failed", self.destination)
            return Lost(Reason.BROKEN, f"{type(error).__name__}: {error}")
        return Lost(Reason.CLOSED, "closed")

    def _disconnected(self) -> None:
        was_connected, self.peer, self._transport = self.peer is not None, None, None
        if self._sender is not None:
            self._note_confirmed()
            # Its task may have ended before the last rows came, or never have begun.
            self._sender.close()
            self._sender = None
        self._sent.clear()
        if was_connected:
            self._obey(self.session.lost(self._loop.time()))
            if self._broke is not None and not isinstance(self._verdict, Resubscribe):
                self._broke()

    def _tell(self, endpoint: Endpoint, lost: Lost) -> None:
        """Log why there is no connection, once per reason."""
        if self._is_closing or isinstance(self._verdict, Resubscribe):
            return
        text = f"cannot stay joined to Zeek at {endpoint}: {lost}"
        level = logging.DEBUG if text == self.errors.get(endpoint) else logging.WARNING
        self.errors[endpoint] = text
        log.log(level, "%s", text)

    # What the transport tells.

    def connected(self, peer: Peer) -> None:
        """Begin to talk."""
        self.peer = peer
        self.connects += 1
        self.errors.clear()
        log.info("joined Zeek at %s (%s, %s)", self.destination, peer.flavour, peer.version)
        self._obey(self.session.connected(peer, self._loop.time()))

    def received(self, event: Event) -> None:
        """Let the session act on an event."""
        self._obey(self.session.received(event, self._loop.time()))
        if self._useful_since is None and self.session.greeting.is_answered:
            self._useful_since = self._loop.time()

    def complained(self, text: str) -> None:
        """Let the session act on a complaint."""
        self._obey(self.session.complained(text, self._loop.time()))

    # What the scheduler tells.

    def result(self, query: Query, result: Result) -> Awaitable[None] | None:
        """Send the rows of one run; the scheduler waits while they cannot be sent."""
        self._note_confirmed()
        self._obey(self.session.result(query.id, result))
        sent = self._sent.pop(query.id, None)
        pause = self._slow.pop(query.id, 0.0) - self._loop.time()
        if pause > 0:
            return self._wait(sent, pause)
        return sent

    @staticmethod
    async def _wait(sent: asyncio.Future[None] | None, pause: float) -> None:
        if sent is not None:
            await sent
        await asyncio.sleep(pause)

    def failed(self, query: Query, error: QueryError) -> None:
        """Tell Zeek that a run failed."""
        self._obey(self.session.failed(query.id, error))

    def lost(self, query: Query, text: str) -> None:
        """Tell Zeek that a table lost events."""
        self._obey(self.session.lost_events(query.id, text))

    def done(self, query: Query, *, is_cancelled: bool) -> None:
        """Forget a query that is over."""
        self._slow.pop(query.id, None)
        self._sent.pop(query.id, None)
        self.session.done(query.id, is_cancelled=is_cancelled)

    # What the session orders.

    def _obey(self, orders: Sequence[Action]) -> None:
        if self._audit is not None:
            self._audit(orders)
        for order in orders:
            self._carry_out(order)
        if self._orders.qsize() > MOST_ORDERS:
            self._disconnect(Disconnect(Reason.BROKEN, "too many queries at once"))
        self._stirred.set()

    def _carry_out(self, order: Action) -> None:
        match order:
            case Publish():
                if self._sender is not None:
                    self._sender.publish(order)
            case PublishRows():
                self._send_rows(order)
            case Install() | Cancel():
                self._orders.put_nowait(order)
            case Slow():
                self._slow[order.query_id] = self._loop.time() + order.seconds
            case Log():
                log.log(LEVELS[order.level], "%s: %s", self.destination, order.text)
            case Disconnect() | Resubscribe():
                self._disconnect(order)

    def _send_rows(self, order: PublishRows) -> None:
        if self._sender is not None:
            self._sent[order.query_id] = self._sender.rows(order, self.session.rules)

    def _obey_now(self, orders: Sequence[Action]) -> None:
        """Carry out the last orders, after which there is no task to do so."""
        self._obey([order for order in orders if not isinstance(order, Install)])
        while not self._orders.empty():
            waiting = self._orders.get_nowait()
            if isinstance(waiting, Cancel):
                self._queries.cancel(waiting.query_id)

    def _disconnect(self, order: Disconnect | Resubscribe) -> None:
        if self._verdict is None:
            self._verdict = order
            self._stirred.set()

    def _note_confirmed(self) -> None:
        number = None if self._sender is None else self._sender.confirmed()
        if number is not None:
            self.session.confirmed(number)

    async def _keep_ticking(self) -> None:
        """Give the session its time, and the connection its end when the session wants it."""
        while True:
            try:
                self._note_confirmed()
                self._obey(self.session.tick(self._loop.time()))
            except Exception:
                log.exception("%s: the session failed", self.destination)
            if self._verdict is not None and self._transport is not None:
                await self._transport.close()
            self._stirred.clear()
            due = self.session.due()
            pause = TICK if due is None else min(max(due - self._loop.time(), LEAST), TICK)
            try:
                async with asyncio.timeout(pause):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def _keep_obeying(self) -> None:
        """Install and cancel queries, one after the other."""
        while True:
            order = await self._orders.get()
            try:
                if isinstance(order, Cancel):
                    self._queries.cancel(order.query_id)
                else:
                    await self._install(order.query)
            except Exception:
                log.exception("%s: cannot carry out %r", self.destination, order)

    async def _install(self, query: Query) -> None:
        try:
            refusal = None if self._permit is None else await self._permit(query)
            if refusal is None:
                await self._queries.install(query, self)
        except QueryError as error:
            self._obey(self.session.install_failed(query.id, error))
        else:
            if refusal is not None:
                self._obey(self.session.refused(query.id, refusal))
