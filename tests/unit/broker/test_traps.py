"""Each thing that bites first, against a peer that does bite."""

import asyncio
import gc
import os
import random
import socket
import time
from pathlib import Path

import pytest

from tests.unit.broker.conftest import Recorder, joined, lost, socket_to
from zeek_agent_core.broker.pace import Pace
from zeek_agent_core.broker.transport import Flavour, Reason
from zeek_agent_core.broker.websocket import Timing
from zeek_agent_core.testing._frames import PING, TEXT, make_frame
from zeek_agent_core.testing.zeek import Zeek

BOTH = pytest.mark.parametrize("flavour", [Flavour.CLUSTER, Flavour.BROKER])


def memory():
    """Return the resident set, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def test_short_frames_end_a_connection_to_brokers_server():
    """The peer shows Broker's fault: a short frame in two pieces ends the connection."""
    async with Zeek(Flavour.BROKER) as zeek, joined(zeek) as (transport, _, _client):
        raw = transport._wire._transport
        frame = b"\x81\x85\0\0\0\0hello"
        raw.write(frame[:8])
        why = await transport.ending
    assert why.reason is Reason.BROKEN


@pytest.mark.parametrize("chunk", [1, 7, 1000, 1448, 4096])
async def test_split_frames_to_brokers_server(chunk):
    """Events and pings arrive at Broker's server however the bytes are cut."""
    number = 40 if chunk < 1000 else 2000
    async with Zeek(Flavour.BROKER, chunk=chunk) as zeek, joined(zeek) as (ours, _, client):
        for count in range(number):
            ours.publish("/t", "row", ((), (count, "x" * (count % 700))))
        rows = await client.results("row", number, 30)
        assert [row[0] for row in rows] == list(range(number))


async def test_no_padding_for_zeeks_own_server():
    """Zeek's own server gets events as they are, once it has said who it is."""
    async with Zeek() as zeek, joined(zeek) as (transport, _, client):
        transport.publish("/t", "row", ((), ()))
        await client.results("row", 1)
        assert transport.stats.sent_bytes < 500


async def test_flood_towards_a_slow_zeek():
    """A server that wants its pings answered is, however slow its script."""
    behaviour = {"ping_interval": 1.5, "seconds_per_event": 0.002, "is_counting_only": True}
    async with Zeek(**behaviour) as zeek, joined(zeek) as (transport, _, client):
        before, until = memory(), time.monotonic() + 6
        while time.monotonic() < until and not transport.ending.done():
            for _ in range(256):
                transport.publish("/t", "row", ((), ("x" * 600,)))
            await (transport.ready() or asyncio.sleep(0))
        assert not transport.ending.done()
        assert client.longest_pong < 1.5
        assert client.count > 500
        assert memory() - before < 20


async def test_a_flood_without_a_window_is_thrown_out():
    """The peer shows the fault: whoever sends on regardless is closed with 1011."""
    pace = Pace()
    behaviour = {"ping_interval": 0.5, "seconds_per_event": 0.02, "queue": 4}
    async with Zeek(**behaviour) as zeek, joined(zeek, pace=pace) as (ours, _, _client):
        ours._window = type("Endless", (type(ours._window),), {"is_full": False})()
        for _ in range(10_000):
            ours.publish("/t", "row", ((), ("x" * 600,)))
        why = await asyncio.wait_for(ours.ending, 20)
    assert why.reason is Reason.OVERRUN
    assert pace.allowance() is not None


async def fill(zeek, ours):
    """Stall Zeek and publish until nothing more is taken; return the number and the wait."""
    zeek.reading.clear()
    sent = 0
    while True:
        waiting = ours.ready()
        if waiting is None:
            ours.publish("/t", "row", ((), ("x" * 1000,)))
            sent += 1
            continue
        waiting = asyncio.ensure_future(waiting)
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        if not done:
            return sent, waiting


@BOTH
async def test_a_stall_is_no_end(flavour):
    """While Zeek reads nothing the sender waits; when it goes on, so does everything."""
    async with Zeek(flavour, ping_interval=30) as zeek, joined(zeek) as (ours, _, client):
        sent, waiting = await fill(zeek, ours)
        held = ours._queued_bytes
        assert 0 < held < 1 << 20
        assert ours.stats.sent_events - ours.stats.confirmed_events <= 2000
        zeek.reading.set()
        await asyncio.wait_for(waiting, 10)
        await client.results("row", sent, 20)


async def test_reading_goes_on_while_sending_is_blocked():
    """Events from Zeek are taken while it takes none of ours."""
    async with Zeek(ping_interval=30) as zeek, joined(zeek) as (ours, handler, client):
        _, waiting = await fill(zeek, ours)
        for _ in range(1000):
            client.hello()
        async with asyncio.timeout(5):
            while len(handler.events) < 1000:
                await asyncio.sleep(0.01)
        zeek.reading.set()
        await asyncio.wait_for(waiting, 10)


async def test_ready_ends_with_the_connection():
    """Who waits for room is not left waiting when the connection ends."""
    async with Zeek(ping_interval=30) as zeek, joined(zeek) as (ours, _, client):
        _, waiting = await fill(zeek, ours)
        client.abort()
        await asyncio.wait_for(waiting, 5)
        assert ours.ready() is None
        zeek.reading.set()


