"""Tests of ``socket_events`` on macOS: audit records of OpenBSM."""

import asyncio
import os
import socket
import struct
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_darwin import _bsm
from zeek_agent_darwin._bsm import Splitter, Truncated, parse_record
from zeek_agent_darwin.socket_events import PIPE, SocketEvents, socket_row

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings
from zeek_agent_core.testing.conformance import findings

SECONDS = 1_795_813_200
IDS = struct.pack(">7I", 501, 0, 20, 501, 20, 4711, 100012)


def record(event, *tokens, kind=_bsm.HEADER32):
    """Return a record."""
    wide = kind in (_bsm.HEADER64, _bsm.HEADER64_EX)
    middle = (
        struct.pack(">I4s", 4, b"\x7f\0\0\1")
        if kind in (_bsm.HEADER32_EX, _bsm.HEADER64_EX)
        else b""
    )
    end = middle + struct.pack(">QQ" if wide else ">II", SECONDS, 250)
    body = b"".join(tokens)
    size = 1 + 4 + 1 + 2 + 2 + len(end) + len(body) + 7
    head = struct.pack(">BIBHH", kind, size, 11, event, 0) + end
    return head + body + struct.pack(">BHI", _bsm.TRAILER, 0xB105, size)


SUBJECTS = {
    _bsm.SUBJECT32: IDS + bytes(8),
    _bsm.SUBJECT32_EX: IDS + bytes(4) + struct.pack(">I", 16) + bytes(16),
    _bsm.SUBJECT64: IDS + bytes(12),
    _bsm.SUBJECT64_EX: IDS + bytes(8) + struct.pack(">I", 4) + bytes(4),
}


def subject(kind=_bsm.SUBJECT32_EX):
    """Return who made the call."""
    return bytes([kind]) + SUBJECTS[kind]


def inet(address, port):
    """Return an address."""
    is_v6 = ":" in address
    raw = socket.inet_pton(socket.AF_INET6 if is_v6 else socket.AF_INET, address)
    kind, family = (_bsm.INET128, 26) if is_v6 else (_bsm.INET32, 2)
    return struct.pack(">BHH", kind, family, port) + raw


def returned(error, value):
    """Return how the call ended."""
    return struct.pack(">BBI", _bsm.RETURN32, error, value)


def argument(value):
    """Return the first argument."""
    return struct.pack(">BBIH", _bsm.ARGUMENT32, 1, value, 3) + b"fd\0"


CONNECT = record(32, argument(5), inet("198.51.100.7", 443), subject(), returned(36, 0xFFFFFFFF))
BIND = record(34, argument(6), inet("2001:db8::5", 8080), subject(), returned(0, 0))
ACCEPT = record(33, inet("198.51.100.9", 50123), subject(), returned(0, 7))
UNIX = record(32, struct.pack(">BH", _bsm.UNIX, 1) + b"/tmp/x\0", subject(), returned(0, 0))
OTHER = record(6152, subject(), returned(0, 0))
UNKNOWN = record(32, subject(), b"\xee" + bytes(40))
ALL = (CONNECT, BIND, ACCEPT, UNIX, OTHER, UNKNOWN)


def test_connect():
    """A connect has the peer; one that fails has its error number."""
    assert socket_row(parse_record(CONNECT)) == {
        "time": SECONDS * 10**6 + 250_000, "syscall": "connect", "pid": 4711, "auid": 501,
        "uid": 501, "euid": 0, "gid": 20, "egid": 20, "ses": 100012, "fd": 5, "success": False,
        "exit": -36, "family": 2, "remote_address": "198.51.100.7", "remote_port": 443,
    }  # fmt: skip


def test_bind_and_accept():
    """A bind has the local side, families as on Linux; an accept returns the new descriptor."""
    row = socket_row(parse_record(BIND))
    assert (row["family"], row["local_address"], row["local_port"]) == (10, "2001:db8::5", 8080)
    row = socket_row(parse_record(ACCEPT))
    assert (row["fd"], row["exit"], row["success"], row["remote_port"]) == (7, 7, True, 50123)


def test_others_have_no_row():
    """Unix sockets, other events and records without an address are left out."""
    assert [socket_row(parse_record(raw)) for raw in (UNIX, OTHER, UNKNOWN)] == [None] * 3


@pytest.mark.parametrize("kind", sorted(_bsm.HEADERS))
@pytest.mark.parametrize("who", SUBJECTS)
def test_all_layouts(kind, who):
    """Headers and subjects of both widths, with and without addresses, tell the same."""
    raw = record(34, inet("192.0.2.5", 80), subject(who), returned(0, 0), kind=kind)
    found = parse_record(raw)
    assert (found.event, found.time) == (34, SECONDS * 10**6 + 250_000)
    assert (found.pid, found.euid, found.session, found.port) == (4711, 0, 100012, 80)


def test_cut_records():
    """A record cut within a token is an error."""
    for end in range(1, len(CONNECT) - 7):
        try:
            parse_record(CONNECT[:end])
        except Truncated:
            continue
        assert end in boundaries()


def boundaries():
    """Return where one token of the connect ends and the next begins."""
    sizes = (18, 11, 9, 53, 6)
    return {sum(sizes[:count]) for count in range(1, 6)}


@given(st.lists(st.sampled_from(ALL), max_size=6), st.integers(1, 90))
def test_splitting(raws, size):
    """However the pipe cuts them, records come out whole."""
    stream, splitter = b"".join(raws), Splitter()
    found = [r for at in range(0, len(stream), size) for r in splitter.feed(stream[at : at + size])]
    assert found == raws
    assert splitter.damaged == 0


@given(st.binary(max_size=300))
def test_any_bytes(raw):
    """Any bytes end in records, a counted loss, or waiting for more."""
    table = SocketEvents(Host(), lambda _: None)
    source = table.sources[0](table)
    assert value_findings(table, source.rows(raw)) == []
    assert value_findings(table, source.rows(CONNECT[:18] + raw)) == []


def pipe(tmp_path):
    """Return a host with a FIFO in place of the device, and the end that a kernel would have."""
    path = tmp_path / PIPE.lstrip("/")
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    return Host(tmp_path), os.open(path, os.O_RDWR)


async def test_conforms(tmp_path):
    """The table keeps the rules that all tables keep, while records come."""
    host, kernel = pipe(tmp_path)
    os.write(kernel, b"".join(ALL))
    assert await findings(SocketEvents(host, lambda _: "/usr/bin/curl")) == []
    os.close(kernel)


async def test_events(tmp_path):
    """Records become rows with the program; all columns not said to be NULL are filled."""
    host, kernel = pipe(tmp_path)
    table = SocketEvents(host, lambda pid: "/usr/bin/curl" if pid == 4711 else None)
    rows = []
    async with asyncio.timeout(20), aclosing(table.events()) as events:
        os.write(kernel, b"".join(ALL))
        async for came in events:
            rows += came
            if len(rows) >= 3:
                break
    os.close(kernel)
    assert [(row["syscall"], row["exe"]) for row in rows] == [
        ("connect", "/usr/bin/curl"), ("bind", "/usr/bin/curl"), ("accept", "/usr/bin/curl"),
    ]  # fmt: skip
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


async def test_no_device(tmp_path):
    """Without the device the table says so."""
    with pytest.raises(Exception, match=r"no such file or directory .*/dev/auditpipe"):
        async for _ in SocketEvents(Host(tmp_path)).events():
            pass
