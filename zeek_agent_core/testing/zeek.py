"""A scripted Zeek: what an agent joins in tests, with the habits of both real servers.

::

    async with Zeek() as zeek:
        # start an agent with destination `zeek.destination`
        client = await zeek.client()
        await client.expect("ZeekAgentAPI::agent_hello_v1")
        client.hello()
        client.install("q1", "SELECT name FROM users", event="users")
        assert [row[0] for row in await client.results("users", 3)] == ["a", "b", "c"]
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

from zeek_agent_core.broker.codec import decode_frame, encode_event, peer, rules_for
from zeek_agent_core.broker.data import Count, Enum, Set, Timespan
from zeek_agent_core.broker.transport import Event, Flavour
from zeek_agent_core.errors import DecodeError
from zeek_agent_core.testing._frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frames,
    Received,
    accept_key,
    make_frame,
)

PATH = b"/v1/messages/json"
API = "ZeekAgentAPI::"
HELLO = f"{API}agent_hello_v1"
MOST_REQUEST = 2048
KEPT = 100_000


@dataclass(slots=True)
class Behaviour:
    """What a scripted Zeek does, and does wrong."""

    flavour: Flavour = Flavour.CLUSTER
    version: str = "9.0.0"
    ping_interval: float = 5.0
    """Broker's server never pings."""
    most_clients: int = 100
    """Further ones are cut off without a word; Broker's server takes any number."""
    declared: Collection[str] | None = None
    """Events that Zeek's own server takes; others cost an error. None takes all."""
    seconds_per_event: float = 0.0
    """How long the script needs for each event."""
    queue: int = 32
    """Events that wait for the script; a client's bytes are not read while it is full."""
    lost_hellos: int = 0
    """So many of the first hellos never reach the script."""
    chunk: int = 65536
    """Bytes read at once."""
    is_short_frame_bug: bool | None = None
    """Whether short frames in two pieces end the connection; None: as the flavour does."""
    seconds_for_request: float = 3.0
    """How long a client may take to ask for the upgrade."""
    is_acking: bool = True
    is_counting_only: bool = False
    """Whether events are counted rather than decoded and kept."""

    @property
    def has_short_frame_bug(self) -> bool:
        """Whether Broker's fault is shown."""
        shown = self.is_short_frame_bug
        return self.flavour is Flavour.BROKER if shown is None else shown


class Zeek:
    """A listening server; `async with` opens and closes it."""

    def __init__(
        self,
        flavour: Flavour = Flavour.CLUSTER,
        *,
        context: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        **behaviour: Any,
    ) -> None:
        """Listen on *address*; *behaviour* are fields of `Behaviour`, `does` changes them later."""
        version = "9.0.0" if flavour is Flavour.CLUSTER else "2.8.0-dev"
        self.does = Behaviour(**{"flavour": flavour, "version": version, **behaviour})
        self.clients: list[Client] = []
        self.refused = 0
        self.port = port
        self._address = address
        self._context = context
        self._server: asyncio.Server | None = None
        self._joined: asyncio.Queue[Client] = asyncio.Queue()
        self._open: set[asyncio.Task[None]] = set()
        self.reading = asyncio.Event()
        """Cleared, nothing is read: Zeek is stalled."""
        self.reading.set()

    @property
    def destination(self) -> str:
        """What an agent is to be told."""
        return f"{'wss' if self._context else 'ws'}://localhost:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(
            self._serve, self._address, self.port, ssl=self._context, backlog=5
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End like a killed process: connections break off without a goodbye."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._open)
        for client in self.clients:
            client.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def client(self, seconds: float = 10.0) -> "Client":
        """Return the next client that has subscribed."""
        async with asyncio.timeout(seconds):
            return await self._joined.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._open.add(task)
        client = Client(self, reader, writer)
        try:
            is_full = len([c for c in self.clients if c.is_open]) >= self.does.most_clients
            if is_full and self.does.flavour is Flavour.CLUSTER:
                self.refused += 1
                return
            self.clients.append(client)
            await client.serve(self._joined.put_nowait)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            client.abort()
            self._open.discard(task)


