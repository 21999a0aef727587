"""Messages of sock_diag(7)."""

import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _sockdiag
from zeek_agent_linux._sockdiag import Filter

PORTS = st.integers(0, 65535)
SOCKETS = st.lists(
    st.tuples(
        st.integers(0, 255),
        PORTS,
        PORTS,
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=16, max_size=16),
        st.integers(0, 2**32 - 1),
        st.sampled_from([0, 4, 8, 36]),
    ),
    max_size=30,
)
DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)


def message(*values):
    """Return a message with the values of a socket and so many bytes of attributes."""
    state, sport, dport, local, remote, inode, extra = values
    body = struct.pack(
        "=BBBBHH16s16sIQIIIII",
        10,
        state,
        0,
        0,
        sport,
        dport,
        local,
        remote,
        0,
        1,
        0,
        0,
        0,
        0,
        inode,
    )
    return struct.pack("=IHHII", 88 + extra, 20, 2, 1, 0) + body + b"\xff" * extra


def parse(raw, family=socket.AF_INET6):
    """Return the sockets in a buffer and whether the dump ends in it."""
    found = []
    is_done = _sockdiag.parse_messages(memoryview(raw), family, found)
    return found, is_done


@given(SOCKETS, st.booleans())
def test_parsing_undoes_packing(sockets, ends):
    """Every socket comes back, whatever attributes follow it and whether the dump ends."""
    raw = b"".join(message(*each) for each in sockets) + (DONE if ends else b"")
    assert parse(raw) == ([each[:-1] for each in sockets], ends)


@given(SOCKETS.filter(bool), st.data())
def test_truncated_input_is_refused_or_a_prefix(sockets, data):
    """A buffer cut anywhere gives the first sockets, and an error unless cut between two."""
    raw = b"".join(message(*each) for each in sockets)
    found = []
    cut = data.draw(st.integers(0, len(raw) - 1))
    with contextlib.suppress(ValueError):
        _sockdiag.parse_messages(memoryview(raw[:cut]), socket.AF_INET6, found)
    assert found == [each[:-1] for each in sockets][: len(found)]


@given(st.binary(max_size=400))
def test_garbage_raises_expected_errors_only(raw):
    """Bytes that are no netlink messages end in ValueError or OSError, if in any."""
    with contextlib.suppress(ValueError, OSError):
        parse(raw)


def test_ipv4_address_takes_four_bytes():
    """Only the first word of an IPv4 address counts, alone or among other sizes."""
    one = message(1, 2, 3, b"\x7f\0\0\1" + b"x" * 12, b"\x0a\0\0\2" + b"y" * 12, 9, 0)
    two = message(1, 2, 3, b"\x7f\0\0\1" + b"x" * 12, b"\x0a\0\0\2" + b"y" * 12, 9, 36)
    expected = (1, 2, 3, b"\x7f\0\0\1", b"\x0a\0\0\2", 9)
    assert parse(one, socket.AF_INET)[0] == [expected]
    assert parse(one + two, socket.AF_INET)[0] == [expected, expected]


@pytest.mark.parametrize("kind", [2, 3])
def test_error_of_the_kernel_is_raised(kind):
    """An error is reported by a message of its own, or as status of the end of the dump."""
    with pytest.raises(FileNotFoundError):
        parse(struct.pack("=IHHIIi", 20, kind, 2, 1, 0, -errno.ENOENT))


def test_request_selects_states_and_ports():
    """States and ports lie where the kernel looks for them."""
    raw = _sockdiag.request(socket.AF_INET, 6, Filter(1 << 10, 80, 0x1234), 7)
    assert len(raw) == 72
    assert struct.unpack_from("=IHHII", raw) == (72, 20, 0x301, 7, 0)
    assert struct.unpack_from("=BBBxI", raw, 16) == (2, 6, 0, 1 << 10)
    assert struct.unpack_from(">HH", raw, 24) == (80, 0x1234)


def test_kernel_lists_a_socket_of_ours():
    """A listener made here is found by its port alone."""
    with socket.create_server(("127.0.0.1", 0)) as server, _sockdiag.connect() as netlink:
        port = server.getsockname()[1]
        found = _sockdiag.dump(netlink, socket.AF_INET, 6, Filter(1 << 10, port))
    assert [socket.ntohs(each[1]) for each in found] == [port]
    assert found[0][3] == b"\x7f\0\0\1"


def test_answers_to_an_earlier_request_are_dropped():
    """A dump reads past what an abandoned one left behind."""
    with socket.create_server(("127.0.0.1", 0)) as server, _sockdiag.connect() as netlink:
        netlink.send(_sockdiag.request(socket.AF_INET, 17, Filter(), 0xFFFFFFF0))
        found = []
        while not found:
            try:
                found = _sockdiag.dump(
                    netlink, socket.AF_INET, 6, Filter(1 << 10, server.getsockname()[1])
                )
            except BlockingIOError:  # one dump at a time: the kernel was still busy
                continue
    assert len(found) == 1