async def test_silence():
    """A server from which nothing comes any more is given up, within the limit."""
    timing = Timing(ping=0.1, silence=0.6)
    async with Zeek(ping_interval=0) as zeek, joined(zeek, timing=timing) as (ours, _, _client):
        begun = time.monotonic()
        zeek.reading.clear()
        why = await asyncio.wait_for(ours.ending, 5)
        assert why.reason is Reason.SILENT
        assert 0.4 < time.monotonic() - begun < 2
        zeek.reading.set()


async def test_too_large():
    """A message of more than 16 MiB ends the connection instead of filling memory."""
    async with Zeek() as zeek, joined(zeek) as (ours, _, client):
        before = memory()
        client.send_bytes(bytes([0x81, 127]) + (1 << 40).to_bytes(8) + b"x" * 1000)
        why = await asyncio.wait_for(ours.ending, 5)
        assert why.reason is Reason.BROKEN
        assert memory() - before < 10


async def test_endless_fragments():
    """Fragments without end count together towards the bound."""
    async with Zeek() as zeek, joined(zeek) as (ours, _, client):
        client.send_bytes(make_frame(TEXT, b"x", is_last=False))
        for _ in range(20):
            client.send_bytes(make_frame(0, b"x" * (1 << 20), is_last=False))
        why = await asyncio.wait_for(ours.ending, 10)
        assert why.reason is Reason.BROKEN


async def test_pings_that_nobody_reads_the_answers_of():
    """A server that pings without end and reads nothing cannot fill our memory."""
    async with Zeek(ping_interval=0) as zeek, joined(zeek) as (ours, _, client):
        zeek.reading.clear()
        ping = make_frame(PING, b"x" * 125) * 500
        for _ in range(400):
            if ours.ending.done():
                break
            client.send_bytes(ping)
            await asyncio.sleep(0)
        why = await asyncio.wait_for(ours.ending, 10)
        assert why.reason is Reason.BROKEN
        zeek.reading.set()


@BOTH
async def test_random_bytes(flavour):
    """Whatever bytes a server sends, the end is a `Lost`."""
    chance = random.Random(7)
    async with Zeek(flavour) as zeek:
        for _ in range(30):
            async with joined(zeek) as (ours, _, client):
                client.send_bytes(chance.randbytes(chance.randrange(1, 3000)))
                client.abort()
                await asyncio.wait_for(ours.ending, 5)


@pytest.mark.parametrize(
    ("reply", "reason", "hint"),
    [
        (b"", Reason.FULL, "100 clients"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.MISCONFIGURED, "no WebSocket server"),
        (b"\x15\x03\x03\x00\x02\x02\x28", Reason.MISCONFIGURED, "zeek.tls"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n", Reason.MISCONFIGURED, "400"),
        (b"HTTP/1.1 404 Not Found\r\n\r\nnothing", Reason.MISCONFIGURED, "404"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", Reason.MISCONFIGURED, "200 OK"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", Reason.REFUSED, "502"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", Reason.MISCONFIGURED, "Connection"),
        (b"HTTP/1.1 101 Switching\r\nUpgr", Reason.BROKEN, "within its HTTP reply"),
        (b"HTTP/1.1 101 S\r\nX: " + b"x" * 20_000, Reason.MISCONFIGURED, ""),
    ],
)
async def test_wrong_servers(reply, reason, hint):
    """A server that is none of Zeek's is recognised by how it answers."""

    async def answer(reader, writer):
        await reader.read(100)
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        why = await lost(socket_to(f"ws://127.0.0.1:{port}"))
    assert (why.reason, hint in str(why)) == (reason, True), str(why)


async def test_nobody_listens():
    """A refused connection says which port older Zeeks have."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    why = await lost(socket_to(f"127.0.0.1:{port}"))
    assert why.reason is Reason.REFUSED
    assert "9997" in str(why)


async def test_name_without_address():
    """A name that nobody knows is an attempt that failed, like any other."""
    why = await lost(socket_to("ws://zeek.invalid"))
    assert why.reason is Reason.REFUSED
    assert "zeek.invalid" in str(why)


async def test_wrong_path():
    """Both servers' ways to refuse a path point at the configuration."""
    for flavour in Flavour.CLUSTER, Flavour.BROKER:
        async with Zeek(flavour) as zeek:
            why = await lost(socket_to(f"{zeek.destination}/elsewhere"))
            assert why.reason is Reason.MISCONFIGURED


async def test_ipv6():
    """An IPv6 address is joined."""
    async with Zeek(address="::1") as zeek:
        transport, handler = socket_to(f"ws://[::1]:{zeek.port}"), Recorder()
        running = asyncio.create_task(lost(transport, handler))
        await asyncio.wait_for(handler.joined.wait(), 5)
        await transport.close(0.5)
        await running


async def test_reconnects_leave_nothing_behind():
    """A thousand connections, ended in all ways, leave no descriptor, task or memory behind."""
    chance, descriptors = random.Random(1), lambda: len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    async with Zeek() as zeek:
        before = None
        for number in range(1000):
            async with joined(zeek) as (ours, _, client):
                ours.publish("/t", "row", ((), (number,)))
                match chance.randrange(4):
                    case 0:
                        client.abort()
                    case 1:
                        client.close(1001)
                    case 2:
                        client.send_bytes(b"\xff" * 50)
                    case _:
                        await client.results("row", 1)
            zeek.clients.clear()
            if number == 100:
                gc.collect()
                before = (descriptors(), len(asyncio.all_tasks()), memory())
        await asyncio.sleep(0.1)
        gc.collect()
        assert descriptors() <= before[0] + 2
        assert len(asyncio.all_tasks()) <= before[1] + 2
        assert memory() - before[2] < 5
