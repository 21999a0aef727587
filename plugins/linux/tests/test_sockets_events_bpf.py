"""``sockets_events`` through BPF: what only it knows."""

import asyncio
import gc
import os
import platform
import signal
import socket
import struct
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.kernel import kernel_of
from zeek_agent_linux._bpf.programs import datagram_calls
from zeek_agent_linux._bpf.programs import socket_events as programs
from zeek_agent_linux._bpf.ring import Records
from zeek_agent_linux._bpf.session import Maps
from zeek_agent_linux._sockets_events_bpf import BpfSource, transferred
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.host import Host

V4, V6 = "127.0.0.1", "::1"
SIZE = programs.EVENT.size


@contextmanager
def workers(server, count, work):
    """Let *count* processes accept from one socket, and do *work* with each connection."""
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                while True:
                    connection, _ = server.accept()
                    work(connection)
            finally:
                os._exit(0)
        children.append(pid)
    try:
        yield children
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def tell_pid(connection):
    """Read a little, and answer with the process ID."""
    connection.recv(10)
    time.sleep(0.001)  # so that others have their turn
    connection.sendall(str(os.getpid()).encode())
    connection.close()


def speak_first(connection):
    """Send without having read."""
    connection.sendall(str(os.getpid()).encode())
    connection.close()


