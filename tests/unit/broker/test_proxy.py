"""Tests of connections that are late, slow, or cut anywhere."""

import asyncio
import gc
from contextlib import suppress

import pytest

from tests.unit.broker.conftest import Recorder, lost, socket_to
from tests.unit.broker.test_link import agent, greeted
from zeek_agent_core.broker.backoff import Backoff
from zeek_agent_core.broker.transport import Flavour, Reason
from zeek_agent_core.testing.proxy import Harm, Proxy
from zeek_agent_core.testing.zeek import HELLO, Zeek

BOTH = pytest.mark.parametrize("flavour", [Flavour.CLUSTER, Flavour.BROKER])


async def handshake_bytes(zeek):
    """Return how many bytes go to Zeek and to the agent until both have said all."""
    async with Proxy(zeek.port) as proxy:
        transport, handler = socket_to(proxy.destination), Recorder()
        running = asyncio.create_task(lost(transport, handler))
        await asyncio.wait_for(handler.joined.wait(), 5)
        passed = list(proxy.passed)
        await transport.close(0.2)
        await running
    return passed


@BOTH
@pytest.mark.parametrize("direction", ["to_zeek", "to_agent"])
async def test_cut_at_each_byte_of_the_handshake(flavour, direction):
    """Wherever the handshake is cut, the attempt ends at once, and with the right reason."""
    async with Zeek(flavour) as zeek:
        number = (await handshake_bytes(zeek))[direction == "to_agent"]
        # What comes behind the request towards Broker's server is mostly padding.
        positions = [*range(min(number, 420)), *range(420, number, 97)]
        reasons = set()
        for position in positions:
            async with Proxy(zeek.port, **{direction: Harm(cut_after=position)}) as proxy:
                why = await asyncio.wait_for(lost(socket_to(proxy.destination)), 5)
                reasons.add(why.reason)
    assert reasons <= {Reason.FULL, Reason.BROKEN}, reasons


async def keep_asking(zeek):
    """Greet each client that says hello, however late, and install the same query."""

    async def ask(client):
        with suppress(AssertionError):
            await client.expect(HELLO, 30)
            client.hello()
            client.install("q1", "0", seconds=0.05, subscription="Differences")

    async with asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(ask(await zeek.client(60)))


@BOTH
async def test_cut_within_frames(flavour):
    """Wherever a stream of events is cut, the agent comes back and all arrive."""
    async with Zeek(flavour) as zeek, Proxy(zeek.port) as proxy:
        asking = asyncio.create_task(keep_asking(zeek))
        async with agent(proxy.destination, backoff=Backoff(mean=0.01)) as ours:
            ours.sql.rows = []
            while ours.sql.runs < 2:  # the first run is what later ones are compared with
                await asyncio.sleep(0.01)
            for cut in [*range(5000, 9000, 253), None]:
                proxy.to_zeek.cut_after = cut
                connects = ours.link.connects
                async with asyncio.timeout(20):
                    while cut and ours.link.connects == connects:
                        ours.sql.rows.append((len(ours.sql.rows), "x" * 100))
                        await asyncio.sleep(0.005)
            wanted = set(range(len(ours.sql.rows)))
            rows = set()
            async with asyncio.timeout(20):
                while rows != wanted:
                    await asyncio.sleep(0.1)
                    events = [event for each in zeek.clients for event in each.events]
                    rows = {e.arguments[1][0] for e in events if e.name == "rows"}
        asking.cancel()
        await asyncio.wait({asking})


@BOTH
@pytest.mark.parametrize(
    "harm", [Harm(delay=0.05), Harm(rate=200_000), Harm(chunk=1), Harm(chunk=1460, delay=0.002)]
)
async def test_late_and_slow(flavour, harm):
    """Delay and a thin line slow a connection down and do nothing else to it."""
    number = 20 if harm.chunk == 1 or harm.delay == 0.05 else 200
    async with Zeek(flavour) as zeek, Proxy(zeek.port, to_zeek=harm, to_agent=harm) as proxy:
        transport, handler = socket_to(proxy.destination), Recorder()
        running = asyncio.create_task(lost(transport, handler))
        client = await zeek.client()
        await asyncio.wait_for(handler.joined.wait(), 5)
        for count in range(number):
            transport.publish("/t", "row", ((), (count, "x" * 300)))
        rows = await client.results("row", number, 20)
        assert [row[0] for row in rows] == list(range(number))
        await transport.close(2.0)
        await running
        assert transport.stats.confirmed_events == number


async def test_cut_of_a_while():
    """What happens while the line is cut arrives, once, when it is whole again."""
    async with Zeek() as zeek, Proxy(zeek.port) as proxy, agent(proxy.destination) as ours:
        ours.sql.rows = []
        client = await greeted(zeek)
        client.install("q1", "0", seconds=0.05, subscription="Differences")
        while ours.sql.runs < 3:
            await asyncio.sleep(0.01)
        proxy.to_zeek.cut_after = proxy.to_agent.cut_after = 0
        client.hello()
        for number in range(100):
            ours.sql.rows.append((number, "while away"))
            await asyncio.sleep(0.01)
        proxy.to_zeek.cut_after = proxy.to_agent.cut_after = None
        seen = []
        async with asyncio.timeout(20):
            while len(seen) < 100:
                client = await greeted(zeek)
                client.install("q1", "0", seconds=0.05, subscription="Differences")
                seen += [row[0] for row in await client.results("rows", 100 - len(seen))]
        await asyncio.sleep(0.3)
        seen += [e.arguments[1][0] for e in client.events if e.name == "rows"]
    assert sorted(seen) == list(range(100))


async def test_nothing_is_left_of_cut_connections():
    """Tasks of attempts that were cut are gone with them."""
    async with Zeek() as zeek:
        for position in range(0, 190, 5):
            async with Proxy(zeek.port, to_agent=Harm(cut_after=position)) as proxy:
                await asyncio.wait_for(lost(socket_to(proxy.destination)), 5)
        await asyncio.sleep(0.1)
        gc.collect()
        assert len(asyncio.all_tasks()) < 8
