"""Announcements of the ends of sockets."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._sockends import TCP_GROUPS, Ending, Endings, parse
from zeek_agent_linux._tcpstates import Ends


def message(*, info=b"", protocol=6, family=socket.AF_INET, cut=0) -> bytes:
    """Return an announcement as the kernel lays it out."""
    address = socket.inet_pton(family, "10.0.0.1" if family == socket.AF_INET else "2001:db8::1")
    body = struct.pack("=BBBB", family, 7, 0, 0) + struct.pack("!HH", 80, 4000)
    body += address.ljust(16, b"\0") * 2 + bytes(72 - 8 - 32)
    attributes = struct.pack("=HHB3x", 5, 10, protocol)
    if info:
        attributes += struct.pack("=HH", 4 + len(info), 2) + info
    whole = body + attributes
    return (struct.pack("=IHHII", 16 + len(whole), 20, 0, 0, 0) + whole)[: len(whole) + 16 - cut]


def tcp_info(acked: int, received: int, sent: int, again: int) -> bytes:
    """Return a struct tcp_info with these counts."""
    return struct.pack("=120xQQ64xQQ", acked, received, sent, again) + bytes(64)


def test_tcp():
    """An announcement has the ends of the socket and its counts."""
    ending = parse(message(info=tcp_info(7, 8, 9, 4)))
    ends = Ends("IPv4", "10.0.0.1", 80, "10.0.0.1", 4000)
    assert ending == Ending(6, ends, acked=7, received=8, sent=5)


def test_udp_and_ipv6():
    """UDP has no counts; addresses of IPv6 are whole."""
    ending = parse(message(protocol=17, family=socket.AF_INET6))
    assert ending is not None
    assert (ending.protocol, ending.ends.local_addr, ending.acked) == (17, "2001:db8::1", None)
    assert ending.counts(has_opened=True) == (None, None)


def test_other_messages():
    """What is no announcement of an IP socket is passed over."""
    assert parse(struct.pack("=IHHII", 16, 3, 0, 0, 0)) is None
    raw = bytearray(message())
    raw[16] = socket.AF_UNIX
    assert parse(bytes(raw)) is None


@pytest.mark.parametrize("cut", [1, 4, 60, 90])
def test_truncated(cut):
    """An announcement that is cut is refused."""
    with pytest.raises(ValueError, match="truncated"):
        parse(message(info=tcp_info(1, 1, 1, 1))[:-cut])


@pytest.mark.parametrize(
    ("acked", "received", "sent", "has_opened", "counts"),
    [
        (7, 8, 5, True, (5, 7)),  # SYN, 5 bytes, FIN; 7 bytes, FIN
        (8, 6, 7, False, (7, 5)),  # the other side of it
        (2, 1, 0, True, (0, 0)),
        (1, 1, 0, False, (0, 0)),
        (0, 2, 0, False, (0, 2)),  # reset by the peer after two bytes
        (4, 0, 10, True, (4, 0)),  # reset before all was acknowledged
        (7, 8, None, True, (6, 8)),  # older kernels
    ],
)
def test_counts(acked, received, sent, has_opened, counts):
    """SYN and FIN are no bytes of data."""
    ending = Ending(6, Ends("IPv4", "", 0, "", 0), acked, received, sent)
    assert ending.counts(has_opened=has_opened) == counts


def test_real_connection():
    """The kernel announces both ends of a connection, with what was sent."""
    with Endings(TCP_GROUPS) as endings, socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        port = client.getsockname()[1]
        peer, _ = server.accept()
        client.sendall(b"hello")
        assert peer.recv(9) == b"hello"
        client.close()
        peer.close()
        found: list[Ending] = []
        while len(found) < 2:
            found += [
                e for e in endings.read(10) if port in {e.ends.local_port, e.ends.remote_port}
            ]
        assert {e.counts(has_opened=e.ends.local_port == port) for e in found} == {(5, 0), (0, 5)}
        assert endings.read(0) == []


@given(st.binary(max_size=300))
def test_any_bytes(raw):
    """Whatever bytes come, they are an announcement, passed over, or refused."""
    for each in (raw, message()[:16] + raw, message()[:88] + raw):
        try:
            parse(each)
        except ValueError:
            continue
