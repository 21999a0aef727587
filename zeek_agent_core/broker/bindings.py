"""A native Broker peering through Broker's own Python bindings, where they are installed.

They come with Zeek, for one version of Python, or from a distribution. None of
their calls that wait are used: they would stop the whole process, since the
bindings keep Python's lock. The generations 1.4 and 2.3 to 2.8 are bridged.
Broker tells nobody what has arrived: an event counts as confirmed once Broker
has taken it. To a peer that has stopped reading Broker keeps all in memory.
"""

import asyncio
import collections.abc
import importlib
import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from zeek_agent_core.broker.codec import Rules, decode_frame, rules_for
from zeek_agent_core.broker.destination import Endpoint
from zeek_agent_core.broker.native import Converter
from zeek_agent_core.broker.tls import Mode, TlsSettings
from zeek_agent_core.broker.transport import (
    Event,
    Flavour,
    Handler,
    Lost,
    Peer,
    Reason,
    TransportStats,
)

log = logging.getLogger(__name__)

PEERING = 10.0
"""Seconds for the peer to answer; another generation of Broker never does."""
AT_ONCE = 16
"""Events that are converted before the event loop has its turn again."""
RELEASE = (8, 0)
"""What is assumed of the peer, which does not tell: times in microseconds, a long hello."""
MISSING = (
    "broker:// needs Broker's Python bindings for this Python; they come with Zeek "
    "(`zeek-config --python_dir` names the directory for PYTHONPATH). Or join with ws://"
)


def load() -> Any:
    """Return the module `broker`; raise `Lost` if it is missing or something else."""
    try:
        found: Any = importlib.import_module("broker")
    except Exception as error:
        raise Lost(Reason.MISCONFIGURED, f"{MISSING} (import broker: {error})") from error
    if not all(hasattr(found, name) for name in ("Endpoint", "Configuration", "zeek")):
        where = getattr(found, "__file__", None)
        raise Lost(Reason.MISCONFIGURED, f"{MISSING} ({where} is another `broker`)")
    # They look for `collections.Iterable`, which Python has no longer; `add_topic` loses events.
    found.collections = collections.abc
    return found


