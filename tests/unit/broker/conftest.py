"""What tests of the ways to Zeek share."""

import asyncio
import gc
from contextlib import asynccontextmanager

import pytest

from zeek_agent_core.broker import destination
from zeek_agent_core.broker.transport import Lost
from zeek_agent_core.broker.websocket import Timing, WebSocket

TOPICS = ("/zeek-agent/query/host/H1", "/zeek-agent/query/group/all")
QUICK = Timing(opening=2.0, ack=1.0, ping=0.2, silence=30.0, barrier=0.05)


class Recorder:
    """Keeps what a transport tells."""

    def __init__(self):
        self.peer = None
        self.events = []
        self.complaints = []
        self.joined = asyncio.Event()
        self.came = asyncio.Event()

    def connected(self, peer):
        self.peer = peer
        self.joined.set()

    def received(self, event):
        self.events.append(event)
        self.came.set()

    def complained(self, text):
        self.complaints.append(text)
        self.came.set()

    async def something(self):
        """Wait for the next event or complaint."""
        async with asyncio.timeout(5):
            await self.came.wait()
        self.came.clear()


def socket_to(address, tls=None, timing=QUICK, **options):
    """Return an unused connection to *address*."""
    endpoint = destination.parse(address).endpoints[0]
    return WebSocket(endpoint, tls, agent_id="H1", timing=timing, **options)


async def lost(transport, handler=None):
    """Run *transport* to its end and return why it came."""
    with pytest.raises(Lost) as caught:
        await transport.run(TOPICS, handler or Recorder())
    return caught.value


@asynccontextmanager
async def joined(zeek, tls=None, **options):
    """Yield a connected transport, its recorder, and Zeek's side of it."""
    transport, handler = socket_to(zeek.destination, tls, **options), Recorder()
    transport.ending = asyncio.create_task(lost(transport, handler))
    done = asyncio.create_task(handler.joined.wait())
    await asyncio.wait({done, transport.ending}, return_when=asyncio.FIRST_COMPLETED)
    done.cancel()
    if transport.ending.done():
        raise AssertionError(f"not joined: {transport.ending.result()}")
    try:
        yield transport, handler, await zeek.client()
    finally:
        await transport.close(goodbye=0.5)
        await transport.ending


@pytest.fixture(autouse=True)
def _collected():
    """Let what a test forgot warn within that test."""
    yield
    gc.collect(0)
