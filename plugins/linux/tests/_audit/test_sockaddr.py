"""Addresses of sockets in audit records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit.sockaddr import SocketAddress, parse_sockaddr

UNIX_108 = "0100" + b"/run/x.sock".hex() + "00" * 97


@pytest.mark.parametrize(
    ("digits", "address"),
    [
        ("02009AD37F0000010000000000000000", SocketAddress(2, "127.0.0.1", 39635)),
        ("020000007F0000010000000000000000", SocketAddress(2, "127.0.0.1", 0)),
        ("02009ad37f000001", SocketAddress(2, "127.0.0.1", 39635)),
        (
            "0A000000000000000000000000000000000000000000000100000000",
            SocketAddress(10, "::1", 0),
        ),
        (
            "0A0000350000000000000000000000000000FFFF0A00000100000000",
            SocketAddress(10, "10.0.0.1", 53),
        ),
        (
            "0A00003500000000FE80000000000000000000000000000102000000",
            SocketAddress(10, "fe80::1", 53),
        ),
        ("01002F72756E2F782E736F636B00", SocketAddress(1, "/run/x.sock")),
        ("01002F72756E2F782E736F636B", SocketAddress(1, "/run/x.sock")),
        (UNIX_108, SocketAddress(1, "/run/x.sock")),
        ("0100006162630000", SocketAddress(1, "@abc")),
        ("0100", SocketAddress(1)),
        ("10000000000000000000000000", SocketAddress(16)),
        ("0200", SocketAddress(2)),
        ("02009AD37F00", SocketAddress(2)),
        ("0A00", SocketAddress(10)),
        ("00", None),
        ("", None),
        ("zz", None),
        (None, None),
    ],
)
def test_addresses_are_read_by_family(digits, address):
    """The family decides, whatever the length; what is cut off is not known."""
    assert parse_sockaddr(digits) == address


@given(st.binary(max_size=130))
def test_any_bytes_are_read(raw):
    """Whatever the bytes, there is an address of their family, or none."""
    found = parse_sockaddr(raw.hex())
    assert (found is None) == (len(raw) < 2)
