"""The logs of osquery's tables, with a real Zeek, a real agent, and osquery's stand-in."""

import hashlib
import shutil
import subprocess

import pytest

pytest.importorskip("osquery", reason="tools/dev-requirements.txt has it")

from plugins.osquery.tests.conftest import StandIn
from plugins.osquery.tests.schema import TABLES
from tests.zeek.clusters import BACKENDS, RealCluster
from tests.zeek.conftest import OURS, Agent, RealZeek, wait_for

LOGS = OURS.replace("@load zeek-agent\n", "@load zeek-agent/osquery\n") + "".join(
    f"redef ZeekAgent_{module}::query_interval = 1sec;\n"
    for module in (
        "OsqueryInterfaces", "OsqueryListeningPorts", "OsqueryMounts", "OsqueryProcessEvents",
        "OsquerySocketEvents", "OsqueryUsers", "ServerApplications",
    )
)  # fmt: skip
ATTACHMENTS = """
@load zeek-agent/osquery/executed-attachments
redef ZeekAgent_ProcessesEvents::query_interval = 1sec;
event zeek_init()
    { ZeekAgent::tell("attachment", vector("SHA256", "Fmail")); }
"""
SETTINGS = """
[osquery]
extensions_socket = "SOCKET"
include_events = ["process_events", "socket_events"]
refresh_interval = 1
"""

FIRST = {
    "listening_ports": [[10, 25, 6, 2, "0.0.0.0", 3, 400, "", ""]],
    "processes": [[10, "smtpd", "/bin/smtpd", "smtpd", 0, 0, 1], [11, "httpd", "", "", 33, 33, 1]],
    "users": [[0, 0, 0, 0, "root", "", "/root", "/bin/sh", ""],
              [33, 33, 33, 33, "www", "", "/", "/bin/false", ""]],
    "interface_details": [["eth9", "00:11:22:33:44:55", 1, 1500]],
}  # fmt: skip
MORE = {
    "listening_ports": [
        [11, 80, 6, 2, "0.0.0.0", 4, 401, "", ""], [11, 80, 6, 10, "::", 5, 402, "", ""],
        [11, 8080, 6, 2, "127.0.0.1", 6, 403, "", ""], [11, 8080, 6, 10, "::1", 7, 404, "", ""],
    ],
    "users": [[1000, 100, 1000, 100, "eve", "Eve", "/home/eve", "/bin/zsh", ""]],
    "interface_addresses": [["eth9", "192.0.2.9", "255.255.255.0", "", "", "manual"]],
    "mounts": [["/dev/sdz1", "/dev/sdz1", "/stick", "vfat", 4096, 100, 50, "ro,nosuid"]],
    "process_events": [[77, "/bin/true", "true", "/", 0, 0, 0, 11, 1_700_000_000, "1"]],
    "socket_events": [["connect", 77, "/bin/nc", "3", 2, 6, "192.0.2.9", "198.51.100.1", 40000,
                       443, 1_700_000_001, "2", 1]],
}  # fmt: skip


def data(*parts):
    """Return the stand-in's tables with the rows of *parts*."""
    return {
        name: {"columns": columns, "rows": [row for part in parts for row in part.get(name, [])]}
        for name, columns in TABLES.items()
    }


@pytest.fixture
def standin(tmp_path):
    """Return a stand-in that runs."""
    tmp_path.chmod(0o755)
    made = StandIn(tmp_path)
    made.write(data(FIRST))
    made.start()
    yield made
    made.kill()


def joined(start, standin, script, settings=""):
    """Start a Zeek, and an agent that asks the stand-in."""
    zeek = start(RealZeek, "zeek", script)
    asking = SETTINGS.replace("SOCKET", standin.path)
    return zeek, start(Agent, "agent", zeek, f"{zeek.tls}\n{settings}{asking}")


