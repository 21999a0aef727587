"""Tests of the ping window."""

from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.broker.window import (
    FIRST_EVENTS,
    MOST_BYTES,
    MOST_EVENTS,
    MOST_PINGS,
    Window,
)


def grown():
    """Return a window that has found the server quick."""
    window = Window()
    for _ in range(10):
        window.pong(window.ping(0.0, is_numbered=False), 0.01)
    return window


def fill(window, size=100):
    """Send events and pings until the window is full; return the pings."""
    pings = []
    while not window.is_full:
        if window.note_event(size):
            pings.append(window.ping(0.0, is_numbered=True))
    return pings


def test_four_pings():
    """Four pings of 500 events each fill the window; an answer confirms what was before it."""
    window = grown()
    pings = fill(window)
    assert (window.sent, len(pings), window.allowed) == (2000, MOST_PINGS, 0)
    window.pong(pings[0], 0.1)
    assert (window.confirmed, window.unconfirmed, window.is_full) == (500, 1500, False)


def test_bytes():
    """Large events need a ping for each 256 KiB."""
    window = grown()
    fill(window, size=100_000)
    assert window.sent == MOST_PINGS * 3


def test_skipped_answers():
    """An answer to a numbered ping also confirms what came before earlier ones."""
    window = grown()
    pings = fill(window)
    window.pong(pings[2], 0.1)
    assert window.confirmed == 1500
    window.pong(pings[0], 0.1)
    window.pong(b"unknown", 0.1)
    assert window.confirmed == 1500


def test_slow_server():
    """A server is first taken for slow; quick answers move the pings apart, slow ones together."""
    window = Window()
    assert len(fill(window)) == MOST_PINGS
    assert window.sent == MOST_PINGS * FIRST_EVENTS
    window = grown()
    assert window.events_per_ping == MOST_EVENTS
    for ping in fill(window):
        window.pong(ping, 3.0)
    assert window.events_per_ping == MOST_EVENTS // 2
    for ping in fill(window):
        window.pong(ping, 3.0)
    assert window.events_per_ping == MOST_EVENTS // 4


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3 * MOST_BYTES), st.floats(0, 10))))
def test_bounds(steps):
    """Never is more under way than the window holds, whatever the order of things."""
    window, open_pings = Window(), []
    for is_answer, size, seconds in steps:
        if is_answer and open_pings:
            window.pong(open_pings.pop(0), seconds)
        elif not window.is_full and window.note_event(size):
            open_pings.append(window.ping(0.0, is_numbered=False))
        assert 0 <= window.unconfirmed <= (MOST_PINGS + 1) * MOST_EVENTS
        assert len(open_pings) <= MOST_PINGS
        assert window.is_full == (len(open_pings) == MOST_PINGS)
