"""A connection that is cut and comes back, between a real agent and a real Zeek."""

import asyncio
from collections import Counter

from tests.zeek.conftest import OURS, Agent, RealZeek, wait_for
from zeek_agent_core.testing.proxy import Proxy

SCRIPT = OURS + "".join(
    f"redef ZeekAgent_{name}::query_interval = 1sec;\n"
    for name in ("ProcessesEvents", "Users", "Mounts", "Files")
)
EVENTS = 40


async def run(number):
    """Start processes that can be told apart by their arguments."""
    names = [f"0.2{number + step:04}" for step in range(EVENTS)]
    made = [await asyncio.create_subprocess_exec("sleep", name) for name in names]
    for process in made:
        await process.wait()
    return {f"sleep {name}" for name in names}


async def test_no_event_is_lost(start, tmp_path):
    """What happens before, while and after the connection is cut is logged; no storm."""
    (tmp_path / "zeek").mkdir()
    zeek = start(RealZeek, "zeek", SCRIPT)

    def started():
        rows = zeek.log("zeek-agent-processes-events")
        return Counter(row["cmdline"] for row in rows if row["state"] == "started")

    async with Proxy(zeek.port) as proxy:
        port = proxy.port
        agent = start(Agent, "agent", zeek, destination=f"ws://127.0.0.1:{port}")
        first = set()
        while not first & set(started()):
            first |= await run(1000)
            await asyncio.sleep(0.5)
        before = await run(2000)
        await asyncio.sleep(0.1)
    during = await run(3000)
    await asyncio.sleep(2)
    async with Proxy(zeek.port, listen=port):
        after = await run(4000)
        wanted = before | during | after
        await asyncio.to_thread(
            wait_for, lambda: wanted <= set(started()), "events are missing", agent, seconds=40
        )
    told = started()
    assert {name: told[name] for name in during | after if told[name] != 1} == {}
    # What arrived without the agent having heard so is sent again.
    assert max(told[name] for name in before) <= 2
    assert "reconnect" in [row["type_"] for row in zeek.log("zeek-agent")]
    assert zeek.log("zeek-agent-users") == []
