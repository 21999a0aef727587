"""An agent that does only what a test tells it to."""

import asyncio
import contextlib
import time
from datetime import timedelta

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from zeek_agent_core.broker import codec
from zeek_agent_core.broker.data import Count, Set
from zeek_agent_core.broker.messages import (
    ERROR,
    HELLO,
    SHUTDOWN,
    AgentHello,
    Context,
    InstallQuery,
    parse,
)
from zeek_agent_core.broker.topics import memberships, subscriptions, to_all, to_one
from zeek_agent_core.broker.transport import Event
from zeek_agent_core.query import Change

SECONDS = 15.0


class ScriptedAgent:
    """One connection; `async with` opens and closes it."""

    def __init__(self, zeek, agent_id, groups=(), **facts):
        self.id = agent_id
        self.received = []
        """Messages of Zeek's, in the order they came, as `messages.parse` returns them."""
        self.complaints = []
        self.frames = []
        """Frames in both directions, for recordings: direction and text."""
        self._zeek = zeek
        self._groups = groups
        self.facts = {
            "instance_id": "I1", "hostname": f"{agent_id}.example", "platform": "Linux",
            "agent_version": 300000000, "uptime": timedelta(seconds=1), "tables": ("users",),
            **facts,
        }  # fmt: skip
        self.hello_id = "hello1"
        self._arrived = asyncio.Event()

    async def __aenter__(self):
        """Connect, and subscribe to the agent's topics."""
        uri = f"ws://127.0.0.1:{self._zeek.port}/v1/messages/json"
        self._socket = await connect(uri, compression=None, max_size=None)
        self._topics = subscriptions(self.id, memberships(self._groups, "linux"))
        subscribe = codec.encode_subscriptions(self._topics, codec.OLDEST)
        await self._socket.send(subscribe, text=True)
        ack = codec.decode_frame(await self._socket.recv(decode=False), codec.OLDEST)
        self.peer = codec.peer(ack.endpoint, ack.version)
        self.rules = codec.rules_for(self.peer)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        """Close the connection."""
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._socket.close()

    async def _read(self):
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                raw = frame.encode() if isinstance(frame, str) else frame
                self.frames.append(("from", raw.decode()))
                message = codec.decode_frame(raw, self.rules)
                if isinstance(message, Event):
                    # Zeek matches prefixes; agents take what is for them.
                    if message.topic in self._topics:
                        self.received.append(parse(message))
                else:
                    self.complaints.append(message)
                self._arrived.set()

    async def send(self, topic, name, *arguments):
        frame = codec.encode_event(topic, name, arguments, self.rules)
        self.frames.append(("to", frame.decode()))
        await self._socket.send(frame, text=True)

    def context(self, query_id=None, change=None, cookie=None):
        return Context(self.id, time.time_ns(), query_id, change, cookie).values()

    async def hello(self, **facts):
        self.facts.update(facts)
        fields = 12 if self._zeek.release >= (8, 2) else 13
        facts = {**self.facts, "tables": self.facts["tables"] or ()}
        hello = AgentHello(self.id, **facts).values(fields)
        if self.facts["tables"] is None:
            hello = (*hello[:-1], None)
        await self.send(to_all(self.id), HELLO, self.context(self.hello_id), hello)

    async def shutdown(self):
        await self.send(to_all(self.id), SHUTDOWN, self.context())

    async def error(self, query, text):
        topic = to_one(query.instance, self.id)
        await self.send(topic, ERROR, self.context(query.query_id, cookie=query.cookie), text)

    async def row(self, query, *values, change: Change | None = None):
        topic = to_one(query.instance, self.id)
        context = self.context(query.query_id, change, query.cookie)
        await self.send(topic, query.event, context, tuple(values))

    async def spread(self, query, *values):
        """Send a row as the first generation did."""
        head = Context(self.id, 0, cookie=query.cookie).first_generation(query.subscription)
        await self.send(to_one(query.instance, self.id), query.event, head, *values)

    async def wait(self, kind=InstallQuery, number=1):
        """Return the first *number* messages of a kind once they are here."""
        try:
            async with asyncio.timeout(SECONDS):
                while len(self.of(kind)) < number:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"no {number} {kind.__name__}: {self.received}") from None
        return self.of(kind)[:number]

    def of(self, kind):
        """Return the messages of a kind that are here."""
        return [message for message in self.received if isinstance(message, kind)]

    def statements(self):
        """Return the statements asked for so far, in their order."""
        return [query.sql for query in self.of(InstallQuery)]

    async def settle(self):
        """Wait until Zeek has answered what was sent before: a ping is a barrier."""
        await (await self._socket.ping())
        await asyncio.sleep(0.3)


def count(number):
    """Return a number as Zeek's `count`."""
    return Count(number)


def names(*texts):
    """Return a set of texts."""
    return Set(texts)
