"""``sockets`` through BPF has the rows that netlink and ``/proc`` have."""

import json
import os
import socket
import struct
from collections import Counter
from contextlib import ExitStack, closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _netns, _ownerless, _sockstat
from zeek_agent_linux._bpf.programs import open_sockets as programs
from zeek_agent_linux._opensockets import Held, Wanted, parse_sockets
from zeek_agent_linux._sockets import ProcSource
from zeek_agent_linux._sockets_bpf import BpfSource
from zeek_agent_linux.sockets import Sockets

from plugins.linux.tests.children import child, namespace
from zeek_agent_core.host import Host
from zeek_agent_core.table import Where

COLUMNS = tuple(column.name for column in Sockets.columns)
V4, V6 = socket.AF_INET, socket.AF_INET6
RAW_PROTOCOL = 253
"""It stands where others have their port."""
TRIES = 10
"""Other sockets of the machine come and go meanwhile."""


@pytest.fixture
def sources():
    """Return both sources."""
    proc = ProcSource(Host(), lambda _: None)
    bpf = BpfSource(Host(), lambda _: None, proc)
    yield bpf, proc
    bpf.close()


def listed(source, **allowed):
    """Return the rows of a source, how often each."""
    where = Where(frozenset(COLUMNS), allowed=allowed)
    return Counter(tuple(row.get(name) for name in COLUMNS) for row in source.rows(where))


def assert_equal(sources, keep, **allowed):
    """Let both sources tell the same of the sockets to *keep*; return their rows."""
    bpf, proc = sources
    for _ in range(TRIES):
        before, between, after = (
            Counter({row: n for row, n in listed(source, **allowed).items() if keep(row)})
            for source in (bpf, proc, bpf)
        )
        if before == between == after:
            break
    assert bpf.name == "BPF"
    assert before == between
    return before


def about(*ports):
    """Return what keeps the sockets of some ports: others come and go all the time."""
    return lambda row: row[5] in ports or row[7] in ports


def all_kinds(stack):
    """Open sockets of all kinds and states; return the port that most have, and all others."""
    enter = stack.enter_context
    server = enter(socket.create_server(("127.0.0.1", 0)))
    address = server.getsockname()
    enter(socket.create_connection(address))
    enter(server.accept()[0])
    client = socket.create_connection(address)
    accepted, _ = server.accept()
    client.close()
    accepted.close()  # TIME_WAIT
    enter(socket.create_connection(address))  # not accepted
    closing = enter(socket.create_connection(address))
    closing.close()  # not accepted either, and closed by its peer
    both = enter(socket.create_server(("::", 0), family=V6, dualstack_ipv6=True))
    enter(socket.create_connection(("127.0.0.1", both.getsockname()[1])))
    others = [RAW_PROTOCOL, both.getsockname()[1]]
    for family, kind, protocol in (
        (V4, socket.SOCK_DGRAM, 0), (V6, socket.SOCK_DGRAM, 0), (V4, socket.SOCK_RAW, RAW_PROTOCOL),
        (V6, socket.SOCK_RAW, RAW_PROTOCOL), (V4, socket.SOCK_STREAM, 0),
    ):  # fmt: skip
        enter(socket.socket(family, kind, protocol))  # those that are not bound are not listed
    for family, host in ((V4, "127.0.0.1"), (V6, "::1")):
        bound = enter(socket.socket(family, socket.SOCK_DGRAM))
        bound.bind((host, 0))
        peer = enter(socket.socket(family, socket.SOCK_DGRAM))
        peer.connect(bound.getsockname())
        others.append(bound.getsockname()[1])
    bound = enter(socket.socket(V4, socket.SOCK_STREAM))
    bound.bind(("127.0.0.1", 0))
    return address[1], [*others, bound.getsockname()[1]]


