"""``sockets_events`` with connections of known ends and owners, from each source."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from zeek_agent_linux._sockets_polling import PollingSource
from zeek_agent_linux._sockets_tracefs import EVENTS, STATE, TraceSource
from zeek_agent_linux._socktrace import filter_text
from zeek_agent_linux._tracefs import Instance
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.api import Host
from zeek_agent_core.table import Where
from zeek_agent_core.testing.conformance import check_table

KINDS = [TraceSource, PollingSource]
ALL = ["BPF", "tracefs", "polling"]
V4, V6 = "127.0.0.1", "::1"
CLIENT = """
import os, socket, sys, time
os.setgid(54321); os.setuid(12345)
family, host, port, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
client = socket.socket(family)
client.connect((host, port))
client.sendall(b"hello")
assert client.recv(100) == b"good day"
time.sleep(seconds)
client.close()
"""


@pytest.mark.parametrize("source", ALL)
def test_conforms(host, source):
    """The table keeps the rules that all tables keep, with each of its sources."""
    check_table(SocketsEvents(host("/", sockets_events={"source": source})))


def netns_of(pid):
    """Return the inode number of a process's network namespace."""
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


async def converse(family, address, seconds, via=None):
    """Let another user's process talk to us; return both ports and its process ID.

    *via* is the address by which it knows us.
    """
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((address, 0))
        server.listen()
        server.setblocking(False)  # noqa: FBT003
        port = server.getsockname()[1]
        inner = socket.AF_INET if "." in (via or address) else family
        arguments = [str(int(inner)), via or address, str(port), str(seconds)]
        process = await asyncio.create_subprocess_exec(
            "/usr/bin/env", sys.executable, "-c", CLIENT, *arguments
        )
        loop = asyncio.get_running_loop()
        peer, (_, client, *_) = await loop.sock_accept(server)
        with peer:
            assert await loop.sock_recv(peer, 100) == b"hello"
            await loop.sock_sendall(peer, b"good day")
            await process.wait()
            assert await loop.sock_recv(peer, 100) == b""
    return port, client, process.pid


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize(
    "case",
    [
        (socket.AF_INET, V4, None, "IPv4"),
        (socket.AF_INET6, V6, None, "IPv6"),
        (socket.AF_INET6, "::", V4, "IPv6"),
    ],
    ids=["v4", "v6", "mapped"],
)
async def test_whole_life(watch, source, case):
    """Both ends of a connection are told as they begin and end, with owner, ports and bytes."""
    family, address, via, name = case
    async with watch(SocketsEvents, source, interval=0.1) as seen:
        port, client, pid = await converse(family, address, 0.6, via)
        (opened, closed) = await seen.count(2, local_port=client)
        (accepted, ended) = await seen.count(2, remote_port=client)
        (listening, over) = await seen.count(2, local_port=port, remote_port=0)
    host = via or address
    inner = "IPv4" if "." in host else "IPv6"
    outer = f"::ffff:{host}" if inner != name else host
    own = {"pid": os.getpid(), "uid": 0, "gid": 0}
    other = {"pid": pid, "uid": 12345, "gid": 54321}
    for row, owner, ends, state, direction in [
        (opened, other, (inner, host, client, host, port), "established", "out"),
        (closed, other, (inner, host, client, host, port), "closed", "out"),
        (accepted, own, (name, outer, port, outer, client), "established", "in"),
        (ended, own, (name, outer, port, outer, client), "closed", "in"),
    ]:
        assert {key: row[key] for key in owner} == owner
        found = (row["family"], row["local_addr"], row["local_port"], row["remote_addr"])
        assert (*found, row["remote_port"]) == ends
        assert (row["state"], row["direction"], row["protocol"]) == (state, direction, 6)
        assert not row["incomplete"]
    assert (listening["state"], over["state"]) == ("listen", "closed")
    assert (listening["pid"], listening["local_addr"]) == (os.getpid(), address)
    assert opened["process"].startswith("python")
    assert closed["duration"] >= (500_000_000 if source == "tracefs" else 1)
    assert (closed["sent"], closed["received"]) == (5, 8)
    assert (ended["sent"], ended["received"]) == (8, 5)
    netns = netns_of("self")
    assert {row["netns"] for row in (opened, closed, accepted, ended, listening)} == {netns}
    pairs = [(opened, closed), (accepted, ended), (listening, over)]
    assert all(first["seuid"] == last["seuid"] for first, last in pairs)
    assert len({first["seuid"] for first, _ in pairs}) == 3