class Client:
    """One agent's connection, as Zeek sees it."""

    def __init__(
        self, zeek: Zeek, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take over an accepted connection."""
        self.is_open = True
        self.request = b""
        self.topics: list[str] = []
        self.events: deque[Event] = deque(maxlen=KEPT)
        """What came and was not yet asked for."""
        self.count = 0
        self.bad: list[str] = []
        """Messages that could not be decoded, and why."""
        self.close_code: int | None = None
        self.longest_pong = 0.0
        """Seconds that the agent took at most to answer a ping."""
        self._zeek, self._does = zeek, zeek.does
        self._reader, self._writer = reader, writer
        self._frames = Frames()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(zeek.does.queue)
        self._arrived = asyncio.Event()
        self._pinged: float | None = None
        self._hellos = 0
        self._seconds_owed = 0.0
        self._loop = asyncio.get_running_loop()
        name = "z-websocket-1" if self._does.flavour is Flavour.CLUSTER else "e5bd0f1e-uuid"
        self.rules = rules_for(peer(name, self._does.version))
        self._name = name

    # The server's habits.

    async def serve(self, joined: "Callable[[Client], None]") -> None:
        """Do the handshake, then read until the end."""
        if not await self._upgrade():
            return
        async with asyncio.TaskGroup() as tasks:
            script = tasks.create_task(self._script(joined))
            pings = tasks.create_task(self._keep_pinging())
            try:
                await self._read()
            finally:
                script.cancel()
                pings.cancel()

    async def _upgrade(self) -> bool:
        try:
            async with asyncio.timeout(self._does.seconds_for_request):
                self.request = await self._reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.LimitOverrunError):
            return False
        line, *fields = self.request.split(b"\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (f.partition(b":") for f in fields)}
        is_broker = self._does.flavour is Flavour.BROKER
        if is_broker and len(self.request) > MOST_REQUEST:
            self._writer.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n")
            return False
        if line.split()[1] != PATH and is_broker:
            self._writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return False
        self._writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(headers[b"sec-websocket-key"]) + b"\r\n\r\n"
        )
        if line.split()[1] != PATH:
            self.error("invalid_uri", "Invalid URI")
            self.close(1008, "Invalid URI")
            return False
        return True

    async def _read(self) -> None:
        while self.is_open:
            await self._zeek.reading.wait()
            data = await self._reader.read(self._does.chunk)
            if not data:
                return
            for frame in self._frames.feed(data):
                await self._take(frame)
                if self.close_code is not None:
                    return
            if self._does.has_short_frame_bug and self._frames.is_cut_short:
                self.abort()

    async def _take(self, frame: Received) -> None:
        if frame.opcode == PING:
            self._writer.write(make_frame(PONG, frame.data))
        elif frame.opcode == PONG:
            waited = 0.0 if self._pinged is None else self._loop.time() - self._pinged
            self.longest_pong = max(self.longest_pong, waited)
            self._pinged = None
        elif frame.opcode == CLOSE:
            self.close_code = int.from_bytes(frame.data[:2])
            if self._does.flavour is Flavour.CLUSTER:
                self._writer.write(make_frame(CLOSE, frame.data))
        elif self._does.is_counting_only and self.topics:
            self.count += 1
            if self._does.seconds_per_event:
                await self._take_time()
        else:
            await self._queue.put(frame.data)

    async def _take_time(self) -> None:
        """Sleep for an event; very short sleeps are added up."""
        self._seconds_owed += self._does.seconds_per_event
        if self._seconds_owed > 0.01:  # noqa: PLR2004 - what a timer can do
            begun = self._loop.time()
            await asyncio.sleep(self._seconds_owed)
            self._seconds_owed -= self._loop.time() - begun

    async def _script(self, joined: "Callable[[Client], None]") -> None:
        first = decode_subscriptions(await self._queue.get())
        if first is None:
            if self._does.flavour is Flavour.CLUSTER:
                self.error("deserialization_failed", "subscriptions not an array")
            await asyncio.Event().wait()
        self.topics = first or []
        if self._does.is_acking:
            version = self._does.version
            self.send_raw(
                f'{{"type":"ack","endpoint":"{self._name}","version":"{version}"}}'.encode()
            )
        joined(self)
        while True:
            raw = await self._queue.get()
            self.count += 1
            if self._does.seconds_per_event:
                await self._take_time()
            self._run_script(raw)

    def _run_script(self, raw: bytes) -> None:
        try:
            event = decode_frame(raw, self.rules)
        except DecodeError as error:
            self.bad.append(str(error))
            self.error("deserialization_failed", "failed to decode JSON object")
            return
        if not isinstance(event, Event):
            self.bad.append("no event")
            return
        declared = self._does.declared
        if declared is not None and event.name not in declared:
            if self._does.flavour is Flavour.CLUSTER:
                self.error("deserialization_failed", "failed to create Zeek event")
            return
        if event.name == HELLO:
            self._hellos += 1
            if self._hellos <= self._does.lost_hellos:
                return
        self.events.append(event)
        self._arrived.set()

    async def _keep_pinging(self) -> None:
        if self._does.flavour is Flavour.BROKER or self._does.ping_interval <= 0:
            return
        number = 0
        while True:
            await asyncio.sleep(self._does.ping_interval)
            if self._pinged is not None:
                self.close(1011, "Ping timeout")
                self.abort()
                return
            number += 1
            self._pinged = self._loop.time()
            self._writer.write(make_frame(PING, b"ixwebsocket::heartbeat::5s::%d" % number))

    # What a test does.

    def send_raw(self, data: bytes, opcode: int = TEXT) -> None:
        """Send *data* as one message, right or wrong."""
        self._writer.write(make_frame(opcode, data))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be frames."""
        self._writer.write(data)

    def send(self, name: str, *arguments: Any, topic: str | None = None) -> None:
        """Send an event, to the client's first topic unless told otherwise."""
        shown = topic if topic is not None else (self.topics[0] if self.topics else "/")
        self.send_raw(encode_event(shown, name, arguments, self.rules))

    def error(self, code: str, context: str) -> None:
        """Complain."""
        key = "message" if self._does.version.startswith("7.2") else "context"
        self.send_raw(f'{{"type":"error","code":"{code}","{key}":"{context}"}}'.encode())

    def hello(self, instance: str = "zeek_1", version: int = 90000, package: str = "2.4.0") -> None:
        """Say hello as the Zeek package does."""
        self.send(f"{API}zeek_hello_v1", instance, (self._does.version, Count(version), package))

    def shutdown(self, instance: str = "zeek_1") -> None:
        """Say that this Zeek ends."""
        self.send(f"{API}zeek_shutdown_v1", instance)

    def install(
        self,
        query_id: str,
        sql: str,
        *,
        event: str = "rows",
        seconds: float | None = None,
        subscription: str = "Snapshots",
        cookie: str = "",
        requires: Sequence[str] = (),
        if_missing: Sequence[str] = (),
        instance: str = "zeek_1",
    ) -> None:
        """Ask for the rows of a query, which come as *event*."""
        schedule = None if seconds is None else Timespan(round(seconds * 1e9))
        query = (
            sql, schedule, Enum(f"ZeekAgent::{subscription}"), (event,), cookie, Set(requires),
            Set(if_missing),
        )  # fmt: skip
        self.send(f"{API}install_query_v1", instance, query_id, query)

    def cancel(self, query_id: str, instance: str = "zeek_1") -> None:
        """Take a query back."""
        self.send(f"{API}cancel_query_v1", instance, query_id)

    async def expect(self, name: str, seconds: float = 10.0) -> Event:
        """Return the next event called *name*, leaving others for later."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for event in self.events:
                        if event.name == name:
                            self.events.remove(event)
                            return event
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            came = sorted({event.name for event in self.events})
            raise AssertionError(f"no {name} came within {seconds} s, but {came}") from None

    async def results(self, name: str, number: int, seconds: float = 10.0) -> list[tuple[Any, ...]]:
        """Return the columns of the next *number* rows that come as *name*."""
        return [(await self.expect(name, seconds)).arguments[1] for _ in range(number)]

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close as the flavour does: with a frame, or by just ending the connection."""
        if self._does.flavour is Flavour.CLUSTER:
            self._writer.write(make_frame(CLOSE, code.to_bytes(2) + reason.encode()))
        with contextlib.suppress(OSError):
            self._writer.close()

    def abort(self) -> None:
        """Break the connection off."""
        self.is_open = False
        self._writer.transport.abort()


def decode_subscriptions(raw: bytes) -> list[str] | None:
    """Return the topics in a client's first message; None if it is no list of them."""
    import json  # noqa: PLC0415 - for this only

    try:
        topics = json.loads(raw)
    except ValueError:
        return None
    if isinstance(topics, list) and all(isinstance(topic, str) for topic in topics):
        return topics
    return None