def test_equal_to_netlink(sources):
    """All rows are equal: of every kind and state, with a process and without."""
    with ExitStack() as stack:
        port, others = all_kinds(stack)
        name = f"equal-{os.getpid()}"
        inside = stack.enter_context(namespace(name))

        def elsewhere():
            _netns._enter(inside)
            server = socket.create_server(("127.0.0.1", port))
            client = socket.create_connection(server.getsockname())
            return server, client  # and one that is not accepted

        stack.enter_context(child(elsewhere))
        shared = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.enter_context(child(lambda: shared))
        rows = assert_equal(sources, about(port, *others, shared.getsockname()[1]))
        states = {row[COLUMNS.index("state")] for row in rows}
        assert {"LISTEN", "ESTABLISHED", "TIME_WAIT", None} <= states
        assert {row[COLUMNS.index("protocol")] for row in rows} >= {6, 17, 255}
        for allowed in (
            {"local_port": {port}}, {"remote_port": {port}}, {"state": {"LISTEN"}},
            {"state": {"TIME_WAIT", "ESTABLISHED"}}, {"protocol": {17}}, {"family": {"IPv6"}},
            {"pid": {os.getpid()}}, {"local_addr": {"127.0.0.1"}},
        ):  # fmt: skip
            bpf, proc = sources
            wanted = Counter({row: n for row, n in listed(proc).items() if matches(row, allowed)})
            told = Counter({row: n for row, n in listed(bpf, **allowed).items()
                            if matches(row, allowed)})  # fmt: skip
            mine = [row for row in wanted if port in (row[5], row[7])]
            assert all(told[row] == wanted[row] for row in mine), allowed
            assert told


def matches(row, allowed):
    """Return whether SQLite would keep a row."""
    return all(row[COLUMNS.index(name)] in values for name, values in allowed.items())


def test_inherited_socket_belongs_to_the_oldest(sources):
    """Of several processes that hold a socket the oldest has it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with child(lambda: server), child(lambda: server):
            rows = assert_equal(sources, about(port), local_port={port})
    owners = {row[0] for row in rows if row[COLUMNS.index("local_port")] == port}
    assert owners == {os.getpid()}


def test_multipath(sources):
    """A connection of MPTCP is that of the process that holds the socket above it."""
    try:
        server = socket.socket(V4, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    except OSError:  # the kernel has none, so there is nothing to mistake
        return
    with server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        rows = assert_equal(sources, about(port), local_port={port})
        assert {row[0] for row in rows if row[5] == server.getsockname()[1]} == {os.getpid()}


def test_hidden_socket(sources):
    """A socket in no process's hands, on its way from one to another, is listed all the same."""
    sender, receiver = socket.socketpair(socket.AF_UNIX)
    with sender, receiver:
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        socket.send_fds(sender, [b"x"], [server.fileno()])
        server.close()
        for _ in range(2):
            rows = assert_equal(sources, about(port))
            mine = [row for row in rows if row[COLUMNS.index("local_port")] == port]
            assert [(row[0], row[COLUMNS.index("state")]) for row in mine] == [(None, "LISTEN")]


