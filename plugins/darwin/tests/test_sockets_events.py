"""Tests of ``sockets_events`` on macOS."""

import asyncio
from contextlib import aclosing

from scripted_macos import laptop, socket_of
from zeek_agent_darwin.sockets_events import LibprocSource, SocketsEvents

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings
from zeek_agent_core.testing.conformance import findings


def table(system, **settings):
    """Return the table on a scripted host."""
    return SocketsEvents(Host("/", {"sockets_events": settings}), system)


async def test_conforms():
    """The table keeps the rules that all tables keep."""
    assert await findings(table(laptop())) == []


def test_news():
    """New sockets, ended ones and those that changed give events with their owners."""
    system = laptop()
    made = table(system)
    source = LibprocSource(made)
    assert source.news() == []
    connected = socket_of(0xB1, "192.0.2.5", 51000, "198.51.100.1", 443, state="ESTABLISHED")
    system.sockets[300][7] = connected
    del system.sockets[120][5]
    system.add(700, "nc", {3: socket_of(0xE1, "0.0.0.0", 9999, state="LISTEN")}, uid=502)
    rows = source.news()
    assert value_findings(made, rows) == []
    shown = [(r["state"], r["direction"], r["process"], r["uid"], r["local_port"]) for r in rows]
    assert sorted(shown, key=str) == [
        ("closed", "in", "httpd", 70, 80),
        ("established", "out", "Safari", 501, 51000),
        ("listen", None, "nc", 502, 9999),
    ]
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert filled | set(made.origin.null) == {column.name for column in made.columns}


async def test_what_was_there_before():
    """With the setting `initial` the table begins with what is there."""
    made = table(laptop(), initial=True)
    async with asyncio.timeout(20), aclosing(made.events()) as events:
        async for rows in events:
            if rows:
                break
    assert {row["state"] for row in rows} == {"open"}
    assert {row["local_port"] for row in rows} == {80, 51001, 5353}


async def test_events_of_a_running_table():
    """The table tells of a socket that appears while it runs."""
    system = laptop()
    async with (
        asyncio.timeout(20),
        aclosing(table(system, interval=0.05).events()) as events,
    ):
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.2)
        system.add(700, "nc", {3: socket_of(0xE1, "0.0.0.0", 9999, state="LISTEN")})
        rows = await waiting
        while not rows:
            rows = await anext(events)
        assert [(row["state"], row["pid"]) for row in rows] == [("listen", 700)]
