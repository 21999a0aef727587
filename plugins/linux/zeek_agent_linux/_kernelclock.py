"""Turns times of the kernel's clocks into times that tables show."""

import time

from zeek_agent_linux._boottime import TICK, BootTime, clock_difference

SUSPENSION = 1_000_000
"""Nanoseconds by which the clocks differ at least more after the machine has slept."""


class KernelClock:
    """Nanoseconds since boot, as time since the epoch; `refresh` it before each batch."""

    def __init__(self, boot: BootTime) -> None:
        """Use *boot* for what must be the same in other tables."""
        self._boot = boot
        self._asleep = 0
        self.offset = 0
        """What to add to nanoseconds since boot for those since the epoch."""
        self.booted = 0
        """The same for the start of processes, as it is in other tables."""
        self.refresh()

    def refresh(self) -> None:
        """Follow the wall clock, which may have been set, and the time spent asleep."""
        self.offset = clock_difference()
        self.booted = self._boot()
        asleep = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
        if abs(asleep - self._asleep) > SUSPENSION:
            self._asleep = asleep

    def now(self) -> int:
        """Return nanoseconds since boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def since_boot(self, monotonic: int) -> int:
        """Return nanoseconds since boot for those of the monotonic clock, which sleeps too."""
        return monotonic + self._asleep

    def micros(self, since_boot: int) -> int:
        """Return microseconds since the epoch, for a column `time`."""
        return (since_boot + self.offset) // 1000

    def startup(self, since_boot: int | None) -> int | None:
        """Return nanoseconds since the epoch as `processes` shows the start of a process."""
        return None if since_boot is None else self.booted + since_boot // TICK * TICK

    def started(self, startup: int) -> int:
        """Return nanoseconds since boot for the `startup` of a process."""
        return startup - self.booted
