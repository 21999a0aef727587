"""A real network: what Zeek says about connections between hosts with agents."""

import hashlib
import os
import pwd
import sys
import tempfile
from pathlib import Path

import pytest

from tests.zeek.attribution.network import CLIENT, SERVER, Network

SETTINGS = """
redef ZeekAgent::Attribution::hash_executables = T;
redef ZeekAgent::Attribution::log_lineage = T;
"""
SERVE = """
import os, pwd, socket, time
listener = socket.create_server(("0.0.0.0", 8080))
open("/proc/self/comm", "w").write("greeter")
os.setuid(pwd.getpwnam("daemon").pw_uid)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello")
    while connection.recv(4096):
        pass
    connection.close()
"""
FETCH = """#!/bin/bash
exec 3<>/dev/tcp/$1/$2
head -c 5 <&3
sleep 3
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return two hosts with agents, and a Zeek between them."""
    if os.geteuid():
        pytest.skip("NOT TESTED: network namespaces need root")
    with Network(tmp_path_factory.mktemp("network"), SETTINGS) as made:
        yield made


@pytest.fixture
def fetch():
    """Return a program that anybody may execute: it connects, reads and waits."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        path = Path(home) / "fetch"
        path.write_text(FETCH)
        path.chmod(0o755)
        yield path


def test_both_ends_are_named(network, fetch):
    """`conn.log` names process, user, parent and hash of a transfer, at both ends."""
    server = network.run("s", sys.executable, "-c", SERVE, stdout=-1, text=True)
    assert server.stdout.readline() == "ready\n"
    client = network.run("c", "sh", "-c", f"{fetch} {SERVER} 8080; true", user="nobody")
    client.wait(20)
    (row,) = network.wait_for(
        lambda: [row for row in network.log("conn") if row["id.resp_p"] == 8080],
        "the connection was not logged",
    )
    assert (row["id.orig_h"], row["id.resp_h"]) == (CLIENT, SERVER)
    assert row["orig_processes"] == ["fetch"]
    assert row["orig_users"] == ["nobody"]
    assert row["orig_uids"] == [pwd.getpwnam("nobody").pw_uid]
    assert row["orig_parents"] == ["sh"]
    assert row["orig_ppids"] == [client.pid]
    assert row["resp_processes"] == ["greeter"]
    assert row["resp_pids"] == [server.pid]
    assert row["resp_users"] == ["daemon"]
    bash = Path("/bin/bash").resolve()
    assert row["orig_exes"] == [str(bash)]
    assert row["orig_hashes"] == [hashlib.sha256(bash.read_bytes()).hexdigest()]
    (line,) = [
        line
        for line in network.log("zeek-agent-attribution")
        if line["uid"] == row["uid"] and line["is_orig"]
    ]
    assert line["lineage"].endswith("> sh > fetch")
    assert line["sha256"] == row["orig_hashes"][0]
