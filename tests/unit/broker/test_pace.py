"""Tests of the bound on the rate."""

import pytest

from zeek_agent_core.broker.pace import LEAST, Pace


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


def test_free():
    """Without trouble there is no bound."""
    pace = Pace()
    pace.spend(10**9)
    assert pace.allowance() is None


def test_halved_and_restored():
    """Trouble halves the rate, which grows back within minutes until it is free."""
    clock = Clock()
    pace = Pace(clock)
    pace.halve(1000)
    assert pace.allowance() == 0
    sent = 0
    for _ in range(100):
        clock.now += 0.1
        allowed = pace.allowance()
        pace.spend(allowed)
        sent += allowed
    assert sent == pytest.approx(10 * 500, rel=0.1)
    clock.now = 75
    pace.allowance()
    assert 900 < pace.rate < 1100
    clock.now = 1000
    assert pace.allowance() is None


def test_halved_again():
    """Trouble while bound halves the bound, down to the least."""
    pace = Pace(Clock())
    pace.halve(1000)
    pace.halve(1e6)
    assert pace.rate == 250
    for _ in range(10):
        pace.halve(1)
    assert pace.rate == LEAST
    assert 0 < pace.wait() < 1
