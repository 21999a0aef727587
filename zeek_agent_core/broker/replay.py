"""Pure: what was sent without being confirmed, or came while Zeek was away.

A connection numbers its events from 1, in the order in which they are handed
to the transport. An answered ping confirms all up to one number. What is not
confirmed when the connection ends is sent again on the next one, so Zeek may
see it twice, never not at all, unless a backlog had to drop rows: those are
counted.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from zeek_agent_core.query import Change, ResultColumn, ResultRow

_SAMPLED = 8
_ROW_BYTES, _CELL_BYTES = 56, 32


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """Bounds of what is kept for Zeek."""

    rows: int = 10_000
    """Rows kept for one query."""
    query_bytes: int = 8 << 20
    """About how much memory they may take."""
    total_bytes: int = 64 << 20
    """The same for all queries of one connection."""
    grace: float = 300.0
    """Seconds for which queries go on while their Zeek is away."""


class Budget:
    """What all backlogs of a connection hold together."""

    def __init__(self, limits: ReplayLimits) -> None:
        """Start with nothing."""
        self.limits = limits
        self.used = 0


@dataclass(slots=True)
class Batch:
    """Rows of one run with the same change."""

    change: Change | None
    columns: tuple[ResultColumn, ...]
    rows: Sequence[ResultRow]
    collected: int
    """When the run began, in nanoseconds since the epoch."""
    last: int | None = None
    """Number of the event of the last row on this connection; None if it is not sent."""
    confirmed: int = 0
    """How many of the rows are confirmed."""


class Backlog:
    """The rows of one query that Zeek may not have."""

    def __init__(self, budget: Budget) -> None:
        """Take the bounds, and share the total, of *budget*."""
        self._budget = budget
        self._batches: deque[tuple[Batch, int]] = deque()
        self._at_risk = (0, 0)
        self.rows = 0
        self.bytes = 0
        self.lost = 0
        """Rows that Zeek will not get: dropped while it was away, or perhaps not received."""

    def add(self, batch: Batch) -> None:
        """Keep *batch* until it is confirmed; the oldest rows give way to it."""
        limits = self._budget.limits
        each = _row_bytes(batch.rows)
        self._batches.append((batch, each))
        self._count(len(batch.rows), each)
        while self._batches and self._is_full():
            surplus = max(
                self.bytes - limits.query_bytes, self._budget.used - limits.total_bytes, 0
            )
            self._give_way(max(self.rows - limits.rows, -(-surplus // each), 1))

    def confirm(self, upto: int) -> None:
        """Forget what the events up to number *upto* carried."""
        while self._batches:
            batch, each = self._batches[0]
            if batch.last is None:
                break
            done = min(len(batch.rows), len(batch.rows) - (batch.last - upto))
            if done < len(batch.rows):
                batch.confirmed = max(batch.confirmed, done)
                break
            self._batches.popleft()
            self._count(-len(batch.rows), each)
        if self._at_risk[0] <= upto:
            self._at_risk = (0, 0)

    def disconnected(self) -> None:
        """Take all that is not confirmed for unsent."""
        self.lost += self._at_risk[1]
        self._at_risk = (0, 0)
        for batch, each in self._batches:
            if batch.confirmed:
                self._count(-batch.confirmed, each)
                batch.rows = batch.rows[batch.confirmed :]
            batch.last, batch.confirmed = None, 0

    def unsent(self) -> list[Batch]:
        """Return what is to be sent, oldest first; the caller numbers it."""
        return [batch for batch, _ in self._batches if batch.last is None]

    def take_lost(self) -> int:
        """Return the number of rows lost since the last call."""
        lost, self.lost = self.lost, 0
        return lost

    def clear(self) -> None:
        """Let everything go."""
        self._budget.used -= self.bytes
        self._batches.clear()
        self.rows = self.bytes = 0
        self._at_risk = (0, 0)

    def _is_full(self) -> bool:
        limits = self._budget.limits
        is_over = self.rows > limits.rows or self.bytes > limits.query_bytes
        return is_over or self._budget.used > limits.total_bytes

    def _count(self, rows: int, each: int) -> None:
        self.rows += rows
        self.bytes += rows * each
        self._budget.used += rows * each

    def _give_way(self, count: int) -> None:
        """Drop *count* rows of the oldest batch, or all of it."""
        batch, each = self._batches[0]
        count = min(count, len(batch.rows))
        unconfirmed = max(count - batch.confirmed, 0)
        if batch.last is None:
            self.lost += count
        elif unconfirmed:
            self._at_risk = (batch.last, self._at_risk[1] + unconfirmed)
        if count == len(batch.rows):
            self._batches.popleft()
        else:
            batch.rows = batch.rows[count:]
            batch.confirmed = max(batch.confirmed - count, 0)
        self._count(-count, each)


def _row_bytes(rows: Sequence[ResultRow]) -> int:
    """Return about how much memory one of *rows* takes."""
    step = max(len(rows) // _SAMPLED, 1)
    sample = rows[::step]
    texts = sum(len(v) for row in sample for v in row if isinstance(v, str | bytes))
    cells = len(rows[0]) if rows else 0
    return _ROW_BYTES + _CELL_BYTES * cells + texts // max(len(sample), 1)
