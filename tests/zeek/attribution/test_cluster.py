"""Attribution in a cluster: one node hears the agents, others log the connections."""

import json
import re
import signal
import time

import pytest

from tests.zeek.attribution.feed import Feed
from tests.zeek.attribution.test_matching import CLIENT, SERVER, listens, opened
from tests.zeek.attribution.traces import Trace
from tests.zeek.clusters import BACKENDS, ClusterNode, RealCluster
from tests.zeek.conftest import OURS, wait_for

SCRIPT = """
redef LogAscii::use_json = T;
redef Log::default_rotation_interval = 0sec;
@if ( Cluster::local_node_type() == Cluster::WORKER )
redef Log::enable_local_logging = T;

event zeek_init()
    { suspend_processing(); }

event Pcap::file_done(path: string)
    { terminate(); }

event ZeekAgent::Attribution::take_facts(batch: vector of ZeekAgent::Attribution::Fact)
    &priority=-10
    {
    if ( |ZeekAgent::Attribution::sockets_of("A")| > 0
         && |ZeekAgent::Attribution::sockets_of("B")| > 0
         && ZeekAgent::Attribution::user("A", 5) == "ann" )
        continue_processing();
    }
@else
redef exit_only_after_terminate = T;
@endif
"""


class Reader(ClusterNode):
    """A worker that reads a trace as soon as it knows the hosts, and ends with it."""

    def __init__(self, home, script, *, node, **options):
        super().__init__(home, script, node=node, **options)
        if node != "manager":
            self._words = ["zeek", "-C", "-r", str(home.parent / "trace.pcap"), "test.zeek"]

    def attributed(self):
        """Return the processes of both sides, as `conn.log` has them, once it is written."""
        path = self.home / "conn.log"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            (row.get("orig_processes"), row.get("orig_users"), row.get("resp_pids"))
            for row in rows
            if row["id.orig_p"] == 4000
        ]


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_workers_log_processes(start, tmp_path, backend):
    """Workers name processes, also one that comes late, and one that ended and returns."""
    now = time.time() - 20
    feed, trace = Feed(now), Trace(now)
    feed.hello(21, "A", "alpha", CLIENT)
    feed.hello(21, "B", "beta", SERVER)
    feed.row("users", 21, "A", uid="5", name="ann")
    feed.row("processes", 21, "A", pid=7, name="curl", uid=5, startup=2)
    opened(feed, 21, "A", (CLIENT, 4000), (SERVER, 80), pid=7)
    listens(feed, 21, "B", "::", 80, pid=70)
    trace.tcp(22, (CLIENT, 4000), (SERVER, 80), lasts=1)
    for second in range(20, 40):
        trace.wait(second)
    trace.write(tmp_path / "trace.pcap")
    told = feed.script().replace("module ZeekAgent::Attribution;", "")
    # Before 8.1 a node that sees no packets is not told when its time begins.
    told = re.sub(r"schedule .* \{", "schedule 0secs {", told)
    told = told.replace("network_time_init", "zeek_init")
    script = (
        f"{OURS}{SCRIPT}module ZeekAgent::Attribution;\n"
        f"@if ( Cluster::local_node_type() == Cluster::MANAGER )\n{told}\n@endif\n"
    )
    cluster = RealCluster(start, tmp_path, script, backend, kind=Reader)
    manager = cluster.start("manager")
    expected = [(["curl"], ["ann"], [70])]
    first = cluster.start("worker-1")
    wait_for(lambda: first.attributed() == expected, "nothing on the first worker", first, manager)
    second = cluster.start("worker-2")
    wait_for(lambda: second.attributed() == expected, "nothing on the late one", second, manager)
    first.stop(signal.SIGKILL)
    (first.home / "conn.log").unlink()
    cluster.start("worker-1")
    wait_for(lambda: first.attributed() == expected, "nothing after its return", first, manager)


RECOVERY = """
redef exit_only_after_terminate = T;
module Test;
event tell()
    {
    local now = network_time();
    for ( hid in set("A", "B") )
        if ( hid == "B" || file_size("again") < 0 )
            {
            local address = hid == "A" ? 10.0.0.1 : 10.0.0.2;
            event ZeekAgentAPI::agent_hello_v1(ZeekAgent::Context($agent_id=hid,
                $host_time=now, $query_id="h"), ZeekAgentAPI::AgentHelloV1($agent_id=hid,
                $instance_id="i", $hostname=hid, $addresses=set(address)));
            event ZeekAgent::Attribution::sockets_row(ZeekAgent::Context($agent_id=hid,
                $host_time=now, $query_id="s"), ZeekAgent::Attribution::SocketsRow(
                $pid=7, $protocol=6, $local_addr=address, $local_port=80));
            }
    }
event show()
    {
    local known: vector of string;
    for ( hid in set("A", "B") )
        known += fmt("%s %d", hid, |ZeekAgent::Attribution::sockets_of(hid)|);
    sort(known, strcmp);
    print join_string_vec(known, ", ");
    flush_all();
    schedule 0.5sec { show() };
    }
event zeek_init()
    {
    if ( ZeekAgent::is_designated() )
        schedule 1sec { tell() };
    else
        schedule 1sec { show() };
    }
"""


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_a_manager_that_returns(start, tmp_path, backend):
    """Workers drop hosts that a new manager does not know, and keep the others."""
    cluster = RealCluster(start, tmp_path, OURS + RECOVERY, backend)
    manager, worker = cluster.start("manager"), cluster.start("worker-1")
    wait_for(lambda: "A 1, B 1" in worker.output, "not told", worker, manager)
    manager.stop(signal.SIGKILL)
    (manager.home / "again").touch()
    cluster.start("manager")
    wait_for(lambda: worker.output.endswith("A 0, B 1\n"), "not told anew", worker, manager)
    worker.stop(signal.SIGKILL)
    (worker.home / "output").unlink()
    cluster.start("worker-1")
    wait_for(lambda: "A 0, B 1" in worker.output, "not told after its return", worker, manager)