@pytest.mark.parametrize("source", ["BPF", "tracefs"])
async def test_short_connections(watch, act, source):
    """Of 5,000 processes that connect and end at once each is known, with its user."""
    async with watch(SocketsEvents, source) as seen:
        server, status, _ = await act("tcp", 5000, 8, user=12345)
        assert status == 0
        await seen.count(1, pid=server, state="closed", direction=None)
        opened = await seen.count(5000, direction="out", state="established", uid=12345)
        closed = seen.rows(direction="out", state="closed", uid=12345)
        accepted = seen.rows(direction="in", state="established", uid=12345)
    assert (
        len({row["pid"] for row in opened}) == len(opened) == len(closed) == len(accepted) == 5000
    )
    assert {row["process"] for row in opened} == {"actor"}
    acceptors = {row["pid"] for row in accepted}
    if source == "BPF":  # it knows the child that accepts from the process that listens
        assert len(acceptors - {server}) == 1  # what was reset before is the listener's still
    else:
        assert acceptors == {server}
    assert not any(row["incomplete"] for row in opened + closed + accepted)
    assert seen.collector.losses == {}


@pytest.mark.parametrize("source", ["BPF", "tracefs"])
async def test_refused(watch, source):
    """A connection that is refused has failed, with the port it was for."""
    with socket.socket() as unused:
        unused.bind((V4, 0))
        port = unused.getsockname()[1]
        async with watch(SocketsEvents, source) as seen:
            with socket.socket() as client:
                assert client.connect_ex((V4, port)) == errno.ECONNREFUSED
            (row,) = await seen.count(1, remote_port=port)
    assert (row["state"], row["direction"], row["pid"]) == ("failed", "out", os.getpid())
    assert row["remote_addr"] == V4
    assert row.get("error") == (errno.ECONNREFUSED if source == "BPF" else None)


@pytest.mark.parametrize("source", ALL)
async def test_server_in_the_background(watch, act, source):
    """Who accepts is known also if the process that began to listen is gone."""
    async with watch(SocketsEvents, source, interval=0.1) as seen:
        _, _, output = await act("daemon")
        port, child = map(int, output.split())
        await asyncio.sleep(0.3)
        with socket.create_connection((V4, port)) as client:
            own = client.getsockname()[1]
            (row,) = await seen.count(1, remote_port=own, state="established")
    assert row["pid"] == child
    assert row["process"] == "actor"


@pytest.mark.parametrize("source", ALL)
async def test_sockets_from_before(watch, source):
    """What was there before the first query ends with its owner, and accepts with it."""
    with socket.create_server((V4, 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        port, own = server.getsockname()[1], client.getsockname()[1]
        async with watch(SocketsEvents, source, interval=0.1) as seen:
            await asyncio.sleep(0.5)  # until it is known
            with socket.socket() as other:
                other.connect(server.getsockname())
                (row,) = await seen.count(1, remote_port=other.getsockname()[1])
                assert (row["state"], row["direction"], row["pid"]) == (
                    "established", "in", os.getpid(),
                )  # fmt: skip
            client.close()
            (row,) = await seen.count(1, local_port=own)
            assert (row["state"], row["direction"], row["pid"]) == ("closed", "out", os.getpid())
            server.close()
            (row,) = await seen.count(1, local_port=port, remote_port=0)
            assert (row["state"], row["pid"]) == ("closed", os.getpid())


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, V4), (socket.AF_INET6, V6)])
async def test_udp(watch, source, family, address):
    """UDP sockets are told as they take datagrams, have a fixed peer, and are closed."""
    async with watch(SocketsEvents, source, interval=0.1) as seen:
        await asyncio.sleep(0.2)
        with socket.socket(family, socket.SOCK_DGRAM) as server:
            server.bind((address, 0))
            port = server.getsockname()[1]
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.connect((address, port))
                (row,) = await seen.count(1, remote_port=port)
                assert (row["state"], row["direction"]) == ("established", "out")
            (row,) = await seen.count(1, local_port=port, state="listen")
            assert (row["protocol"], row["pid"], row["local_addr"]) == (17, os.getpid(), address)
            await seen.count(1, remote_port=port, state="closed")
        await seen.count(1, local_port=port, state="closed")
    assert len(seen.rows(local_port=port) + seen.rows(remote_port=port)) == 4


@pytest.fixture
def namespace():
    """Return the ID of a process that lives alone in a network namespace of its own."""
    script = "import socket, sys; sys.stdin.readline()"
    command = [
        "unshare",
        "--net",
        "sh",
        "-c",
        f"ip link set lo up; exec {sys.executable} -c '{script}'",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.mark.parametrize("source", ALL)
async def test_network_namespaces(watch, namespace, source):
    """Connections in other network namespaces are told as well, with the namespace."""
    script = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 7777));"
        "c = socket.create_connection(('127.0.0.1', 7777)); time.sleep(1)"
    )
    own = netns_of("self")
    async with watch(SocketsEvents, source, interval=0.1) as seen:
        while (inode := netns_of(namespace)) == own:
            await asyncio.sleep(0.02)
        process = await asyncio.create_subprocess_exec(
            "nsenter", f"--net=/proc/{namespace}/ns/net", sys.executable, "-c", script
        )
        (opened,) = await seen.count(1, remote_port=7777, state="established")
        (listening,) = await seen.count(1, local_port=7777, state="listen")
        await process.wait()
    assert (opened["pid"], opened["netns"]) == (process.pid, inode)
    assert (listening["pid"], listening["netns"]) == (process.pid, inode)


