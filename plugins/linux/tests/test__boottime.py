"""When the system was booted."""

import pytest
from zeek_agent_linux._boottime import JUMP, SECOND, TICK, BootTime, clock_difference, parse_btime


@pytest.fixture
def proc(tmp_path):
    """Return a captured /proc."""
    (tmp_path / "stat").write_text("cpu 1\nbtime 1700000000\nprocesses 1\n")
    return str(tmp_path)


def test_clocks_add_the_fraction(proc):
    """The clocks are used where they agree with the kernel's whole seconds."""
    precise = 1700000000 * SECOND + 473_123_456
    assert BootTime(proc, lambda: precise)() == 1700000000 * SECOND + 470_000_000


def test_captured_time_is_kept(proc):
    """A captured /proc tells its own boot time."""
    assert BootTime(proc, lambda: 99 * SECOND)() == 1700000000 * SECOND


def test_jitter_does_not_change_it(proc):
    """Readings that differ by less than a jump give one and the same time."""
    readings = [1700000000 * SECOND + n for n in (0, 3_000, JUMP - 1, 900_000)]
    boot = BootTime(proc, lambda: readings.pop(0))
    assert len({boot() for _ in range(4)}) == 1


def test_setting_the_clock_changes_it(tmp_path):
    """After a jump of the wall clock it is taken anew; without stat the clocks stand alone."""
    readings = [5 * SECOND, 100 * SECOND]
    boot = BootTime(str(tmp_path), lambda: readings.pop(0))
    assert [boot(), boot()] == [5 * SECOND, 100 * SECOND]


def test_it_is_a_whole_tick():
    """Two runs of the agent agree, as jitter is rounded away."""
    assert BootTime("/proc")() % TICK == 0
    assert abs(clock_difference() - clock_difference()) < TICK


def test_text_without_btime_is_refused():
    """Missing text is an error, not a boot in 1970."""
    with pytest.raises(ValueError, match="not found"):
        parse_btime(b"cpu 1\n")
