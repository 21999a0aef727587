"""Zeek is told at once which of osquery's tables there are, and of no row that is not gone."""

from tests.integration.test_joining import agent
from zeek_agent_core.testing.zeek import HELLO, Zeek

ERROR = "ZeekAgentAPI::agent_error_v1"


async def test_hellos_and_queries_follow(osquery, tmp_path):
    """A hello with the new list comes when osquery goes or comes, long before the next is due."""
    settings = f'[osquery]\nextensions_socket = "{osquery.path}"\nretry_interval = 1'
    async with Zeek() as zeek, agent(tmp_path, "-z", zeek.destination, settings=settings):
        client = await zeek.client(20)
        while "osquery_hash" not in (await client.expect(HELLO, 20)).arguments[1][-1]:
            client.hello()
        client.hello()
        client.install("q1", "SELECT port FROM osquery_listening_ports WHERE port = 22",
                       seconds=0.2, subscription="SnapshotPlusDifferences")  # fmt: skip
        assert await client.results("rows", 1) == [(22,)]
        osquery.kill()
        error = await client.expect(ERROR, 20)
        assert "table osquery_listening_ports: osquery" in error.arguments[1]
        while "osquery_hash" in (await client.expect(HELLO, 20)).arguments[1][-1]:
            pass
        osquery.start()
        while "osquery_hash" not in (await client.expect(HELLO, 20)).arguments[1][-1]:
            pass
        client.install("q2", "SELECT port FROM listening_ports WHERE port = 80", event="more")
        assert await client.results("more", 1) == [(80,)]
        assert not [event for event in client.events if event.name == "rows"]