@pytest.mark.parametrize("work", [tell_pid, speak_first])
@pytest.mark.parametrize("address", [V4, V6])
async def test_workers(watch, work, address):
    """Of several processes that accept from one socket, each connection has the one that did."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        socket.create_server((address, 0), family=family, backlog=200) as server,
        workers(server, 4, work) as children,
    ):
        async with watch(SocketsEvents, "BPF") as seen:
            told = {}
            for _ in range(100):
                with socket.create_connection(server.getsockname()[:2]) as client:
                    if work is tell_pid:
                        client.sendall(b"x")
                    own = client.getsockname()[1]
                    told[own] = int(client.recv(100))
                await asyncio.sleep(0)
            rows = await seen.count(100, direction="in", state="established",
                                        local_port=server.getsockname()[1])  # fmt: skip
            ends = await seen.count(100, direction="in", state="closed",
                                        local_port=server.getsockname()[1])  # fmt: skip
    assert {row["remote_port"]: row["pid"] for row in rows} == told
    assert {row["remote_port"]: row["pid"] for row in ends} == told
    assert set(told.values()) <= set(children)
    assert all(row["uid"] == 0 and not row["incomplete"] for row in rows)


async def test_closed_without_a_word(watch):
    """A connection that is accepted and closed at once has the process that did so."""
    with (
        socket.create_server((V4, 0)) as server,
        workers(server, 2, lambda connection: connection.close()) as children,
    ):
        async with watch(SocketsEvents, "BPF") as seen:
            with socket.create_connection(server.getsockname()) as client:
                own = client.getsockname()[1]
                assert client.recv(10) == b""
                (row,) = await seen.count(1, remote_port=own, state="established")
    assert row["pid"] in children


async def test_silent_connection(watch):
    """A connection that nobody uses gets the process that holds it, after a while."""
    with (
        socket.create_server((V4, 0)) as server,
        workers(server, 2, lambda connection: time.sleep(60)) as children,
    ):
        async with watch(SocketsEvents, "BPF") as seen:
            with socket.create_connection(server.getsockname()) as client:
                own = client.getsockname()[1]
                (row,) = await seen.count(1, remote_port=own, state="established")
    assert row["pid"] in children
    assert row["uid"] == 0


def own_process():
    """Return the name of this process, and its network namespace."""
    name = Path("/proc/self/comm").read_text().strip()
    return name, Path("/proc/self/ns/net").stat().st_ino


def talk(family, host, *, times=3):
    """Let two sockets without a fixed peer talk, in both kinds of calls; return their ports."""
    with (
        socket.socket(family, socket.SOCK_DGRAM) as server,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        server.bind((host, 0))
        for _ in range(times):
            client.sendto(b"question", server.getsockname())
            _, _, _, asker = server.recvmsg(100)
            server.sendmsg([b"answer"], [], 0, asker)
            client.recvfrom(100)
        return server.getsockname()[1], client.getsockname()[1]


@pytest.mark.parametrize(("family", "address", "any_"), [
    (socket.AF_INET, V4, "0.0.0.0"), (socket.AF_INET6, V6, "::"),
])  # fmt: skip
async def test_peers_of_datagrams(watch, family, address, any_):
    """With the setting, each peer of a UDP socket is told once, whoever began."""
    async with watch(SocketsEvents, "BPF", system_calls=True, interval=60.0) as seen:
        server, client = await asyncio.to_thread(talk, family, address)
        (asked,) = await seen.count(1, local_port=client, state="established")
        (served,) = await seen.count(1, local_port=server, state="established")
        await asyncio.sleep(0.3)
        assert len(seen.rows(local_port=client, state="established")) == 1
        assert len(seen.rows(local_port=server, state="established")) == 1
    for row, direction, local, remote in (
        (asked, "out", any_, server), (served, "in", address, client),
    ):  # fmt: skip
        assert (row["direction"], row["protocol"]) == (direction, 17)
        assert (row["local_addr"], row["remote_addr"], row["remote_port"]) == (
            local,
            address,
            remote,
        )
        assert (row["pid"], row["uid"]) == (os.getpid(), 0)
        assert (row["process"], row["netns"]) == own_process()


async def test_each_peer_and_each_process(watch):
    """One socket has a row for each peer; a process that lives for an instant has its own."""
    async with watch(SocketsEvents, "BPF", system_calls=True, interval=60.0) as seen:
        with ExitStack() as stack:
            servers = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(3)]
            for server in servers:
                server.bind((V4, 0))
            ports = {server.getsockname()[1] for server in servers}
            pid = os.fork()
            if pid == 0:
                os.setresgid(7, 8, 8)
                os.setresuid(5, 6, 6)
                sender = socket.socket(type=socket.SOCK_DGRAM)
                for server in [*servers, *servers]:
                    sender.sendto(b"x", server.getsockname())
                os._exit(0)
            await asyncio.to_thread(os.waitpid, pid, 0)
            rows = await seen.count(3, pid=pid)
    assert {row["remote_port"] for row in rows} == ports
    assert {(row["uid"], row["gid"], row["direction"]) for row in rows} == {(6, 8, "out")}


async def test_what_is_no_datagram_to_a_peer(watch):
    """Failed calls, files, pipes, other sockets, and those with a fixed peer make no such rows."""
    async with watch(SocketsEvents, "BPF", system_calls=True, interval=60.0) as seen:
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with (
            left,
            right,
            socket.socket(type=socket.SOCK_DGRAM) as server,
            socket.socket(type=socket.SOCK_DGRAM) as fixed,
            socket.socket(type=socket.SOCK_DGRAM) as sender,
        ):
            left.send(b"x")
            right.recvfrom(10)
            with pytest.raises(OSError, match=r"."):
                sender.sendto(b"x", ("255.255.255.255", 9))
            server.bind((V4, 0))
            fixed.connect(server.getsockname())
            for _ in range(3):
                fixed.send(b"x")
            server.recv(10)  # does not ask where it came from
            own = fixed.getsockname()[1]
            rows = await seen.count(1, local_port=own)
            await asyncio.sleep(0.3)
            told = [row for row in seen.rows(pid=os.getpid(), protocol=17) if row["remote_port"]]
    assert [(row["local_port"], row["direction"]) for row in rows] == [(own, "out")]
    assert told == rows


async def test_system_calls_are_left_alone(watch):
    """Without the setting nothing runs at system calls, and such peers are not told."""
    async with watch(SocketsEvents, "BPF", interval=60.0) as seen:
        server, client = await asyncio.to_thread(talk, socket.AF_INET, V4)
        await asyncio.sleep(0.5)
        assert seen.rows(local_port=client) == seen.rows(local_port=server) == []


def test_the_program_of_the_other_processor(monkeypatch):
    """The program is made for processors of both kinds, from the places that their kernels have."""
    kernel = kernel_of(Host())
    own = datagram_calls.calls(kernel, Maps(0, 0, 0, {"flows": 0}))
    places = {"syscallno": Member(280, 4), "orig_x0": Member(272, 8), "regs": Member(0, 248)}
    real = kernel.member
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(
        type(kernel), "member",
        lambda _, struct, path: places[path] if struct == "pt_regs" else real(struct, path),
    )  # fmt: skip
    other = datagram_calls.calls(kernel, Maps(0, 0, 0, {"flows": 0}))
    assert len(own) == len(other)
    assert own != other


async def test_process_not_thread(watch):
    """The process is named by its own name, not by that of the thread that connects."""
    import ctypes
    import threading

    def connect():
        ctypes.CDLL(None).prctl(15, b"thread", 0, 0, 0)
        with socket.create_connection(server.getsockname()) as client:
            ports.append(client.getsockname()[1])

    ports = []
    with socket.create_server((V4, 0)) as server:
        async with watch(SocketsEvents, "BPF") as seen:
            thread = threading.Thread(target=connect)
            thread.start()
            await seen.until(lambda: ports)
            thread.join()
            (row,) = await seen.count(1, local_port=ports[0], state="established")
    assert row["pid"] == os.getpid()
    assert row["process"] != "thread"


@pytest.mark.parametrize(("sent", "received"), [(0, 0), (1, 0), (0, 1), (100_000, 3), (3, 200_000)])
async def test_bytes(watch, sent, received):
    """The bytes of a connection are those that were transferred, at both ends."""
    async with watch(SocketsEvents, "BPF") as seen:
        with socket.create_server((V4, 0)) as server, ExitStack() as stack:
            client = stack.enter_context(socket.create_connection(server.getsockname()))
            own = client.getsockname()[1]
            peer, _ = server.accept()
            await exchange(client, peer, sent)
            await exchange(peer, client, received)
            client.shutdown(socket.SHUT_WR)
            assert peer.recv(1) == b""
            peer.close()
            assert client.recv(1) == b""
        (out,) = await seen.count(1, local_port=own, state="closed")
        (into,) = await seen.count(1, remote_port=own, state="closed")
    assert (out["sent"], out["received"]) == (sent, received)
    assert (into["sent"], into["received"]) == (received, sent)
    assert 0 < out["duration"] < 60 * 10**9


async def exchange(one, other, count):
    """Let *count* bytes go from one socket to another."""
    loop = asyncio.get_running_loop()
    for each in (one, other):
        each.settimeout(0)
    task = asyncio.create_task(loop.sock_sendall(one, bytes(count)))
    left = count
    while left:
        left -= len(await loop.sock_recv(other, left))
    await task
    for each in (one, other):
        each.settimeout(None)


async def test_aborted(watch):
    """A connection that is reset ends as well, at both ends."""
    async with watch(SocketsEvents, "BPF") as seen:
        with socket.create_server((V4, 0)) as server:
            client = socket.create_connection(server.getsockname())
            own = client.getsockname()[1]
            peer, _ = server.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            (out,) = await seen.count(1, local_port=own, state="closed")
            (into,) = await seen.count(1, remote_port=own, state="closed")
            peer.close()
    assert (out["pid"], into["pid"]) == (os.getpid(), os.getpid())


async def test_datagrams(watch):
    """A UDP socket is told with its process when it sends, and again for another peer."""
    async with watch(SocketsEvents, "BPF", interval=60.0) as seen:
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as two,
            socket.socket(type=socket.SOCK_DGRAM) as client,
        ):
            one.bind((V4, 0))
            two.bind((V4, 0))
            ports = [each.getsockname()[1] for each in (one, two)]
            for port in ports:
                client.connect((V4, port))
                for _ in range(3):
                    client.send(b"x")
            own = client.getsockname()[1]
            rows = await seen.count(2, local_port=own)
    assert [row["remote_port"] for row in rows] == ports
    assert all((row["state"], row["direction"], row["protocol"], row["pid"]) ==
               ("established", "out", 17, os.getpid()) for row in rows)  # fmt: skip


def files():
    """Return the descriptors of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_leaves_nothing(host):
    """After the last query nothing of the source is left, whatever it was doing."""
    gc.collect()  # tables of other tests let go
    before = files()
    for wait in (0.0, 0.01, 0.1, 0.5):
        table = SocketsEvents(host("/", sockets_events={"source": "BPF"}))

        async def collect(table=table):
            async for _ in table.events():
                pass

        task = asyncio.create_task(collect())
        await asyncio.sleep(wait)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(30):  # a check may be under way in a thread
            while not files() <= before:
                await asyncio.sleep(0.05)


