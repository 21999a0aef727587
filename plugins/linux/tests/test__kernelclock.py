"""Times of the kernel's clocks."""

import time

from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._kernelclock import KernelClock


def test_now():
    """Now is now by both clocks, to a millisecond."""
    clock = KernelClock(BootTime("/proc"))
    before = time.time_ns() // 1000
    micros = clock.micros(clock.now())
    assert before - 1000 <= micros <= time.time_ns() // 1000 + 1000
    assert abs(clock.since_boot(time.monotonic_ns()) - clock.now()) < 1_000_000_000


def test_startup():
    """The start of a process is cut to a tick, and can be turned back."""
    clock = KernelClock(BootTime("/proc"))
    startup = clock.startup(5 * TICK + 17)
    assert startup is not None
    assert clock.started(startup) == 5 * TICK
    assert clock.startup(None) is None
