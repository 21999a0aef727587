"""How many events the kernel dropped, by what is missing among their numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit.gaps import Gaps


def counted(*steps):
    """Return what is counted at each step: newest number, events begun, whether it overflowed."""
    gaps = Gaps()
    return [gaps.count(newest, begun, has_overflowed=flag) for newest, begun, flag in steps]


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        ([(10, 10, False), (30, 20, False)], [0, 0]),
        ([(10, 10, False), (20, 15, True), (30, 20, False), (40, 21, False)], [0, 5, 5, 0]),
        ([(10, 10, False), (10, 10, True), (12, 11, False)], [0, 1, 0]),
        ([(10, 10, False), (10, 10, True), (10, 10, False), (15, 11, False)], [0, 1, 0, 3]),
        ([(10, 10, False), (11, 11, True), (12, 12, True), (20, 13, False)], [0, 1, 0, 6]),
        ([(0, 0, True), (50, 5, False)], [1, 0]),
    ],
)
def test_missing_numbers_are_counted(steps, counts):
    """Only after an overflow, each once, with the end of the gap; one at least."""
    assert counted(*steps) == counts


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_all_that_is_dropped_is_counted(batches):
    """Whatever comes and is dropped, in the end both together are all events."""
    gaps, newest, begun, told, dropped = Gaps(), 5, 5, 0, 0
    gaps.count(newest, begun, has_overflowed=False)
    for came, lost in batches:
        newest, begun, dropped = newest + came + lost, begun + came, dropped + lost
        told += gaps.count(newest, begun, has_overflowed=lost > 0)
    assert told == dropped
