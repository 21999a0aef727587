"""Pure: how many events were dropped, by their numbers: each has the next one."""


class Gaps:
    """Counts after an overflow, until events come in without one again."""

    def __init__(self) -> None:
        """Nothing has been dropped."""
        self._newest = self._begun = 0
        self._since: tuple[int, int] | None = None
        self._told = 0

    def count(self, newest: int, begun: int, *, has_overflowed: bool) -> int:
        """Return how many events more than at the last call are known to be dropped.

        *newest* is the highest number so far, *begun* how many events came.
        """
        has_news = begun > self._begun
        if has_overflowed and self._since is None:
            self._since, self._told = (self._newest, self._begun), 0
        self._newest, self._begun = newest, begun
        if self._since is None:
            return 0
        first, before = self._since
        missing = newest - first - (begun - before) if first else 0
        more = max(missing - self._told, 0)
        if has_overflowed and self._told + more == 0:
            more = 1  # at least; which one shows later
        self._told += more
        if has_news and not has_overflowed:
            self._since = None
        return more
