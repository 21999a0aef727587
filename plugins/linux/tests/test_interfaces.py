"""Tests of ``interfaces``."""

import json
import socket

from zeek_agent_linux import interfaces

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database


async def test_live_interfaces():
    """Each interface of the host has one row; loopback is known as such."""
    async with Database(interfaces.zeek_agent_tables(Host())) as db:
        rows = (
            await db.execute("SELECT name, number, mac, is_loopback, addresses FROM interfaces")
        ).rows
    names = dict(socket.if_nameindex())
    assert {row[1]: row[0] for row in rows} == names
    (loopback,) = [row for row in rows if row[3]]
    assert loopback[2] is None
    assert "127.0.0.1" in json.loads(loopback[4])["value"]


def test_only_on_the_host_itself(tmp_path):
    """With another root there are no interfaces to tell of."""
    assert interfaces.zeek_agent_tables(Host(tmp_path)) == []
