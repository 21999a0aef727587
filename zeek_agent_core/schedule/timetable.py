"""Pure: when a query is due next."""

import hashlib
import math


def phase(agent_id: str) -> float:
    """Return where in an interval a host runs its queries, from 0 up to 1.

    Hosts differ, so that a thousand of them do not all answer at once; one
    host always has the same, so that its queries of one interval share ticks.
    """
    digest = hashlib.blake2b(agent_id.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def next_due(now: float, interval: float, share: float, *, is_first: bool = False) -> float:
    """Return the first moment after *now* on the host's grid of *interval* seconds.

    *share* is the host's phase. After its first run a query skips a moment
    that is nearer than half an interval.
    """
    offset = share * interval
    least = now + interval / 2 if is_first else now
    tick = math.floor((least - offset) / interval) + 1
    # A timer may fire, and a quotient may be rounded, a hair before the moment meant.
    while tick * interval + offset <= least + interval * 1e-6:
        tick += 1
    return tick * interval + offset
