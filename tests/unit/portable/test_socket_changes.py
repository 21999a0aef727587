"""What happened to sockets between two looks."""

from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.portable.socket_changes import CLOSING, OPEN, OPENING, Seen, SocketChanges

LOCAL, PEER = "192.0.2.5", "198.51.100.7"


def tcp(state, port=50000, peer=443):
    """Return a TCP socket."""
    is_bare = state == "LISTEN"
    return Seen(
        7, "IPv4", 6, LOCAL, port, "0.0.0.0" if is_bare else PEER, 0 if is_bare else peer, state
    )


def udp(port, peer=0):
    """Return a UDP socket."""
    return Seen(7, "IPv4", 17, LOCAL, port, PEER if peer else "0.0.0.0", peer, None)


def told(*looks, opened=None):
    """Return state and direction of all changes of *looks*, one second apart."""
    changes = SocketChanges()
    changes.update(0, {})
    return [
        [(c.state, c.direction) for c in changes.update(second * 10**6, look, opened)]
        for second, look in enumerate(looks, 1)
    ]


def test_the_first_look_tells_nothing():
    """What is there at the start is no event; its end is one."""
    changes = SocketChanges()
    assert changes.update(1, {1: tcp("ESTABLISHED"), 2: tcp("LISTEN", 80)}) == []
    assert [c.state for c in changes.update(2, {})] == ["closed", "closed"]


def test_a_connection_that_is_opened():
    """It is told once it is established, and once more when it ends."""
    looks = [
        {1: tcp("SYN_SENT")}, {1: tcp("ESTABLISHED")}, {1: tcp("ESTABLISHED")},
        {1: tcp("FIN_WAIT_1")}, {1: tcp("TIME_WAIT")}, {},
    ]  # fmt: skip
    assert told(*looks) == [[], [("established", "out")], [], [("closed", "out")], [], []]


def test_a_connection_that_fails():
    """One that is gone before it was established has failed."""
    assert told({1: tcp("SYN_SENT")}, {}) == [[], [("failed", "out")]]


def test_a_connection_that_is_accepted():
    """It lives on a port that listens."""
    listening = {1: tcp("LISTEN", 80)}
    looks = [listening, {**listening, 2: tcp("ESTABLISHED", 80, 50123)}, listening, {}]
    assert told(*looks) == [
        [("listen", None)], [("established", "in")], [("closed", "in")], [("closed", None)],
    ]  # fmt: skip


def test_a_short_connection():
    """One that is seen only while it ends was established and is closed."""
    assert told({1: tcp("TIME_WAIT")}, {}) == [[("established", "out"), ("closed", "out")], []]


def test_udp():
    """A socket with a peer is a connection, one without listens."""
    looks = [{1: udp(53)}, {1: udp(53, 5353)}, {}]
    assert told(*looks) == [[("listen", None)], [("established", "out")], [("closed", "out")]]
    assert told({1: udp(0)}, {}) == [[], []]


def test_since():
    """The time since when a socket is there is the system's, if it knows."""
    changes = SocketChanges()
    changes.update(0, {})
    (known,) = changes.update(9, {1: tcp("ESTABLISHED")}, {1: 4})
    assert known.since == 4


sockets = st.builds(
    tcp, st.sampled_from(["LISTEN", "CLOSED", *sorted(OPENING | OPEN | CLOSING)]), st.integers(1, 3)
) | st.builds(udp, st.integers(0, 3), st.integers(0, 1))


@given(st.lists(st.dictionaries(st.integers(0, 5), sockets, max_size=5), max_size=12))
def test_every_end_had_a_beginning(looks):
    """A socket is closed after it was established or listened, never twice without another."""
    changes, state = SocketChanges(), {}
    changes.update(0, {})
    for now, look in enumerate([*looks, {}], 1):
        for change in changes.update(now, {key: s._replace(pid=key) for key, s in look.items()}):
            key = change.socket.pid
            if change.state == "closed":
                assert state.pop(key) in {"established", "listen"}
            elif change.state != "failed":
                assert state.get(key) != change.state
                state[key] = change.state
    assert not state, "all that began has ended"
