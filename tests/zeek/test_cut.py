"""A connection that is cut and comes back, between a real agent and a real Zeek."""

import asyncio
from collections import Counter

from tests.zeek.conftest import Agent, RealZeek, wait_for
from zeek_agent_core.testing.proxy import Proxy

SCRIPT = """
@load zeek-agent/tables/file-events
@load zeek-agent/tables/users
redef ZeekAgent::hello_interval = 2sec;
redef ZeekAgent_FileEvents::query_interval = 1sec;
redef ZeekAgent_Users::query_interval = 1sec;
"""
EVENTS = 40


def make_directories(where, name):
    """Let something happen that no other process does; return the paths."""
    paths = [where / f"{name}{number}" for number in range(EVENTS)]
    for path in paths:
        path.mkdir()
    return {str(path) for path in paths}


async def test_no_event_is_lost(start, tmp_path):
    """What happens before, while and after the connection is cut is logged; no storm."""
    where = tmp_path / "watched"
    for path in (tmp_path / "zeek", where):
        path.mkdir()
    zeek = start(RealZeek, "zeek", SCRIPT)
    settings = f'[tables.files_events]\npaths = ["{where}"]\n'

    def created():
        rows = zeek.log("zeek-agent-file-events")
        return Counter(row["path"] for row in rows if row["action"] == "created")

    async with Proxy(zeek.port) as proxy:
        port = proxy.port
        destination = f"ws://127.0.0.1:{port}"
        agent = start(Agent, "agent", zeek, settings, destination=destination)
        for number in range(100):
            make_directories(where, f"first{number}-")
            await asyncio.sleep(0.5)
            if created():
                break
        before = make_directories(where, "before")
        await asyncio.sleep(0.1)
    during = make_directories(where, "during")
    await asyncio.sleep(2)
    async with Proxy(zeek.port, listen=port):
        await asyncio.to_thread(
            wait_for,
            lambda: "reconnect" in [row["type_"] for row in zeek.log("zeek-agent")],
            "the agent does not come back",
        )
        wanted = before | during | make_directories(where, "after")
        await asyncio.to_thread(
            wait_for, lambda: wanted <= set(created()), "events are missing", agent, seconds=40
        )
    told = created()
    assert {path: told[path] for path in wanted - before if told[path] != 1} == {}
    # What arrived without the agent having heard so is sent again.
    assert max(told[path] for path in before) <= 2
    assert zeek.log("zeek-agent-users") == []
