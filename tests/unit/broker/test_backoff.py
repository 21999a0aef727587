"""Tests of the pauses between attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.broker.backoff import Backoff
from zeek_agent_core.broker.transport import Reason


def most(_low, high):
    """Stand for the longest pause."""
    return high


def test_doubles_up_to_a_minute():
    """Pauses may double with each failure, up to a minute."""
    backoff = Backoff(uniform=most)
    assert [backoff.pause(Reason.REFUSED) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("reason", [Reason.FULL, Reason.MISCONFIGURED])
def test_long_pauses(reason):
    """What does not pass by itself is tried again after up to five minutes."""
    backoff = Backoff(uniform=most)
    pauses = [backoff.pause(reason) for _ in range(10)]
    assert pauses[0] >= 5
    assert pauses[-1] == 300


def test_after_use():
    """After a connection that was of use, the fleet comes back within ten seconds."""
    backoff = Backoff(uniform=most)
    for _ in range(5):
        backoff.pause(Reason.REFUSED)
    assert backoff.pause(Reason.BROKEN, useful=61) == 10
    assert backoff.pause(Reason.REFUSED) == 2


def test_short_use_forgives_nothing():
    """A connection that breaks off within a minute does not reset the count."""
    backoff = Backoff(uniform=most)
    pauses = [backoff.pause(Reason.BROKEN, useful=5) for _ in range(7)]
    assert pauses[1:] == [2, 4, 8, 16, 32, 60]


def test_going_down():
    """A Zeek that ends on purpose gets at least five seconds."""
    assert Backoff(uniform=lambda low, _: low).pause(Reason.GOING_DOWN, useful=100) == 5


def test_scale():
    """The configured interval scales all pauses."""
    backoff = Backoff(mean=3, uniform=most)
    assert [backoff.pause(Reason.REFUSED) for _ in range(8)][-1] == 6


@given(st.lists(st.tuples(st.sampled_from(Reason), st.floats(0, 1e6))))
def test_bounds(ends):
    """Whatever happens, a pause is from nothing to five minutes."""
    backoff = Backoff()
    assert all(0 <= backoff.pause(reason, useful) <= 300 for reason, useful in ends)
