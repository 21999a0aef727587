"""Lists of sockets below /proc/net."""

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._procnet import parse_address, parse_sockets
from zeek_agent_linux._sockdiag import Filter

HEAD = "  sl  local_address rem_address   st ...\n"
LINE = "   0: {}:0016 {}:D431 0A 00000000:00000000 00:00000000 00000000     0        0 1203 1 x\n"


@given(st.sampled_from([4, 16]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_address_is_in_network_order(packed):
    """The kernel prints each word of an address as it lies in memory."""
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    assert parse_address("".join(f"{word:08X}" for word in words)) == packed


def test_line_gives_a_socket():
    """All parts of a line arrive, ports in network order."""
    any_v4 = "00000000"
    expected = (10, socket.htons(22), socket.htons(0xD431), bytes(4), bytes(4), 1203)
    assert parse_sockets(HEAD + LINE.format(any_v4, any_v4), Filter()) == [expected]


@pytest.mark.parametrize("only", [Filter(states=2), Filter(local_port=23), Filter(remote_port=1)])
def test_unwanted_sockets_are_left_out(only):
    """States and ports select as they do in a request to the kernel."""
    assert parse_sockets(HEAD + LINE.format("00000000", "00000000"), only) == []


@given(st.text())
def test_garbage_raises_only_value_error(text):
    """Text that is no list of sockets is refused."""
    with contextlib.suppress(ValueError):
        parse_sockets(HEAD + text, Filter())
