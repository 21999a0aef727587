"""Tests of when queries are due."""

from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.schedule.timetable import next_due, phase

nows = st.floats(0, 1e8, allow_nan=False)
intervals = st.floats(0.05, 1e6)
shares = st.floats(0, 1, exclude_max=True)


@given(st.text())
def test_phase_is_a_share(agent_id):
    """A phase lies from 0 up to 1 and is the same each time."""
    assert 0 <= phase(agent_id) < 1
    assert phase(agent_id) == phase(agent_id)


def test_phases_differ():
    """A thousand hosts are spread over the interval."""
    tenths = {int(phase(f"H{number}") * 10) for number in range(1000)}
    assert tenths == set(range(10))


@given(nows, intervals, shares)
def test_next_is_the_next_point_of_the_grid(now, interval, share):
    """The next run lies on the grid, after now, and no point of the grid is left out."""
    due = next_due(now, interval, share)
    assert now < due <= now + interval * 1.0001
    steps = (due - share * interval) / interval
    assert abs(steps - round(steps)) < 1e-3


@given(nows, intervals, shares)
def test_second_run_is_not_too_near(now, interval, share):
    """Between the first run and the second lies at least half an interval."""
    due = next_due(now, interval, share, is_first=True)
    assert now + interval / 2 < due <= now + interval * 1.5001


@given(nows, intervals, shares)
def test_grid_does_not_drift(now, interval, share):
    """A timer that fires a hair early does not make a query run twice."""
    due = next_due(now, interval, share)
    again = next_due(due - interval * 1e-7, interval, share)
    assert again > due + interval * 0.99


def test_queries_of_one_interval_share_ticks():
    """Queries installed at different moments run at the same ones."""
    assert next_due(1001.0, 30, 0.25) == next_due(1019.5, 30, 0.25)