numbers = st.integers(0, 2**64 - 1)


@given(st.tuples(numbers, numbers, numbers, numbers, st.integers(0, 2), st.integers(0, 1023)))
def test_transferred(counts):
    """Counts of bytes are never negative, and no more is acknowledged than was sent."""
    acked, sent, again, received, direction, flags = counts
    names = programs.EVENT.names
    fields = [0] * len(names)
    for name, value in (
        ("acked", acked), ("sent", sent), ("again", again), ("received", received),
        ("direction", direction), ("flags", flags),
    ):  # fmt: skip
        fields[names.index(name)] = value
    out, into = transferred(tuple(fields))
    assert 0 <= out <= max(sent - again, 0)
    assert received - 1 <= into <= received


@given(st.lists(st.tuples(st.binary(min_size=SIZE, max_size=SIZE), st.integers(0, 8))))
def test_any_record(records):
    """A record with any content makes rows or none, and never an error."""
    table = SocketsEvents(Host())
    source = BpfSource(table)
    source._holders = NoHolders()
    raw, places = b"", []
    for content, kind in records:
        made = bytearray(content)
        struct.pack_into("=I", made, programs.EVENT.places["kind"][0], kind)
        places.append((len(raw), len(made)))
        raw += bytes(made)
    names = {column.name for column in SocketsEvents.columns}
    for row in source._work(Records(raw, places)):
        assert row.keys() <= names


class NoHolders:
    """Knows nobody."""

    def before(self, _):
        """Return nothing."""
        return None, None

    def listener(self, *_):
        """Return nothing."""

    def listens(self, *_):
        """Forget it."""
