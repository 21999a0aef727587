"""The table of sockets, on captured files and on the running kernel."""

import os
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from zeek_agent_linux import _netns, _sockdiag
from zeek_agent_linux.sockets import Sockets, zeek_agent_tables

from plugins.linux.tests.children import child, namespace
from zeek_agent_core.testing.conformance import check_table

OWN = 4026531833
OTHER = 4026532200
NETNS = os.geteuid() == 0


@pytest.fixture
def captured(host):
    """Return the table of a captured host."""
    return Sockets(host("fixtures/sockets"))


def test_all_kinds(captured, sql):
    """Every protocol and family of every namespace is there, one row for each socket."""
    rows = sql("SELECT * FROM sockets", captured)
    mapped = "::ffff:127.0.0.1"
    assert rows == [
        (None, None, "IPv4", 1, "0.0.0.0", 3, "0.0.0.0", 0, None, OWN),
        (300, "web", "IPv4", 255, "0.0.0.0", 255, "0.0.0.0", 0, None, OWN),
        (None, None, "IPv6", 255, "::", 58, "::", 0, None, OWN),
        (100, "sshd", "IPv4", 6, "0.0.0.0", 22, "0.0.0.0", 0, "LISTEN", OWN),
        (100, "sshd", "IPv4", 6, "127.0.0.1", 22, "127.0.0.1", 54321, "ESTABLISHED", OWN),
        (200, "ssh", "IPv4", 6, "127.0.0.1", 54321, "127.0.0.1", 22, "ESTABLISHED", OWN),
        (None, None, "IPv4", 6, "127.0.0.1", 54322, "127.0.0.1", 22, "TIME_WAIT", OWN),
        (None, None, "IPv6", 6, "::", 8080, "::", 0, "LISTEN", OWN),
        (300, "web", "IPv6", 6, mapped, 8080, mapped, 40436, "ESTABLISHED", OWN),
        (200, "ssh", "IPv4", 17, "0.0.0.0", 68, "0.0.0.0", 0, None, OWN),
        (None, None, "IPv6", 136, "::1", 7, "::", 0, None, OWN),
        (300, "web", "IPv4", 6, "0.0.0.0", 80, "0.0.0.0", 0, "LISTEN", OTHER),
    ]
    assert captured.warnings == 0


@pytest.mark.parametrize(
    "condition",
    [
        "pid = 200",
        "pid IN (300, 200)",
        "pid = 12345",
        "pid = 'x'",
        "state = 'LISTEN'",
        "state IN ('TIME_WAIT', 'NONE')",
        "protocol = 255",
        "protocol = 6 AND family = 'IPv6'",
        "local_port = 22",
        "local_port IN (22, 68)",
        "local_port = -1",
        "local_port = 65558",
        "remote_port = 22 AND state = 'ESTABLISHED'",
        "local_addr = '127.0.0.1'",
        "remote_addr = '::ffff:127.0.0.1'",
        f"netns = {OTHER}",
        "netns = 1",
        "process = 'web'",
    ],
)
def test_conditions_change_nothing_but_the_work(captured, sql, condition):
    """A condition that the table hears of selects the rows that SQLite would."""
    hidden = condition
    for column in ("pid", "state", "protocol", "family", "local_port", "remote_port",
                   "local_addr", "remote_addr", "netns"):  # fmt: skip
        hidden = hidden.replace(f"{column} ", f"+{column} ")
    told = sql(f"SELECT * FROM sockets WHERE {condition}", captured)
    assert sorted(map(repr, told)) == sorted(
        map(repr, sql(f"SELECT * FROM sockets WHERE {hidden}", captured))
    )


def test_missing_list_empties_nothing(tmp_path, host, sql):
    """Where some lists are missing or damaged the others still count."""
    lists = Path(__file__).parent / "fixtures/sockets/proc/net"
    shutil.copytree(lists, tmp_path / "proc/net")
    (tmp_path / "proc/net/icmp").unlink()
    (tmp_path / "proc/net/raw").write_text("no\nlist\n")
    table = Sockets(host(tmp_path))
    assert sql("SELECT count(*) FROM sockets WHERE protocol = 6", table) == [(6,)]
    assert table.warnings == 0
    assert sql("SELECT count(*) FROM sockets WHERE +protocol = 6", table) == [(6,)]
    assert table.warnings == 1
    assert "raw" in table.last_warning


def test_conforms(host):
    """The table keeps the rules on captured files."""
    check_table(Sockets(host("fixtures/sockets")))


