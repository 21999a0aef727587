"""How long to wait before the next attempt to connect.

Full jitter: a pause is anything from nothing to a bound that doubles with each
failure, so that a fleet which lost its Zeek does not return in one moment.
"""

import random
from collections.abc import Callable

from zeek_agent_core.broker.transport import Reason

USEFUL = 60.0
"""Seconds a connection must have been of use before failures are counted anew."""
_FAST = (1.0, 60.0)
BOUNDS = {Reason.FULL: (5.0, 300.0), Reason.MISCONFIGURED: (30.0, 300.0)}
"""First and last bound in seconds for what does not pass by itself."""
AFTER_USE = (0.0, 10.0)
AFTER_NOTICE = (5.0, 15.0)
"""When Zeek has said that it ends, it needs a while to be back."""
MEAN = 30.0
"""Mean pause in the long run, for which the numbers above are made."""

Uniform = Callable[[float, float], float]


class Backoff:
    """Counts the failures of one destination."""

    def __init__(self, mean: float = MEAN, uniform: Uniform = random.uniform) -> None:
        """Scale all pauses so that after many failures *mean* seconds are usual."""
        self.failures = 0
        self._scale = mean / MEAN
        self._uniform = uniform

    def pause(self, reason: Reason, useful: float = 0.0) -> float:
        """Return the seconds to wait after a connection was of use for *useful* seconds."""
        if useful >= USEFUL * min(self._scale, 1.0):
            self.failures = 0
        base, most = BOUNDS.get(reason, _FAST)
        bounds = (0.0, min(most, base * 2.0 ** min(self.failures, 16)))
        if reason is Reason.GOING_DOWN:
            bounds = AFTER_NOTICE
        elif useful > 0 and not self.failures:
            bounds = AFTER_USE
        self.failures += 1
        return self._scale * self._uniform(*bounds)
