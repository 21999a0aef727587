"""When the system was booted: turns ticks since boot into time since the epoch.

The kernel counts a process's start from boot (``starttime`` in proc(5)), and
``btime`` in ``/proc/stat`` is cut to a second. The difference of two clocks is
exact, and moves only when the wall clock is set; so it is taken once, rounded
to a tick, and taken anew only after a jump.
"""

import os
import time
from collections.abc import Callable

from zeek_agent_linux import _procfs

SECOND = 1_000_000_000
TICK = SECOND // os.sysconf("SC_CLK_TCK")
"""Unit of the kernel's counts, in nanoseconds; rounding to it hides the jitter of the clocks."""
JUMP = SECOND // 2
"""A smaller change of the difference is no reason to change every process's start."""


def clock_difference() -> int:
    """Return nanoseconds from the epoch to boot, from the tightest of a few readings."""
    best, width = 0, SECOND
    for _ in range(5):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if after - before < width:
            best, width = wall - (before + after) // 2, after - before
    return best


class BootTime:
    """Nanoseconds from the epoch to boot, the same at each call unless the clock is set."""

    def __init__(self, proc: str, clock: Callable[[], int] = clock_difference) -> None:
        """Prefer *clock* if it agrees with ``stat`` below *proc*, which may be captured."""
        self._proc = proc
        self._clock = clock
        self._known: int | None = None

    def __call__(self) -> int:
        """Return nanoseconds from the epoch to boot."""
        precise = self._clock()
        if self._known is None or abs(self._known - precise) > JUMP:
            coarse = self._btime()
            # `btime` is at most a second and a rounding away from the clocks.
            if coarse is None or abs(coarse - precise) <= 2 * SECOND:
                self._known = (precise + TICK // 2) // TICK * TICK
            else:
                self._known = coarse
        return self._known

    def _btime(self) -> int | None:
        """Return boot time from ``/proc/stat``."""
        try:
            raw = _procfs.read_up_to(f"{self._proc}/stat", 1 << 20)
            return parse_btime(raw)
        except (OSError, ValueError):
            return None


def parse_btime(raw: bytes) -> int:
    """Return ``btime`` of ``/proc/stat``, in nanoseconds; `ValueError` if it is not there."""
    start = raw.index(b"\nbtime ") + 7
    return int(raw[start:].split(None, 1)[0]) * SECOND
