"""The way out of a connection, and who waits at it."""

import asyncio

from tests.unit.broker.conftest import joined
from tests.unit.broker.test_link import agent, greeted
from zeek_agent_core.testing.zeek import Zeek


async def test_nobody_waits_for_a_connection_that_is_gone():
    """A run whose rows come as the connection ends does not keep its query from running again."""
    async with Zeek() as zeek, agent(zeek.destination) as ours:
        ours.sql.rows = []
        client = await greeted(zeek)
        client.install("q1", "0", seconds=0.05, subscription="Differences")
        while ours.sql.runs < 2:
            await asyncio.sleep(0.01)
        for task in asyncio.all_tasks():
            if task.get_name().startswith("rows to"):
                task.cancel()  # as at the end of a connection
        await asyncio.sleep(0.01)
        ours.sql.rows.append((1, "late"))
        runs = ours.sql.runs
        while ours.sql.runs == runs:
            await asyncio.sleep(0.01)
        client.abort()
        runs = ours.sql.runs
        async with asyncio.timeout(10):
            while ours.sql.runs < runs + 3:
                await asyncio.sleep(0.01)


async def test_rows_are_numbered_behind_each_other():
    """Events reach the server in the order in which they were published."""
    async with Zeek() as zeek, joined(zeek) as (transport, _, client):
        for number in range(50):
            transport.publish("/t", "row", ((), (number,)))
        assert [row[0] for row in await client.results("row", 50)] == list(range(50))
