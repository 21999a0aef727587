"""Interfaces as psutil tells of them on each system."""

import socket
from types import SimpleNamespace

import pytest

from zeek_agent_core.host import Host
from zeek_agent_core.portable import interfaces
from zeek_agent_core.portable.interfaces import Interfaces
from zeek_agent_core.testing.conformance import check_table

LINK = 18


class Scripted:
    """What psutil says on a Windows host."""

    AF_LINK = LINK

    def net_if_addrs(self):
        """Return addresses of two interfaces."""
        entry = SimpleNamespace
        return {
            "Ethernet": [
                entry(family=LINK, address="00-1A-2B-3C-4D-5E", netmask=None),
                entry(family=socket.AF_INET, address="192.0.2.7", netmask="255.255.255.0"),
                entry(family=socket.AF_INET6, address="fe80::1%4", netmask=None),
            ],
            "Loopback Pseudo-Interface 1": [
                entry(family=socket.AF_INET, address="127.0.0.1", netmask="255.0.0.0")
            ],
        }

    def net_if_stats(self):
        """Return the state of both."""
        return {
            "Ethernet": SimpleNamespace(isup=True, flags="", mtu=1500, speed=1000),
            "Loopback Pseudo-Interface 1": SimpleNamespace(
                isup=True, flags="", mtu=1500, speed=1073
            ),
        }


def test_conforms():
    """The table keeps the rules that all tables keep."""
    check_table(Interfaces(Host(), Scripted()))


def test_windows(sql):
    """Without flags the state is known all the same, and addresses look as elsewhere."""
    names = "name, mac, is_up, is_loopback, speed, addresses"
    rows = sql(f"SELECT {names} FROM interfaces", Interfaces(Host(), Scripted()))
    ethernet, loopback = rows
    assert ethernet[:5] == ("Ethernet", "00:1a:2b:3c:4d:5e", 1, 0, 1000)
    assert '"fe80::1"' in ethernet[5]
    assert loopback[1:4] == (None, 1, 1)


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
