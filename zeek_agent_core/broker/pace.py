"""How many events per second one Zeek gets, after it could not keep up."""

import math
from collections.abc import Callable
from time import monotonic

LEAST = 20.0
"""Events per second that no Zeek is too slow for."""
RECOVERY = 1.1
"""Growth of the rate in each `STEP` seconds without trouble."""
STEP = 10.0
FREE = 8.0
"""Growth at which the bound is given up."""


class Pace:
    """A bound on the rate that is halved on trouble, and slowly restored."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """Begin without a bound."""
        self.rate = math.inf
        self._now = now
        self._since = 0.0
        self._halved = math.inf
        self._credit = 0.0
        self._last = 0.0

    def halve(self, observed: float) -> None:
        """Allow half of what was allowed, or of the *observed* events per second."""
        self.rate = self._halved = max(min(self.rate, observed) / 2, LEAST)
        self._since = self._last = self._now()
        self._credit = 0.0

    def allowance(self) -> int | None:
        """Return how many events may be sent now; None if there is no bound."""
        if self.rate == math.inf:
            return None
        now = self._now()
        grown = RECOVERY ** ((now - self._since) / STEP)
        if grown > FREE:
            self.rate = math.inf
            return None
        self.rate = self._halved * grown
        self._credit = min(self._credit + (now - self._last) * self.rate, max(self.rate, 1.0))
        self._last = now
        return int(self._credit)

    def spend(self, events: int) -> None:
        """Note that *events* were sent."""
        if self.rate != math.inf:
            self._credit -= events

    def wait(self) -> float:
        """Return the seconds until something may be sent again."""
        return 0.0 if self.rate == math.inf else max((1.0 - self._credit) / self.rate, 0.01)