class Peering:
    """One peering; made for one use."""

    def __init__(
        self, endpoint: Endpoint, tls: TlsSettings | None = None, *, limit: float = PEERING
    ) -> None:
        """Peer with *endpoint* once `run`."""
        self.stats = TransportStats()
        self.peer: Peer | None = None
        self.rules: Rules = rules_for(None)
        self._address = endpoint
        self._tls = tls or TlsSettings()
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Lost] = self._loop.create_future()
        self._broker: Any = None
        self._endpoint: Any = None
        self._subscriber: Any = None
        self._statuses: Any = None
        self._converter: Converter | None = None
        self._handler: Handler | None = None

    async def run(self, topics: Sequence[str], handler: Handler) -> None:
        """Peer, subscribe to *topics*, serve until the end; always raises `Lost`."""
        self._handler = handler
        self._broker = broker = load()
        self._converter = Converter(broker)
        try:
            self._endpoint = broker.Endpoint(self._configuration())
            self._statuses = self._endpoint.make_status_subscriber(True)  # noqa: FBT003
            self._subscriber = self._endpoint.make_subscriber(list(topics))
            self._loop.add_reader(self._statuses.fd(), self._look)
            self._loop.add_reader(self._subscriber.fd(), self._receive)
            self._endpoint.peer_nosync(self._address.host, self._address.port, 0.0)
            await asyncio.wait({self._ended}, timeout=self._limit)
            if not self._ended.done():
                if self.peer is None:
                    raise Lost(Reason.SILENT, self._unanswered())
                await asyncio.wait({self._ended})
            raise self._ended.result()
        finally:
            self._shut_down()

    def _unanswered(self) -> str:
        version = self._broker.Version.string()
        return (
            f"no answer to the peering within {self._limit:g} s; the bindings are of Broker "
            f"{version}, and Zeek 5.0 and newer needs 2.3 or newer, the same on both sides"
        )

    def _configuration(self) -> Any:
        broker, tls = self._broker, self._tls
        if tls.mode is Mode.INSECURE or (tls.mode is Mode.VERIFY and not tls.has_files):
            raise Lost(
                Reason.MISCONFIGURED,
                'broker:// knows zeek.tls = "off", "anonymous", or "verify" with '
                "zeek.ssl_cafile, ssl_certificate and ssl_keyfile",
            )
        options = broker.BrokerOptions()
        is_plain = tls.mode is None and self._address.is_loopback and not tls.has_files
        options.disable_ssl = is_plain or tls.mode is Mode.OFF
        options.ignore_broker_conf = True
        if hasattr(options, "disable_forwarding"):
            options.disable_forwarding = True
        else:
            options.forward = False
        made = broker.Configuration(options)
        made.max_threads = 1
        if tls.mode is not Mode.ANONYMOUS:
            made.openssl_cafile = tls.cafile
            made.openssl_capath = tls.capath
            made.openssl_certificate = tls.certificate
            made.openssl_key = tls.keyfile
            made.openssl_passphrase = tls.passphrase
        return made

    def _look(self) -> None:
        """See what became of the peering."""
        codes = self._broker.SC
        for status in self._statuses.poll():
            code = status.code()
            if not isinstance(status, self._broker.Status):
                self._end(Lost(Reason.REFUSED, f"the peering failed: {status}"))
            elif code == codes.PeerAdded:
                self._peered()
            elif code in (codes.PeerLost, codes.PeerRemoved):
                self._end(Lost(Reason.BROKEN, f"the peering ended: {status}"))

    def _peered(self) -> None:
        if self.peer is not None or self._handler is None:
            return
        version = self._broker.Version.string()
        self.peer = Peer(str(self._address), version, Flavour.NATIVE, RELEASE)
        self.rules = rules_for(self.peer)
        self._handler.connected(self.peer)

    def _receive(self) -> None:
        """Take a few events; the descriptor stays readable while there are more."""
        number = min(self._subscriber.available(), AT_ONCE)
        for topic, value in self._subscriber.get(number) if number else ():
            try:
                self._take(str(topic), value)
            except Exception:
                self.stats.extra["failed"] = self.stats.extra.get("failed", 0) + 1
                log.exception("%s: cannot handle an event", self._address)

    def _take(self, topic: str, value: Any) -> None:
        assert self._converter is not None and self._handler is not None  # noqa: S101, PT018
        event = self._broker.zeek.Event(value)
        arguments = tuple(self._converter.from_broker(argument) for argument in event.args())
        self.stats.received_events += 1
        self._handler.received(Event(topic, event.name(), arguments))

    def _end(self, lost: Lost) -> None:
        if not self._ended.done():
            self._ended.set_result(lost)

    def publish(self, topic: str, event: str, arguments: Sequence[Any]) -> None:
        """Hand Broker one event whose arguments are codec values."""
        if self._endpoint is None or self._converter is None:
            return
        values = [self._converter.to_broker(argument) for argument in arguments]
        self._endpoint.publish(topic, self._broker.zeek.Event(event, *values))
        self.stats.sent_events += 1
        self.stats.confirmed_events = self.stats.sent_events

    def publish_encoded(self, frames: Sequence[bytes]) -> None:
        """Hand Broker events that were encoded by `rules`."""
        for frame in frames:
            event = decode_frame(frame, self.rules)
            assert isinstance(event, Event)  # noqa: S101 - our own encoder made it
            self.stats.sent_bytes += len(frame)
            self.publish(event.topic, event.name, event.arguments)

    def ready(self) -> Awaitable[None] | None:
        """Return None: Broker takes everything."""
        return None

    async def close(self, goodbye: float = 2.0) -> None:
        """End the peering."""
        if self._endpoint is not None and self.peer is not None:
            self._endpoint.unpeer_nosync(self._address.host, self._address.port)
            await asyncio.wait({self._ended}, timeout=min(goodbye, 1.0))
        self._end(Lost(Reason.CLOSED, "closed"))

    def _shut_down(self) -> None:
        for subscriber in (self._statuses, self._subscriber):
            if subscriber is not None:
                self._loop.remove_reader(subscriber.fd())
                if hasattr(subscriber, "reset"):  # from 2.0 on, before the endpoint goes
                    subscriber.reset()
        self._statuses = self._subscriber = None
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.shutdown()
