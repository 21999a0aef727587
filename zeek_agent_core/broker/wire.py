"""The WebSocket protocol on a connection of asyncio's.

The library `websockets` keeps the protocol's state; bytes go in and out here.
Messages are handed on as bytes: Zeek sends text that is not UTF-8, which the
library's own connections refuse.
"""

import asyncio
import logging
import os
import ssl
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without a compiled wheel
    from websockets.utils import apply_mask

from zeek_agent_core.broker import ending
from zeek_agent_core.broker.destination import Endpoint
from zeek_agent_core.broker.tls import Mode, explain
from zeek_agent_core.broker.transport import Lost, Reason

MOST_RECEIVED = 16 << 20
MOST_HEAD = 16 << 10
WRITE_BUFFER = 64 << 10
MOST_UNSENT = 4 << 20
"""Bytes the server may leave unread; only its own pings can make us hold so many."""

_TEXT_MEDIUM, _TEXT_LONG = b"\x81\xfe", b"\x81\xff"
"""First bytes of a whole, masked text frame, for a size of two or of eight bytes."""
_silent = logging.Logger("websockets", logging.CRITICAL + 1)  # noqa: LOG001 - nobody's child


class Listener(Protocol):
    """Who is told what comes over the wire."""

    def opened(self) -> None:
        """Learn that messages may be sent."""

    def message(self, data: bytes) -> None:
        """Take a whole message."""

    def pong(self, payload: bytes) -> None:
        """Take the answer to a ping."""

    def writable(self) -> None:
        """Learn that the connection takes data again."""

    def ended(self, lost: Lost) -> None:
        """Learn of the end; told once."""


class Wire(asyncio.Protocol):
    """One connection, from its upgrade to its end."""

    def __init__(
        self, endpoint: Endpoint, mode: Mode, headers: dict[str, str], listener: Listener
    ) -> None:
        """Ask *endpoint* for an upgrade once connected, with *headers*."""
        self.is_paused = False
        self.is_open = False
        self.heard = 0.0
        self._mode = mode
        self._headers = headers
        self._listener = listener
        host = endpoint.host.partition("%")[0]
        host = f"[{host}]" if ":" in host else host
        uri = parse_uri(f"ws://{host}:{endpoint.port}{endpoint.path}")
        self._ws = ClientProtocol(uri, max_size=MOST_RECEIVED, logger=_silent)
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._parts: list[bytes] = []
        self._out: list[bytes] = []
        self._is_ended = False
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade at once: a TLS listener serves nobody else meanwhile."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.heard = self._loop.time()
        request = self._ws.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._ws.send_request(request)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Feed the protocol and hand on what it makes of the bytes."""
        if self._is_ended:
            return
        self.heard = self._loop.time()
        if not self.is_open and not self._may_be_reply(data):
            return
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Response) and self._ws.state is State.OPEN:
                self.is_open = True
                self._head = b""
                self._listener.opened()
        self.flush()
        wrong = self._ws.handshake_exc or self._ws.parser_exc
        if wrong is not None:
            reason = Reason.BROKEN if self.is_open else Reason.MISCONFIGURED
            self._end(Lost(reason, f"{type(wrong).__name__}: {wrong}".rstrip(": ")))

    def _may_be_reply(self, data: bytes) -> bool:
        """Look at the first line ourselves: the library would wait for the whole body."""
        self._head += data[: MOST_HEAD - len(self._head)]
        lost = ending.without_upgrade(self._head)
        if lost is None and len(self._head) >= MOST_HEAD:
            lost = Lost(Reason.MISCONFIGURED, f"{ending.NO_WEBSOCKET}: its reply is too long")
        if lost is not None:
            self._end(lost)
        return lost is None

    def _take(self, frame: Frame) -> None:
        data, opcode = bytes(frame.data), frame.opcode
        if opcode is Opcode.PONG:
            self._listener.pong(data)
        elif opcode is Opcode.CLOSE:
            self.flush()
            code, text = 1005, ""
            if self._ws.close_rcvd is not None:
                code, text = self._ws.close_rcvd.code, self._ws.close_rcvd.reason
            self._end(ending.closed_by_server(code, text))
        elif opcode is not Opcode.PING:
            self._parts.append(data)
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._listener.message(whole)

    def text(self, data: bytes) -> None:
        """Make a frame of a message; `flush` sends it.

        Made here, since the library takes twice as long as all the rest.
        """
        size, key = len(data), os.urandom(4)
        if not 126 <= size < 1 << 16:  # noqa: PLR2004 - RFC 6455, section 5.2
            head = bytes((0x81, 0x80 | size)) if size < 126 else _TEXT_LONG + size.to_bytes(8)  # noqa: PLR2004
        else:
            head = _TEXT_MEDIUM + size.to_bytes(2)
        self._out += (head, key, apply_mask(data, key))

    def ping(self, payload: bytes) -> None:
        """Make a ping; `flush` sends it."""
        self._ws.send_ping(payload)
        self._out += self._ws.data_to_send()

    def flush(self) -> None:
        """Send all frames that were made, in one piece."""
        data = b"".join((*self._out, *self._ws.data_to_send()))
        self._out.clear()
        if not data or self._transport is None or self._is_ended:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            self._end(Lost(Reason.BROKEN, "the server reads nothing but keeps sending"))

    def close(self) -> None:
        """Say goodbye; the end follows when the server closes the connection."""
        if self._ws.state is State.OPEN:
            self._ws.send_close(1000)
            self.flush()

    def abort(self) -> None:
        """Drop the connection; `closed` is done once it is gone."""
        self._is_ended = True
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Stop: the server, or the network, takes no more."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self.is_paused = False
        self._listener.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why the connection is gone, if nobody has yet."""
        if not self.closed.done():
            self.closed.set_result(None)
        self._end(self._lost(exc))

    def _lost(self, exc: Exception | None) -> Lost:
        if self._ws.state is not State.OPEN and self._ws.close_sent is not None:
            return Lost(Reason.CLOSED, "closed")
        if isinstance(exc, ssl.SSLError):
            return Lost(Reason.MISCONFIGURED, explain(exc, self._mode))
        if isinstance(exc, TimeoutError):
            return Lost(Reason.SILENT, "the server's host does not answer any more")
        if not self.is_open and not self._head:
            return Lost(Reason.FULL, ending.FULL)
        why = f": {exc.strerror or exc}".lower() if isinstance(exc, OSError) else ""
        during = "" if self.is_open else " within its HTTP reply"
        return Lost(Reason.BROKEN, f"the connection broke off{during}{why}")

    def _end(self, lost: Lost) -> None:
        if not self._is_ended:
            self._is_ended = True
            self._listener.ended(lost)
