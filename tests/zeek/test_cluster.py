"""The package in clusters, on both backends; agents are never touched."""

import asyncio

import pytest

from tests.zeek.clusters import BACKENDS, RealCluster
from tests.zeek.conftest import OURS, Agent
from tests.zeek.scripted_agent import ScriptedAgent
from zeek_agent_core.broker.messages import CancelQuery, InstallQuery

SECONDS = 15.0
SCRIPT = (
    OURS.replace("@load zeek-agent\n", "@load zeek-agent/framework\n")
    + """
redef exit_only_after_terminate = T;
redef ZeekAgent::agent_timeout = 30sec;
module Test;
export { type Columns: record { n: int &optional; }; }
global asked_at = "";
event row(ctx: ZeekAgent::Context, columns: Columns)
    {
    print fmt("row %d %s", columns$n, ZeekAgent::hostname(ctx));
    flush_all();
    }
event later()
    {
    # Only workers get here with agents known and no query of their own sent.
    if ( ! ZeekAgent::is_designated() && |ZeekAgent::agents| > 0 && asked_at == "" )
        {
        asked_at = ZeekAgent::query([$sql_stmt="SELECT 2 AS later", $event_=row, $schedule_=9sec]);
        for ( hid in ZeekAgent::agents )
            when [hid] ( local a = ZeekAgent::execute("SELECT n FROM t", hid, 8sec) )
                {
                print fmt("answer %s %s %d", a$ok, a$error, |a$rows|);
                for ( _, r in a$rows )
                    print fmt("value %d", (r as Columns)$n);
                flush_all();
                }
        }
    print fmt("known %d %d", |ZeekAgent::agents|, |ZeekAgent::hosts_by_addr(10.0.0.1)|);
    flush_all();
    schedule 0.5sec { later() };
    }
event zeek_init()
    {
    ZeekAgent::query([$sql_stmt="SELECT 1 AS start", $event_=row, $schedule_=9sec]);
    schedule 0.5sec { later() };
    }
"""
)


@pytest.fixture(params=list(BACKENDS))
def cluster(request, start, tmp_path):
    """Return a cluster that is not started."""
    return RealCluster(start, tmp_path, SCRIPT, request.param)


async def said(node, text):
    """Wait until a node has printed *text*, and not before it was started last."""
    for _ in range(int(SECONDS * 10)):
        if text in node.output:
            return
        await asyncio.sleep(0.1)
    stderr = "\n".join(f"== {n}\n{p.output[-2000:]}" for n, p in node.cluster.nodes.items())
    raise AssertionError(f"{node.home.name} did not print {text}\n{stderr}")


async def begin(cluster, name):
    """Start a node, its output empty."""
    if name in cluster.nodes:
        (cluster.nodes[name].home / "output").unlink()
    node = await asyncio.to_thread(cluster.start, name)
    node.cluster = cluster
    return node


async def test_late_workers_learn_everything(cluster):
    """Nodes that come after the agent know it; each statement runs once; workers get answers."""
    manager = await begin(cluster, "manager")
    first = await begin(cluster, "worker-1")
    async with ScriptedAgent(manager, "H1") as agent:
        await agent.hello(addresses=("10.0.0.1",))
        await said(first, "known 1 1")
        second = await begin(cluster, "worker-2")
        proxy = await begin(cluster, "proxy")
        await said(second, "known 1 1")
        await said(proxy, "known 1 1")
        answered = set()
        for _ in range(int(SECONDS * 5)):
            for query in agent.of(InstallQuery):
                if "SELECT n FROM t" in query.sql and query.query_id not in answered:
                    answered.add(query.query_id)
                    await agent.row(query, 7, 1, 1)
            if all("answer T" in node.output for node in (first, second, proxy)):
                break
            await asyncio.sleep(0.2)
        for node in (first, second, proxy):
            assert "answer T  1\nvalue 7\n" in node.output
        statements = agent.statements()
        assert statements.count("SELECT 1 AS start") == 1
        assert statements.count("SELECT 2 AS later") == 1
        [query] = [query for query in agent.of(InstallQuery) if query.sql == "SELECT 1 AS start"]
        await agent.row(query, 3)
        await said(manager, "row 3 H1.example")
        assert "row 3" not in first.output + second.output
        later = next(query for query in agent.of(InstallQuery) if query.sql == "SELECT 2 AS later")
        assert agent.of(CancelQuery) == []
        for node in (first, second, proxy):
            await asyncio.to_thread(node.stop)
        [cancelled] = await agent.wait(CancelQuery)
        assert cancelled.query_id == later.query_id


async def test_killed_nodes_recover(cluster, start):
    """A worker, the manager, then all are killed and started again; the agent runs on."""
    names = ["manager", "worker-1", "worker-2"]
    nodes = {name: await begin(cluster, name) for name in names}
    agent = start(Agent, "agent", nodes["manager"])
    for name in names:
        await said(nodes[name], "known 1 0")
    for killed in (["worker-2"], ["manager"], ["worker-1", "manager", "worker-2"]):
        for name in killed:
            await asyncio.to_thread(nodes[name].stop)
        for name in killed:
            await begin(cluster, name)
        for name in names:
            if name not in killed:
                (nodes[name].home / "output").write_text("")
            await said(nodes[name], "known 1 0")
        await said(nodes["manager"], "row 1 ")
    assert agent.process.poll() is None


async def test_another_node_talks_with_agents(start, tmp_path):
    """A proxy may be the designated node, and the manager knows the agents as workers do."""
    script = f'{SCRIPT}redef ZeekAgent::node = "proxy";\n'
    cluster = RealCluster(start, tmp_path, script, designated="proxy")
    proxy = await begin(cluster, "proxy")
    others = [await begin(cluster, name) for name in ("manager", "worker-1")]
    async with ScriptedAgent(proxy, "H1") as agent:
        await agent.hello(addresses=("10.0.0.1",))
        for node in others:
            await said(node, "known 1 1")
        [query] = await agent.wait()
        await agent.row(query, 3)
        await said(proxy, "row 3 H1.example")
