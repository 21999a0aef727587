"""Tests with a real Zeek."""

import os
import re
import signal
import time

import pytest

from tests.unit.broker.certificates import Authority
from tests.zeek.conftest import OURS, Agent, RealZeek, wait_for

TABLES = ("Files", "Processes", "Sockets", "Users")
SNAPSHOTS = "".join(
    f"redef ZeekAgent_{table}::subscription = ZeekAgent::SnapshotPlusDifferences;\n"
    f"redef ZeekAgent_{table}::query_interval = 1sec;\n"
    for table in TABLES
)


@pytest.fixture
def zeek(start, package, tmp_path):
    """Return a Zeek with the stock package."""
    (tmp_path / "zeek").mkdir()
    return start(RealZeek, "zeek", package + SNAPSHOTS)


def test_joins_and_fills_the_logs(zeek, start):
    """The stock package logs the agent and the tables, first whole, then what changes."""
    agent = start(Agent, "agent", zeek)
    joined = wait_for(lambda: zeek.log("zeek-agent"), "no join", agent)
    assert joined[0]["type_"] == "join"
    for table in TABLES:
        wait_for(lambda table=table: zeek.log(f"zeek-agent-{table.lower()}"), f"no {table}", agent)
    names = {row["name"] for row in zeek.log("zeek-agent-users")}
    assert "root" in names
    child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "30")
    try:
        wait_for(
            lambda: any(
                row["pid"] == str(child) and row["change"] == "new"
                for row in zeek.log("zeek-agent-processes")
            ),
            "a new process was not told",
        )
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    agent.stop()
    wait_for(lambda: zeek.log("zeek-agent")[-1]["type_"] == "shutdown", "no goodbye")
    assert "Traceback" not in agent.output
    assert not [row for row in zeek.log("reporter") if row["level"] != "Reporter::INFO"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_zeek_comes_back(zeek, start, number):
    """A Zeek that is killed, or ends, and starts again is joined again without further ado."""
    agent = start(Agent, "agent", zeek)
    wait_for(lambda: zeek.log("zeek-agent-users"), "no users", agent)
    zeek.stop(number)
    for path in zeek.home.glob("*.log"):
        path.unlink()
    zeek.start()
    wait_for(lambda: zeek.log("zeek-agent-users"), "no users again", agent, seconds=45)
    assert zeek.log("zeek-agent")[0]["type_"] == "join"
    assert agent.process.poll() is None


MOCK_ROWS = {
    "files": {
        "path": "text_a_b", "type_": "text_a_c", "uid": "103", "gid": "104",
        "mode": "text_a_f", "size": "107",
    },
    "processes": {
        "name": "text_a_a", "pid": "101", "uid": "103", "gid": "104", "ppid": "102",
        "priority": "text_a_h", "startup": "18.000000",
    },
    "sockets": {
        "pid": "100", "process": "text_a_b", "family": "text_a_c", "protocol": "103",
        "local_addr": "192.168.1.5", "local_port": "105", "remote_addr": "192.168.1.7",
        "remote_port": "107", "state": "text_a_i",
    },
    "users": {
        "name": "text_a_a", "full_name": "text_a_b", "is_admin": "F", "is_system": "F",
        "uid": "text_a_e", "gid": "105", "home": "text_a_g", "shell": "text_a_h",
        "email": "text_a_i",
    },
    "ssh-authorized-keys": {"path": "text_a_b", "number": "102", "content": "blob_a_d"},
}  # fmt: skip


def test_mock_tables(zeek, start):
    """The first row of each log of the stock package is the one its own tests expect."""
    zeek.stop()
    keys = (
        "redef ZeekAgent_SSH::subscription = ZeekAgent::SnapshotPlusDifferences;\n"
        "redef ZeekAgent_SSH::query_interval = 1sec;\n"
    )
    script = zeek.home / "test.zeek"
    script.write_text(script.read_text() + keys)
    zeek.start()
    agent = start(Agent, "agent", zeek, options=["-M"])
    for log, expected in MOCK_ROWS.items():
        rows = wait_for(lambda log=log: zeek.log(f"zeek-agent-{log}"), f"no {log}", zeek, agent)
        assert expected.items() <= rows[0].items()
        assert rows[0]["change"] == "-"


OUR_MOCK_ROWS = {
    "mounts": {"device": "text_a_a", "type_": "text_a_c", "is_read_only": "F"},
    "interfaces": {"name": "text_a_a", "mac": "text_a_c", "mtu": "103"},
    "processes-events": {"name": "text_a_b", "pid": "102", "state": "text_a_o"},
    "sockets-events": {"pid": "101", "process": "text_a_c", "remote_addr": "192.168.1.10"},
    "file-events": {"action": "text_a_b", "path": "text_a_c", "pid": "105", "number": "109"},
    "system-logs": {"process": "text_a_b", "level": "text_a_c"},
}  # fmt: skip


def test_mock_tables_of_our_own(start, tmp_path):
    """A made-up row of each of our tables arrives in its log, every value at its place."""
    (tmp_path / "zeek").mkdir()
    differing = ("Mounts", "Interfaces")
    evented = ("ProcessesEvents", "SocketsEvents", "FileEvents", "SystemLogs")
    script = OURS + "".join(
        f"redef ZeekAgent_{name}::query_interval = 1sec;\n" for name in (*differing, *evented)
    )
    for name in differing:
        script += f"redef ZeekAgent_{name}::subscription = ZeekAgent::SnapshotPlusDifferences;\n"
    zeek = start(RealZeek, "zeek", script)
    agent = start(Agent, "agent", zeek, options=["-M"])
    for log, expected in OUR_MOCK_ROWS.items():
        rows = wait_for(lambda log=log: zeek.log(f"zeek-agent-{log}"), f"no {log}", zeek, agent)
        kept = {name: rows[0][name] for name in expected}
        if log in {"processes-events", "sockets-events", "file-events", "system-logs"}:
            kept = {name: re.sub("text_[a-z]_", "text_a_", value) for name, value in kept.items()}
            wanted = {name: v for name, v in expected.items() if v.startswith("text")}
            assert wanted.items() <= kept.items(), log
        else:
            assert kept == expected, log


def test_the_agent_ends_with_the_connection(zeek, start):
    """With `-N` an agent ends, with status 0, when Zeek goes."""
    agent = start(Agent, "agent", zeek, options=["-N"])
    wait_for(lambda: zeek.log("zeek-agent"), "no join", agent)
    zeek.stop(signal.SIGKILL)
    wait_for(lambda: agent.process.poll() is not None, "it goes on", agent)
    assert agent.process.returncode == 0


QUERIES = """
module Test;
export { type Columns: record { text: string; }; }
global cancelled = F;
event once(ctx: ZeekAgent::Context, columns: Columns) {
    print fmt("once %s %s", columns$text, ctx$cookie); flush_all();
}
event often(ctx: ZeekAgent::Context, columns: Columns) {
    print fmt("often %s", columns$text); flush_all();
    if ( ! cancelled ) ZeekAgent::cancel(ctx$query_id);
    cancelled = T;
}
event never(ctx: ZeekAgent::Context, columns: Columns) { print "never"; flush_all(); }
event zeek_init() &priority=-20 {
    ZeekAgent::query([$sql_stmt="SELECT 'a' || char(7, 252, 8364)", $event_=once, $cookie="cook"]);
    ZeekAgent::query([$sql_stmt="SELECT 'b'", $event_=often, $schedule_=1sec]);
    ZeekAgent::query([$sql_stmt="SELECT nonsense FROM nothing", $event_=never]);
    ZeekAgent::query([$sql_stmt="SELECT 'c'", $event_=never,
        $requires_tables=set("no_such_table")]);
    ZeekAgent::query([$sql_stmt="SELECT 'd'", $event_=never,
        $if_missing_tables=set("zeek_agent")]);
}
"""


def test_queries_of_all_kinds(start, package, tmp_path):
    """Single, repeated, cancelled, wrong and waiting queries do what a script expects."""
    (tmp_path / "zeek").mkdir()
    zeek = start(RealZeek, "zeek", package + QUERIES)
    agent = start(Agent, "agent", zeek)
    wait_for(lambda: "often b" in zeek.output, "no result", zeek, agent)
    wait_for(
        lambda: "nonsense" in zeek.output + str(zeek.log("reporter")),
        "no error",
        zeek,
        agent,
    )
    time.sleep(2.5)
    assert "once a\\x07\\xc3\\xbc\\xe2\\x82\\xac cook" in zeek.output
    assert zeek.output.count("often b") <= 2
    assert "never\n" not in zeek.output


SECURE = """
@load zeek-agent/framework
redef ZeekAgent::listeners = vector(
    ZeekAgent::Listener($listen_address=127.0.0.1, $listen_port=PORT/tcp,
        $cert_file="CERTIFICATE", $key_file="KEY", $ca_file="AUTHORITY"),
    ZeekAgent::Listener($listen_address=127.0.0.1, $listen_port=XPUB/tcp));
"""


@pytest.mark.parametrize("has_certificate", [True, False])
def test_tls_with_certificates(start, tmp_path, has_certificate):
    """A listener with certificates takes agents that have one; a plain one beside it takes all."""
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.sign("server")
    own, own_key = authority.sign("client")
    (tmp_path / "zeek").mkdir()
    script = SECURE.replace("CERTIFICATE", certificate).replace("KEY", key)
    zeek = RealZeek(tmp_path / "zeek", script.replace("AUTHORITY", authority.file))
    if zeek.release < (8, 0):
        pytest.skip("Zeek's own server cannot do TLS before 8.0")
    plain = re.search(r"listen_port=(\d+)/tcp\)\)", (zeek.home / "test.zeek").read_text())[1]
    zeek.start()
    settings = f'tls = "verify"\nssl_cafile = "{authority.file}"\n'
    if has_certificate:
        settings += f'ssl_certificate = "{own}"\nssl_keyfile = "{own_key}"\n'
    try:
        agent = start(Agent, "agent", zeek, settings, destination=f"wss://localhost:{zeek.port}")
        if has_certificate:
            wait_for(lambda: zeek.log("zeek-agent"), "not joined", zeek, agent)
            wait_for(lambda: "joined Zeek" in agent.output, "not joined", agent)
        else:
            wait_for(lambda: "certificate" in agent.output, "no hint", agent)
            start(Agent, "other", zeek, destination=f"ws://localhost:{plain}")
            wait_for(lambda: zeek.log("zeek-agent"), "not joined", zeek, agent)
    finally:
        zeek.stop(signal.SIGKILL)