def test_offered_with_its_source(host, tmp_path):
    """The table says where sockets come from, and is not offered without /proc."""
    assert zeek_agent_tables(host(tmp_path)) == []
    assert [table.source for table in zeek_agent_tables(host("fixtures/sockets"))] == ["/proc/net"]
    assert [table.source for table in zeek_agent_tables(host())] == ["sock_diag"]


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, 6),
        (socket.AF_INET6, socket.SOCK_STREAM, 6),
        (socket.AF_INET, socket.SOCK_DGRAM, 17),
        (socket.AF_INET6, socket.SOCK_DGRAM, 17),
    ],
)
def test_own_socket(host, sql, family, kind, protocol):
    """A socket of this process is found with its owner by every way."""
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.socket(family, kind) as opened:
        opened.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            opened.listen()
        port = opened.getsockname()[1]
        table = Sockets(host())
        columns = "pid, family, protocol, local_addr, local_port, remote_port, state, netns"
        rows = sql(f"SELECT {columns} FROM sockets WHERE +local_port = {port}", table)
        told = sql(f"SELECT {columns} FROM sockets WHERE local_port = {port}", table)
        mine = sql(
            f"SELECT {columns} FROM sockets WHERE pid = {os.getpid()} AND +local_port = {port}",
            table,
        )
    name = "IPv4" if family == socket.AF_INET else "IPv6"
    state = "LISTEN" if protocol == 6 else None
    netns = _netns.own("/proc").inode
    assert rows == told == mine
    assert rows == [(os.getpid(), name, protocol, address, port, 0, state, netns)]


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need privileges")
def test_raw_socket(host, sql):
    """The protocol of a raw socket takes the place of the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 253):
        rows = sql(
            f"SELECT protocol, local_port, state FROM sockets WHERE pid = {os.getpid()}",
            Sockets(host()),
        )
    assert (255, 253, None) in rows


def test_inherited_socket_belongs_to_the_parent(host, sql):
    """A socket that a child shares with its parent has one row, by every way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with child(lambda: server) as pid:
            table = Sockets(host())
            rows = sql(f"SELECT pid FROM sockets WHERE local_port = {port}", table)
            theirs = sql(f"SELECT pid FROM sockets WHERE pid = {pid}", table)
            both = sql(f"SELECT pid FROM sockets WHERE pid IN ({os.getpid()}, {pid})", table)
    assert rows == [(os.getpid(),)]
    assert theirs == []
    assert (os.getpid(),) in both
    assert (pid,) not in both


def test_mapped_address_stays_ipv6(host, sql):
    """A connection over IPv4 to an IPv6 socket keeps the family of the socket."""
    with ExitStack() as stack:
        server = stack.enter_context(
            socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        )
        port = server.getsockname()[1]
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        stack.enter_context(server.accept()[0])
        rows = sql(
            "SELECT family, local_addr, state FROM sockets"
            f" WHERE local_port = {port} AND state = 'ESTABLISHED'",
            Sockets(host()),
        )
    assert rows == [("IPv6", "::ffff:127.0.0.1", "ESTABLISHED")]


def test_listeners_are_selected_by_the_kernel(host, sql, monkeypatch):
    """The kernel is asked for listeners of one protocol only, and no process is looked at."""
    asked = []
    real = _sockdiag.dump
    monkeypatch.setattr(_sockdiag, "dump", lambda *rest: asked.append(rest[1:]) or real(*rest))
    table = Sockets(host())
    sql("SELECT local_port FROM sockets WHERE state = 'LISTEN' AND family = 'IPv4'", table)
    assert {(family, protocol, only.states) for family, protocol, only in asked} == {
        (socket.AF_INET, 6, 1 << 10)
    }
    assert table._source._proc._owners.scans == 0


@pytest.mark.skipif(not NETNS, reason="makes a network namespace")
def test_other_namespaces(host, sql):
    """Sockets of another namespace are listed, told apart, and found by their process."""
    name = f"test-{os.getpid()}"
    with namespace(name) as path, socket.create_server(("127.0.0.1", 0)) as server:
        inode = Path(path).stat().st_ino
        port = server.getsockname()[1]
        inside = f"/run/netns/{name}"

        def listen():
            _netns._enter(inside)
            return socket.create_server(("127.0.0.1", port))

        table = Sockets(host())
        with child(listen) as pid:
            columns = "pid, netns"
            rows = sql(f"SELECT {columns} FROM sockets WHERE local_port = {port}", table)
            theirs = sql(f"SELECT {columns} FROM sockets WHERE pid = {pid}", table)
            only = sql(f"SELECT {columns} FROM sockets WHERE netns = {inode}", table)
        own = _netns.own("/proc").inode
        assert sorted(rows) == sorted([(os.getpid(), own), (pid, inode)])
        assert theirs == only == [(pid, inode)]
        assert _netns.own("/proc").inode == own
    assert "enter" not in (table.last_warning or "")


@pytest.mark.skipif(not NETNS, reason="makes a network namespace")
def test_socket_left_in_another_namespace(host, sql):
    """A process may hold a socket of a namespace that it has left, and that has no process."""
    name = f"left-{os.getpid()}"
    with namespace(name) as path:
        inode = Path(path).stat().st_ino
        home = os.open("/proc/self/ns/net", os.O_RDONLY)

        def leave():
            _netns._enter(f"/run/netns/{name}")
            left = socket.create_server(("127.0.0.1", 0))
            _netns._enter(f"/proc/self/fd/{home}")
            return left

        table = Sockets(host())
        with child(leave) as pid:
            theirs = sql(f"SELECT pid, netns FROM sockets WHERE pid = {pid}", table)
            listed = sql(f"SELECT pid, netns FROM sockets WHERE +netns = {inode}", table)
        os.close(home)
    assert theirs == listed == [(pid, inode)]
