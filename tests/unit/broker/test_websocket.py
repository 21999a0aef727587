"""Tests of the WebSocket transport against the scripted Zeek."""

import asyncio
import json

import pytest

from tests.unit.broker.conftest import TOPICS, joined, lost, socket_to
from zeek_agent_core.broker.transport import Flavour, Reason
from zeek_agent_core.testing.zeek import Zeek

BOTH = pytest.mark.parametrize("flavour", [Flavour.CLUSTER, Flavour.BROKER])


@BOTH
async def test_joins(flavour):
    """A connection subscribes, names itself, and learns who answered."""
    async with Zeek(flavour) as zeek, joined(zeek) as (_, handler, client):
        assert client.topics == list(TOPICS)
        assert handler.peer.flavour is flavour
        assert b"X-Application-Name: zeek-agent/" in client.request
        assert b":H1\r\n" in client.request
        assert b"Extensions" not in client.request


@BOTH
async def test_events_pass_both_ways_in_order(flavour):
    """What is published arrives in its order, and so does what Zeek sends."""
    async with Zeek(flavour) as zeek, joined(zeek) as (transport, handler, client):
        for number in range(300):
            transport.publish("/t", "row", (("ctx",), (number, "ü\x0b\n")))
        rows = await client.results("row", 300)
        assert rows == [(number, "ü\x0b\n") for number in range(300)]
        client.hello()
        await handler.something()
        assert handler.events[0].name == "ZeekAgentAPI::zeek_hello_v1"
        assert handler.events[0].arguments[0] == "zeek_1"
    assert client.bad == []


@BOTH
async def test_close_delivers_first(flavour):
    """Closing sends and confirms what is queued, and says goodbye."""
    async with Zeek(flavour) as zeek, joined(zeek) as (transport, _, client):
        for number in range(2000):
            transport.publish("/t", "row", ((number,),))
        await transport.close()
        assert transport.stats.confirmed_events == 2000
        await asyncio.sleep(0.05)
        assert (client.count, client.close_code) == (2000, 1000)
        assert (await transport.ending).reason is Reason.CLOSED


@BOTH
async def test_last_events_are_confirmed_soon(flavour):
    """Events after which nothing follows are confirmed by a ping of their own."""
    async with Zeek(flavour) as zeek, joined(zeek) as (transport, _, _client):
        transport.publish("/t", "row", ((1,),))
        async with asyncio.timeout(2):
            while transport.stats.confirmed_events < 1:
                await asyncio.sleep(0.01)


async def test_no_ack():
    """A server that never acknowledges is given up."""
    async with Zeek(is_acking=False) as zeek:
        why = await lost(socket_to(zeek.destination))
    assert why.reason is Reason.SILENT
    assert "no ack" in str(why)


async def test_hundred_clients():
    """The 101st client of Zeek's own server learns that the listener is full."""
    async with Zeek(most_clients=1) as zeek, joined(zeek):
        why = await lost(socket_to(zeek.destination))
    assert why.reason is Reason.FULL
    assert "100 clients" in str(why)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"type":"error","code":"c\\vd","context":"x"}', "c\x0bd (x)"),
        (b'{"type":"error","code":"caf\xe9","context":""}', "caf\\xe9"),
        (b'{"type":"error","code":"7.2","message":"m"}', "7.2 (m)"),
    ],
)
async def test_reads_what_is_not_json(sent, expected):
    """Zeek's own kind of JSON, and bytes that are not UTF-8, are read."""
    async with Zeek() as zeek, joined(zeek) as (_, handler, client):
        client.send_raw(sent)
        await handler.something()
        assert handler.complaints[0].startswith(expected)


async def test_garbage_is_counted():
    """A message that nobody can read is counted, and the connection goes on."""
    async with Zeek() as zeek, joined(zeek) as (transport, handler, client):
        for garbage in (b"", b"{", b"[]", b"\xff" * 100, b'{"type":"data-message"}', b"nul"):
            client.send_raw(garbage)
        client.send_raw(b"\x00\x01", opcode=2)
        client.hello()
        await handler.something()
        assert transport.stats.extra == {"undecodable": 7}


async def test_undeclared_event():
    """An event that Zeek does not know costs a counted complaint that names it."""
    async with Zeek(declared=()) as zeek, joined(zeek) as (transport, handler, _):
        transport.publish("/t", "no_such", ())
        await handler.something()
        assert transport.stats.errors == 1
        assert "failed to create Zeek event" in handler.complaints[0]
        assert "no_such" in handler.complaints[0]


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (1000, "", Reason.CLOSED),
        (1001, "Terminating", Reason.GOING_DOWN),
        (1007, "", Reason.BROKEN),
        (1008, "policy", Reason.MISCONFIGURED),
        (1011, "Ping timeout", Reason.OVERRUN),
        (1011, "other", Reason.BROKEN),
    ],
)
async def test_close_codes(code, text, reason):
    """The code of a close frame decides what happens next."""
    async with Zeek() as zeek, joined(zeek) as (transport, _, client):
        client.close(code, text)
        assert (await transport.ending).reason is reason


@BOTH
async def test_break(flavour):
    """A connection that breaks off without a goodbye is reported as broken."""
    async with Zeek(flavour) as zeek, joined(zeek) as (transport, _, client):
        client.abort()
        assert (await transport.ending).reason is Reason.BROKEN


async def test_fragments():
    """A message in several frames is put together, a ping between them answered."""
    from zeek_agent_core.testing._frames import PING, TEXT, make_frame

    async with Zeek() as zeek, joined(zeek) as (_, handler, client):
        text = json.dumps({"type": "error", "code": "a", "context": "b"}).encode()
        client.send_bytes(make_frame(TEXT, text[:9], is_last=False))
        client.send_bytes(make_frame(PING, b"x"))
        client.send_bytes(make_frame(0, text[9:20], is_last=False))
        client.send_bytes(make_frame(0, text[20:]))
        await handler.something()
        assert handler.complaints[0].startswith("a (b)")
