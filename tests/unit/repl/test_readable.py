"""Tests of times and intervals for people."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.repl.readable import duration, moment

SECOND = 10**9


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (999, "999ns"), (1500, "1.5us"), (12_340_000, "12.3ms"),
        (1_500_000_000, "1.5s"), (59 * SECOND, "59s"), (61 * SECOND, "1m 01s"),
        (3661 * SECOND, "1h 01m 01s"), (90_061 * SECOND, "1d 01h 01m"), (-1500, "-1.5us"),
    ],
)  # fmt: skip
def test_duration(nanoseconds, text):
    """Intervals have the units that fit."""
    assert duration(nanoseconds) == text


def test_startup():
    """An interval since the epoch, as processes have it, is shown as the time it stands for."""
    assert duration(1_700_000_000 * SECOND) == moment(1_700_000_000_000_000)


def test_moment(monkeypatch):
    """Times are in the local zone."""
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert moment(1_646_252_056_999_999) == "2022-03-02 22:14:16"
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.integers(-(2**63), 2**63 - 1))
def test_always_a_short_text(number):
    """Every value has a text, and a short one."""
    assert len(duration(number)) <= 25
    assert len(moment(number)) <= 25
