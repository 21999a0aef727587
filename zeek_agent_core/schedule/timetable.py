"""Pure: when a query is due next."""

import hashlib


def phase(agent_id: str) -> float:
    """Return where in an interval a host runs its queries, from 0 up to 1.

    Hosts differ, so that a thousand of them do not all answer at once; one
    host always has the same, so that its queries of one interval share ticks.
    """
    digest = hashlib.blake2b(agent_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def next_due(now: float, interval: float, share: float, *, is_first: bool = False) -> float:
    """Return the first moment after *now* on the host's grid of *interval* seconds.

    *share* is the host's phase. After its first run a query skips a moment
    that is nearer than half an interval.
    """
    offset = share * interval
    least = now + (interval / 2 if is_first else interval * 1e-6)
    ticks = (least - offset) // interval + 1
    return float(ticks * interval + offset)
