"""Buffers of real calls of the Windows API, made under Wine, read by the pack's parsers."""

import pytest
from zeek_agent_windows._changes import Renames, parse_notifications
from zeek_agent_windows._native import AF_INET, AF_INET6
from zeek_agent_windows._sockets import parse_processes, parse_tcp, parse_udp

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif("sys.platform != 'linux'", reason="Wine is for Linux"),
]


def split(output):
    """Return the numbers in the first line, and what follows it."""
    line, _, table = output.partition(b"\n")
    return *map(int, line.split()), table


def test_processes(dump):
    """The process that takes the snapshot is in it, with its parent."""
    processes = {process.name: process for process in parse_processes(dump("processes"))}
    own = processes["dump.exe"]
    assert own.pid != own.ppid
    assert own.ppid in {process.pid for process in processes.values()} | {0}


@pytest.mark.parametrize(("word", "family"), [("4", AF_INET), ("6", AF_INET6)])
def test_tcp(dump, word, family):
    """A listening socket and both ends of a connection have their addresses and ports."""
    listening, connecting, pid, table = split(dump(f"tcp{word}"))
    found = [each.seen for each in parse_tcp(table, family)]
    loopback, anyone = ("127.0.0.1", "0.0.0.0") if word == "4" else ("::1", "::")
    shown = {(s.state, s.local_addr, s.local_port, s.remote_addr, s.remote_port) for s in found}
    assert ("LISTEN", loopback, listening, anyone, 0) in shown
    assert ("ESTABLISHED", loopback, connecting, loopback, listening) in shown
    assert ("ESTABLISHED", loopback, listening, loopback, connecting) in shown
    owners = {s.pid for s in found if listening in (s.local_port, s.remote_port)}
    assert owners <= {pid, None}, "Wine does not know all owners"


@pytest.mark.parametrize(("word", "family"), [("4", AF_INET), ("6", AF_INET6)])
def test_udp(dump, word, family):
    """A bound socket has its address, port and owner."""
    port, _, pid, table = split(dump(f"udp{word}"))
    loopback = "127.0.0.1" if word == "4" else "::1"
    (seen,) = [each.seen for each in parse_udp(table, family) if each.seen.local_port == port]
    assert (seen.local_addr, seen.protocol, seen.phase) == (loopback, 17, "listen")
    assert seen.pid in {pid, None}, "Wine does not know all owners"


def test_changes(dump):
    """A file that is made, renamed and removed gives its rows, whatever its name."""
    raw, buffers = dump("changes"), []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        buffers.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    renames = Renames()
    rows = [row for b in buffers for row in renames.rows("C:\\x\\", parse_notifications(b))]
    changes = [(r["syscall"], r["path"], r.get("destination")) for r in rows]
    assert changes[0] == ("create", "C:\\x\\mäde.txt", None)
    assert ("modify", "C:\\x\\mäde.txt", None) in changes
    assert ("rename", "C:\\x\\mäde.txt", "C:\\x\\renamed.txt") in changes
    assert changes[-1] == ("unlink", "C:\\x\\renamed.txt", None)
