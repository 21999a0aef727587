"""Rows of ``socket_events`` from events, with the values that the kernel gives."""

import pytest
from zeek_agent_linux._audit.lookup import Ends
from zeek_agent_linux._audit.records import CWD, PATH, SOCKADDR
from zeek_agent_linux._audit.socket_rows import complete, socket_row

LOCAL = "saddr=02009AD37F0000010000000000000000"
SEEN = ("family", "local_address", "local_port", "remote_address", "remote_port", "protocol")


def seen(row):
    """Return the columns on the socket itself."""
    return tuple(row.get(name) for name in SEEN)


@pytest.mark.parametrize(
    ("call", "address", "expected"),
    [
        (
            "syscall=49 success=yes exit=0 a0=3",
            "saddr=020000007F0000010000000000000000",
            ("bind", 3, 2, "127.0.0.1", 0, None, None, None),
        ),
        (
            "syscall=42 success=yes exit=0 a0=4", LOCAL,
            ("connect", 4, 2, None, None, "127.0.0.1", 39635, None),
        ),
        (
            "syscall=42 success=no exit=-115 a0=7",
            "saddr=020000017F0000010000000000000000",
            ("connect", 7, 2, None, None, "127.0.0.1", 1, None),
        ),
        (
            "syscall=49 success=yes exit=0 a0=3",
            "saddr=0A000000000000000000000000000000000000000000000100000000",
            ("bind", 3, 10, "::1", 0, None, None, None),
        ),
        (
            "syscall=288 success=yes exit=5 a0=3",
            "saddr=02008FD27F0000010000000000000000",
            ("accept4", 5, 2, None, None, "127.0.0.1", 36818, None),
        ),
        (
            "syscall=43 success=no exit=-11 a0=3", "saddr=",
            ("accept", None, None, None, None, None, None, None),
        ),
        (
            "syscall=49 success=no exit=-9 a0=ffffffffffffffff", "saddr=10000000",
            ("bind", None, 16, None, None, None, None, None),
        ),
    ],
)  # fmt: skip
def test_the_recorded_side_is_told(event, call, address, expected):
    """A call names the peer, or with bind this side; what is not recorded is NULL."""
    row = socket_row(event(call, (SOCKADDR, address)))
    assert (row["syscall"], row["fd"], *seen(row)) == expected


def test_failures_are_literal(event):
    """A connection that is under way has not succeeded; the error number tells it apart."""
    row = socket_row(event("syscall=42 success=no exit=-115 a0=7", (SOCKADDR, LOCAL)))
    assert (row["success"], row["exit"]) == (False, -115)


def test_unix_sockets_have_paths(event):
    """The path of a Unix socket stands where addresses stand."""
    row = socket_row(
        event(
            "syscall=42 success=no exit=-2 a0=6",
            (SOCKADDR, "saddr=01002F72756E2F782E736F636B00"),
            (CWD, 'cwd="/"'),
            (PATH, 'item=0 name="/run/x.sock" nametype=UNKNOWN'),
        )
    )
    assert seen(row) == (1, None, None, "/run/x.sock", None, None)


def test_other_calls_give_no_row(event):
    """Calls on other things are no business of the table."""
    assert socket_row(event("syscall=59 success=yes exit=0")) is None


def test_the_other_side_is_filled_in(event):
    """What the socket tells later completes the row, as long as it is the same socket."""
    row = socket_row(event("syscall=42 success=yes exit=0 a0=4", (SOCKADDR, LOCAL)))
    complete(row, Ends(2, 6, ("127.0.0.1", 5000), ("127.0.0.1", 39635)))
    assert seen(row) == (2, "127.0.0.1", 5000, "127.0.0.1", 39635, 6)


def test_the_port_of_a_bind_is_filled_in(event):
    """A port that the kernel chose is known afterwards; a peer is none of bind's business."""
    row = socket_row(
        event("syscall=49 success=yes exit=0 a0=3", (SOCKADDR, "saddr=020000007F000001"))
    )
    complete(row, Ends(2, 17, ("127.0.0.1", 5000), ("10.0.0.1", 53)))
    assert seen(row) == (2, "127.0.0.1", 5000, None, None, 17)


@pytest.mark.parametrize(
    "ends",
    [
        None,
        Ends(2, 6, ("127.0.0.1", 5000), ("127.0.0.1", 1)),
        Ends(2, 6, ("127.0.0.1", 5000), None),
        Ends(2, 6, None, None),
    ],
)
def test_another_socket_fills_in_nothing(event, ends):
    """A descriptor that is gone, or used for something else by now, leaves NULL."""
    row = socket_row(event("syscall=42 success=yes exit=0 a0=4", (SOCKADDR, LOCAL)))
    complete(row, ends)
    assert seen(row) == (2, None, None, "127.0.0.1", 39635, None)


def test_a_connection_under_way_has_a_local_end(event):
    """As long as there is no peer yet, this end is known all the same."""
    row = socket_row(event("syscall=42 success=no exit=-115 a0=7", (SOCKADDR, LOCAL)))
    complete(row, Ends(2, 6, ("127.0.0.1", 5000), None))
    assert seen(row) == (2, "127.0.0.1", 5000, "127.0.0.1", 39635, 6)


def test_an_accepted_socket_without_address_is_looked_up(event):
    """Many programs do not ask for the peer's address, so the kernel records none."""
    row = socket_row(event("syscall=288 success=yes exit=5 a0=3"))
    complete(row, Ends(10, 6, ("::1", 80), ("::1", 5000)))
    assert seen(row) == (10, "::1", 80, "::1", 5000, 6)
    row = socket_row(event("syscall=288 success=yes exit=5 a0=3"))
    complete(row, Ends(1, 0, None, None))
    assert seen(row) == (1, None, None, None, None, None)