@pytest.mark.parametrize("source", ALL)
async def test_initial(watch, source):
    """If asked for, the table begins with what is open already."""
    with socket.create_server((V4, 0)) as server:
        port = server.getsockname()[1]
        async with watch(SocketsEvents, source, initial=True) as seen:
            (row,) = await seen.count(1, local_port=port, state="open")
    assert (row["pid"], row["protocol"]) == (os.getpid(), 6)


WHERES = [
    Where(SocketsEvents.everything().columns, allowed=allowed)
    for allowed in (
        {},
        {"remote_port": {443, 80}},
        {"local_port": {22}},
        {"local_port": {22}, "remote_port": {443}, "family": {"IPv4"}},
        {"family": {"IPX"}},
        {"state": {"listen"}},
        {"state": {"listen", "closed"}},
        {"remote_port": set(range(1000))},
        {"remote_port": {-1, 99999, 5}},
    )
]


def test_kernel_takes_the_filters(host):
    """Each filter that can come of a query is one that the kernel accepts."""
    instance = Instance(host(), "zeek-agent-test-filters", EVENTS)
    instance.open()
    try:
        for where in WHERES:
            instance.filter(STATE, filter_text(where))
        with pytest.raises(OSError, match="Invalid"):
            instance.filter(STATE, "colour == 3")
    finally:
        instance.close()


async def test_filtered_by_port(watch):
    """A query for one port gets its connections with owners, whatever the kernel leaves out."""
    with socket.create_server((V4, 0)) as server, socket.create_server((V4, 0)) as other:
        port = server.getsockname()[1]
        for name in ("remote_port", "local_port"):
            where = Where(SocketsEvents.everything().columns, allowed={name: {port}})
            async with watch(SocketsEvents, "tracefs", where) as seen:
                for each in (other, server):
                    with socket.socket() as client:
                        client.connect(each.getsockname())
                rows = await seen.count(1, **{name: port}, state="established")
            assert {row[name] for row in rows} == {port}
            assert {row["pid"] for row in rows} == {os.getpid()}


async def test_wider_query_comes_later(watch):
    """When another query wants more, the kernel's filter follows."""
    table = SocketsEvents.everything().columns
    with socket.create_server((V4, 0)) as server:
        port = server.getsockname()[1]
        async with watch(
            SocketsEvents, "tracefs", Where(table, allowed={"local_port": {1}})
        ) as seen:
            with socket.socket() as client:
                client.connect(server.getsockname())
            await asyncio.sleep(0.4)
            assert not seen.rows()
            seen.collector.read_by("another", None)
            await asyncio.sleep(0.3)
            with socket.socket() as client:
                client.connect(server.getsockname())
            await seen.count(2, remote_port=port)


async def test_without_history(watch, act, monkeypatch):
    """Where the process events connector is refused, owners are known from /proc."""

    def refuse(_self):
        raise PermissionError(errno.EPERM, "refused by the test")

    monkeypatch.setattr("zeek_agent_linux._procconnector.Connector.__enter__", refuse)
    async with watch(SocketsEvents, "tracefs") as seen:
        _, client, pid = await converse(socket.AF_INET, V4, 0.4)
        (opened, _) = await seen.count(2, local_port=client)
        (accepted, _) = await seen.count(2, remote_port=client)
    assert (opened["pid"], opened["uid"]) == (pid, 12345)
    assert accepted["pid"] == os.getpid()
    assert "refused by the test" in seen.table.last_warning


def resident():
    """Return how many pages of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.parametrize("kind", KINDS)
async def test_started_and_stopped_often(host, kind):
    """A source that is started and stopped again and again leaves nothing behind."""

    def held():
        tasks = asyncio.all_tasks()
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), len(tasks)

    counts, sizes = set(), []
    for _ in range(25):
        events = kind(SocketsEvents(host())).events()
        assert not await anext(events)
        await events.aclose()
        counts.add(held())
        sizes.append(resident())
    assert len(counts) == 1
    assert sizes[-1] - sizes[4] < 256  # pages


@pytest.mark.parametrize("kind", KINDS)
def test_without_rights(host, kind):
    """Without rights a source says so before anything starts, or works all the same."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            kind(SocketsEvents(Host())).check()
            os.write(writer, b"works")
        except OSError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.wait()
    said = os.read(reader, 1000).decode()
    for each in (reader, writer):
        with suppress(OSError):
            os.close(each)
    if kind.name == "polling":
        assert said == "works"
    else:
        assert "not permitted" in said
