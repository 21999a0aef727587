"""Tests of ``sockets`` on macOS, with recorded buffers."""

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_macos import laptop
from zeek_agent_darwin import _libproc, sockets
from zeek_agent_darwin._sockets import parse_process, parse_socket
from zeek_agent_darwin.sockets import Sockets

from zeek_agent_core.api import TableError
from zeek_agent_core.host import Host
from zeek_agent_core.testing.conformance import check_table

NAMES = "pid, process, family, protocol, local_addr, local_port, remote_addr, remote_port, state"


def test_conforms():
    """The table keeps the rules that all tables keep."""
    check_table(Sockets(Host(), laptop()))


def test_rows(sql):
    """Each socket has one row, with the parent that shares it; others than IP have none."""
    rows = sql(f"SELECT {NAMES} FROM sockets", Sockets(Host(), laptop()))
    assert rows == [
        (100, "httpd", "IPv4", 6, "0.0.0.0", 80, "0.0.0.0", 0, "LISTEN"),
        (120, "httpd", "IPv4", 6, "192.0.2.5", 80, "198.51.100.7", 50123, "ESTABLISHED"),
        (300, "Safari", "IPv6", 6, "2001:db8::5", 51000, "2001:db8::1", 443, "SYN_SENT"),
        (
            300, "Safari", "IPv6", 6, "::ffff:192.0.2.5", 51001, "::ffff:198.51.100.9", 443,
            "CLOSE_WAIT",
        ),
        (400, "mDNSResponder", "IPv4", 17, "0.0.0.0", 5353, "0.0.0.0", 0, None),
        (400, "mDNSResponder", "IPv6", 17, "fe80::1", 5353, "::", 0, None),
        (500, "ping", "IPv4", 1, "0.0.0.0", 0, "0.0.0.0", 0, None),
    ]  # fmt: skip


def test_one_process(sql):
    """A condition on `pid` gives what filtering gives: a shared socket is the parent's."""
    table = Sockets(Host(), laptop())
    assert sql("SELECT local_port FROM sockets WHERE pid = 120", table) == [(80,)]
    assert sql("SELECT count(*) FROM sockets WHERE pid = 600", table) == [(0,)]


@given(st.binary(max_size=800))
def test_any_bytes(raw):
    """Whatever the system writes, parsing ends in a socket or in nothing."""
    parse_socket(raw)
    parse_process(raw)
    room = ctypes.sizeof(_libproc.SocketFdInfo)
    parse_socket(raw.ljust(room, b"\x02"))


def test_offered_on_macos_only():
    """The table is there on macOS, and says elsewhere what it lacks."""
    host = Host()
    host.platform = "darwin"
    (table,) = sockets.zeek_agent_tables(host)
    host.platform = "linux"
    assert sockets.zeek_agent_tables(host) == []
    with pytest.raises(TableError, match="cannot load libproc"):
        list(table.rows(_everything(table)))


def _everything(table):
    from zeek_agent_core.api import Where

    return Where(frozenset(column.name for column in table.columns))