def alone(name, work):
    """Run *work* in a process in a network namespace of its own; return what it returns."""
    reader, writer = os.pipe()
    with namespace(f"{name}-{os.getpid()}") as path:
        pid = os.fork()
        if pid == 0:
            try:
                _netns._enter(path)
                os.write(writer, json.dumps(work()).encode())
            except BaseException as error:
                os.write(writer, json.dumps(repr(error)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as told:
            answer = told.read()
        os.waitpid(pid, 0)
    return json.loads(answer)


def compared(prepare):
    """Return whether a pass over all sockets was spared, and what the sources tell apart."""
    proc = ProcSource(Host(), lambda _: None)
    with closing(BpfSource(Host(), lambda _: None, proc)) as bpf, ExitStack() as stack:
        prepare(stack)
        inode = _netns.own("/proc").inode
        mine = [
            Counter({row: n for row, n in listed(source).items() if row[-1] == inode})
            for source in (bpf, proc)
        ]
        spared = bpf._ownerless.find(bpf._choice.part()) is not None
        return (
            spared,
            sum(mine[0].values()),
            [*map(repr, mine[0] - mine[1])],
            [*map(repr, mine[1] - mine[0])],
        )


def connected(stack):
    """Have sockets that all have an owner, or are known to netlink."""
    enter = stack.enter_context
    for family, host in ((V4, "127.0.0.1"), (V6, "::1")):
        server = enter(socket.create_server((host, 0), family=family))
        address = server.getsockname()[:2]
        enter(socket.create_connection(address))
        enter(server.accept()[0])
        client = socket.create_connection(address)
        accepted = enter(server.accept()[0])
        client.close()  # FIN_WAIT_2, with CLOSE_WAIT opposite
        client = socket.create_connection(address)
        accepted, _ = server.accept()
        client.close()
        accepted.close()  # TIME_WAIT
        bound = enter(socket.socket(family, socket.SOCK_DGRAM))
        bound.bind((host, 0))
        enter(socket.socket(family, socket.SOCK_DGRAM))
    half = enter(socket.socket(V4, socket.SOCK_STREAM))
    half.bind(("127.0.0.1", 0))


def waiting(stack):
    """Have a connection that nobody has accepted as well."""
    connected(stack)
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    stack.enter_context(socket.create_connection(server.getsockname()))


def test_a_look_at_each_socket_is_spared():
    """Where the kernel's counts say that all sockets are known, the rows are the same."""
    spared, count, surplus, missing = alone("spared", lambda: compared(connected))
    assert (spared, surplus, missing) == (True, [], [])
    assert count >= 14


def test_a_look_at_each_socket_is_not_spared():
    """Where there are more sockets than are known, each is looked at."""
    spared, _, surplus, missing = alone("looked", lambda: compared(waiting))
    assert (spared, surplus, missing) == (False, [], [])


def test_after_a_vain_attempt_it_is_not_tried_at_once(monkeypatch):
    """A host with connections that wait to be accepted is not looked at twice each time."""
    proc = ProcSource(Host(), lambda _: None)
    with closing(BpfSource(Host(), lambda _: None, proc)) as bpf:
        tried = []

        def read():
            tried.append(True)
            return _sockstat.Counts(1 << 40, 0, 0)

        monkeypatch.setattr(_sockstat, "read", read)
        for _ in range(_ownerless.PASSES + 1):
            assert listed(bpf)
        before = len(tried)
        assert listed(bpf)
        assert (before, len(tried)) == (2, 4)


def test_counts_of_sockets():
    """The counts are those of this namespace; what is not understood is an error."""
    raw = b"sockets: used 9\nTCP: inuse 5 orphan 0 tw 3 alloc 7 mem 1\nUDP: inuse 2 mem 0\n"
    assert _sockstat.parse(raw) == (5, 2, 3, 0, 0)
    assert _sockstat.parse(b"TCP6: inuse 4\nUDP6: inuse 1\n") == (4, 1, 0, 0, 0)
    for wrong in (b"", b"TCP: inuse 5\n", b"TCP: inuse x\nUDP: inuse 1\n", b"TCP: inuse\n"):
        with pytest.raises(ValueError, match=r"counts|zip|invalid"):
            _sockstat.parse(wrong)


def test_turned_off(sql):
    """Turned off, the table is served by netlink, and has no reason to warn."""
    table = Sockets(Host(uses_bpf=False))
    sql("SELECT pid FROM sockets", table)
    assert table.source == "sock_diag"
    assert "BPF" not in (table.last_warning or "")


def test_falls_back(host, sql, monkeypatch):
    """If the kernel refuses, the rows come from netlink, and the table says why."""
    monkeypatch.setattr("zeek_agent_linux._bpf.syscall.NUMBERS", {os.uname().machine: 0xFFFF})
    table = Sockets(host())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        rows = sql(f"SELECT pid FROM sockets WHERE +local_port = {port}", table)
    assert rows == [(os.getpid(),)]
    assert table.source == "sock_diag"


numbers = st.integers(1, 2**64 - 1)


@given(st.lists(st.one_of(numbers, st.tuples(numbers, numbers))))
def test_sockets(told):
    """Addresses and records are told apart wherever they stand."""
    raw, records = b"", []
    for each in told:
        if isinstance(each, int):
            raw += struct.pack("=Q", each)
        else:
            record = struct.pack("=QQQ", each[0], 0, each[1]).ljust(programs.OPEN.size, b"\0")
            records.append(record)
            raw += bytes(8) + record
    addresses, found = parse_sockets(raw)
    assert addresses == {each for each in told if isinstance(each, int)}
    assert found == b"".join(records)


@given(st.binary(max_size=400))
def test_any_bytes(raw):
    """Bytes that the kernel never wrote end in a `ValueError`, nothing else."""
    with suppress(ValueError):
        parse_sockets(raw)
    with suppress(ValueError):
        Held(raw).records(Wanted(Where(frozenset(), allowed={"local_port": {80}})))
