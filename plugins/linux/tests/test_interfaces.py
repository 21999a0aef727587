"""Tests of ``interfaces``."""

import json
import socket
from types import SimpleNamespace

import pytest
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


@pytest.mark.parametrize(
    ("address", "mask", "network"),
    [
        ("192.0.2.7", "255.255.255.0", "192.0.2.0/24"),
        ("fe80::1", "ffff:ffff:ffff:ffff::", "fe80::/64"),
        ("192.0.2.7", None, None),
    ],
)
def test_network(address, mask, network):
    """Masks of both families become networks."""
    assert interfaces.network(address, mask) == network


def test_addresses_lose_their_scope():
    """The zone of a link-local address is cut."""
    entry = SimpleNamespace(family=socket.AF_INET6, address="fe80::1%eth0", netmask=None)
    assert list(interfaces.ip_addresses([entry])) == [("fe80::1", None)]


def test_only_on_the_host_itself(tmp_path):
    """With another root there are no interfaces to tell of."""
    assert interfaces.zeek_agent_tables(Host(tmp_path)) == []