def test_logs(start, standin, tmp_path):
    """What is new in osquery's tables is logged, each new server once, loopback not at all."""
    (tmp_path / "zeek").mkdir()
    zeek, agent = joined(start, standin, LOGS)

    def asked():
        tables = ("listening_ports", "users", "interface_addresses", "mounts", "process_events")
        return all(len(standin.queries(table)) >= 2 for table in tables)

    wait_for(asked, "osquery is not asked", zeek, agent)
    standin.write(data(FIRST, MORE))

    def line(log, **wanted):
        def found():
            rows = zeek.log(f"zeek-agent-{log}")
            return next((row for row in rows if wanted.items() <= row.items()), None)

        return wait_for(found, f"no line {wanted} in {log}", zeek, agent)

    row = line("osquery-listening-ports", listening_port="80", family="2")
    assert (row["change"], row["pid"], row["address"]) == ("new", "11", "0.0.0.0")
    row = line("osquery-users", username="eve")
    assert (row["uid"], row["shell"], row["change"]) == ("1000", "/bin/zsh", "new")
    row = line("osquery-interfaces", ip="192.0.2.9")
    assert (row["interface"], row["mac"]) == ("eth9", "00:11:22:33:44:55")
    row = line("osquery-mounts", path="/stick")
    assert (row["type_"], row["blocks_size"], row["flags"]) == ("vfat", "4096", "ro,nosuid")
    row = line("osquery-process-events", pid="77")
    assert (row["path"], row["start_time"], row["parent"]) == ("/bin/true", "1700000000", "11")
    row = line("osquery-socket-events", pid="77")
    assert (row["fd"], row["remote_port"], row["success"]) == ("3", "443", "1")
    row = line("server-applications", port_number="80")
    assert (row["username"], row["name"]) == ("www", "httpd")
    standin.write(data(FIRST))
    line("osquery-users", username="eve", change="gone")
    servers = [row["port_number"] for row in zeek.log("zeek-agent-server-applications")]
    assert servers == ["80"]
    assert zeek.log("zeek-agent-errors") == []
    assert [row for row in zeek.log("reporter") if row["level"] != "Reporter::INFO"] == []


@pytest.mark.parametrize("source", ["files_hash", "osquery_hash"])
def test_an_attachment_that_is_executed(start, standin, tmp_path, source):
    """A program with the hash of an attachment is noticed, whichever table has the hash."""
    program = tmp_path / "invoice"
    shutil.copy("/bin/sleep", program)
    with program.open("ab") as file:
        file.write(b"not the usual one")
    sha256 = hashlib.sha256(program.read_bytes()).hexdigest()
    rows = {"hash": [[str(program), str(tmp_path), "", "", sha256]]}
    standin.write(data(rows if source == "osquery_hash" else {}))
    (tmp_path / "zeek").mkdir()
    script = OURS.replace("@load zeek-agent\n", "@load zeek-agent/framework\n")
    block = '[plugins]\nblock = ["files_hash"]\n' if source == "osquery_hash" else ""
    zeek, agent = joined(start, standin, script + ATTACHMENTS.replace("SHA256", sha256), block)
    wait_for(lambda: zeek.log("zeek-agent"), "the agent does not join", zeek, agent)
    started = []

    def noticed():
        started.append(subprocess.Popen([program, "2"]))
        return zeek.log("zeek-agent-executed-attachments")

    try:
        (row, *_) = wait_for(noticed, "nothing is noticed", zeek, agent)
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert (row["exe"], row["sha256"], row["file_id"]) == (str(program), sha256, "Fmail")
    wait_for(lambda: zeek.log("notice"), "there is no notice", zeek, agent)
    (notice,) = zeek.log("notice")
    assert notice["note"] == "ZeekAgent_ExecutedAttachments::Executed_Attachment"
    assert str(program) in notice["msg"]


NOTES = (
    OURS.replace(
        "@load zeek-agent\n", "@load zeek-agent/framework\n@load zeek-agent/framework/notes\n"
    )
    + """
redef exit_only_after_terminate = T;
event ZeekAgent::note(kind: string, words: vector of string)
    {
    print fmt("note %s %s", kind, words[0]);
    flush_all();
    }
event later()
    {
    ZeekAgent::tell("from", vector(Cluster::node));
    schedule 0.5sec { later() };
    }
event zeek_init()
    { schedule 0.5sec { later() }; }
"""
)


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_notes_reach_the_node_that_talks_with_agents(start, tmp_path, backend):
    """What a worker wants known arrives at the manager, and nowhere else."""
    cluster = RealCluster(start, tmp_path, NOTES, backend)
    for name in ("manager", "worker-1"):
        cluster.start(name)
    manager, worker = cluster.nodes["manager"], cluster.nodes["worker-1"]
    wait_for(lambda: "note from worker-1" in manager.output, "no note", manager, worker)
    wait_for(lambda: "note from manager" in manager.output, "no own note", manager)
    assert "note from" not in worker.output
