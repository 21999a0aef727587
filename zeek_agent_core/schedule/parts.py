"""What the scheduler is given, and what it keeps of each query."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from zeek_agent_core.query import Query, Recipient, Result, ResultColumn, ResultRow, Subscription
from zeek_agent_core.schedule.diff import differences
from zeek_agent_core.table import Where

Positions = dict[str, tuple[int, int | None]]
"""For evented tables: after which event to read, and up to which."""


class Outcome(Protocol):
    """What running a statement returns."""

    @property
    def columns(self) -> tuple[ResultColumn, ...]:
        """Names and types."""

    @property
    def rows(self) -> list[ResultRow]:
        """All rows."""

    @property
    def seconds(self) -> float:
        """Processor time it took."""

    @property
    def wanted(self) -> Mapping[str, Where]:
        """What it reads of evented tables in each run, where that is sure."""


class EventSource(Protocol):
    """What the scheduler needs of the evented tables."""

    def acquire(self, names: Iterable[str], reader: object) -> None:
        """Start the evented ones among *names* for *reader*, who wants all of them."""

    def want(self, reader: object, wheres: Mapping[str, Where]) -> None:
        """Note what *reader* wants of the tables named."""

    def release(self, names: Iterable[str], reader: object) -> None:
        """Stop those that no query but *reader* needs."""

    def positions(self, names: Iterable[str]) -> dict[str, int]:
        """Return the newest event of each evented table among *names*."""

    def complete(self, names: Iterable[str]) -> dict[str, int]:
        """Return behind which position each evented table has what any query may want."""

    def losses(self, names: Iterable[str]) -> dict[str, str]:
        """Return what those of the tables *names* have lost that lost anything so far."""

    def mark_read(self, table: str, position: int) -> None:
        """Note that every query has read *table* so far."""


Execute = Callable[[str, Positions], Awaitable[Outcome]]
Prepare = Callable[[str], Awaitable[frozenset[str]]]
Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


@dataclass(eq=False, slots=True)
class Installed:
    """A query that the scheduler holds, and how it fares."""

    query: Query
    recipient: Recipient
    tables: frozenset[str] = frozenset()
    due: float | None = None
    """When it runs next; None while it waits for tables, or runs for the last time."""
    is_waiting: bool = False
    """Whether the tables it requires are missing."""
    is_running: bool = False
    spell: int = 0
    """Grows when it starts to wait or to run, or is dropped: what began before is void."""
    runs: int = 0
    rows: int = 0
    errors: int = 0
    overruns: int = 0
    cpu: timedelta = timedelta()
    last_error: str | None = None
    previous: list[ResultRow] | None = None
    read: dict[str, int] = field(default_factory=dict)
    """Up to which event of each evented table it has read."""
    lost: dict[str, str] = field(default_factory=dict)
    """What its evented tables had lost when its asker was told last."""
    quiet_until: float = 0.0
    """Until when its asker is not told of losses again."""

    def take(self, outcome: Outcome, began: float) -> Result:
        """Return what the subscription makes of *outcome* and of the run before; count it."""
        result = self._result(outcome, began)
        self.runs += 1
        self.rows += len(result)
        self.cpu += result.duration
        return result

    def _result(self, outcome: Outcome, began: float) -> Result:
        subscription, previous = self.query.subscription, self.previous
        common: dict[str, Any] = {
            "columns": outcome.columns,
            "total": len(outcome.rows),
            "is_first": self.runs == 0,
            "collected": began,
            "duration": timedelta(seconds=outcome.seconds),
        }
        if subscription in (None, Subscription.SNAPSHOTS):
            return Result(rows=outcome.rows, **common)
        if subscription is Subscription.EVENTS and self.read:
            return Result(added=outcome.rows, **common)
        self.previous = outcome.rows
        if previous is None:
            is_shown = subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES
            return Result(rows=outcome.rows if is_shown else (), **common)
        deleted, added = differences(previous, outcome.rows)
        if subscription is Subscription.EVENTS:
            deleted = []
        return Result(deleted=deleted, added=added, **common)


class Turn(NamedTuple):
    """One run of a query, which is void once the query has been dropped or made to wait."""

    installed: Installed
    spell: int

    @property
    def is_valid(self) -> bool:
        """Whether its outcome is still wanted."""
        return self.installed.spell == self.spell
