"""What is asked, and what comes back: frozen data shared by all parts."""

from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from zeek_agent_core.errors import QueryError
from zeek_agent_core.values import SqlValue, Type


class Subscription(StrEnum):
    """What the repeats of a query send."""

    SNAPSHOTS = "snapshots"
    DIFFERENCES = "differences"
    SNAPSHOT_PLUS_DIFFERENCES = "snapshot_plus_differences"
    EVENTS = "events"


class Change(StrEnum):
    """What happened to a row between two runs."""

    ADD = "add"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Query:
    """One SQL statement, and when and how its rows are wanted."""

    id: str
    sql: str
    interval: timedelta | None = None
    """Time between runs; none runs it once."""
    subscription: Subscription | None = None
    """None delivers the complete result of a single run."""
    requires_tables: frozenset[str] = frozenset()
    if_missing_tables: frozenset[str] = frozenset()
    cookie: str = ""
    asker: str = ""
    """Who asked, for people: `local`, `console`, or the name of a Zeek."""
    is_guarded: bool = False
    """Whether the policy of the host applies: a Zeek asks."""

    @property
    def repeats(self) -> bool:
        """Whether the query runs more than once."""
        interval = self.interval
        return self.subscription is not None and interval is not None and interval > timedelta()


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """Name and type of a column of a result."""

    name: str
    type: Type | None = None
    """Declared type; None where the value of each row decides."""
    element: Type | None = None
    origin: str | None = field(default=None, compare=False)
    """Name of the table's column that it is, whatever it is called here."""


ResultRow = tuple[SqlValue, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of one run of a query, in the order in which they are to be sent."""

    columns: tuple[ResultColumn, ...]
    rows: Sequence[ResultRow] = ()
    """Rows of a snapshot."""
    deleted: Sequence[ResultRow] = ()
    added: Sequence[ResultRow] = ()
    total: int = 0
    """Rows that the statement returned, whether or not they are sent."""
    is_first: bool = True
    """Whether this is the first run of its query."""
    collected: float = 0.0
    """Seconds since the epoch when the run began."""
    duration: timedelta = timedelta()

    def changes(self) -> Iterator[tuple[Change | None, ResultRow]]:
        """Yield each row with its change: snapshot rows, then deletes, then adds."""
        for row in self.rows:
            yield None, row
        for row in self.deleted:
            yield Change.DELETE, row
        for row in self.added:
            yield Change.ADD, row

    def __len__(self) -> int:
        """Return the number of rows that `changes` yields."""
        return len(self.rows) + len(self.deleted) + len(self.added)


class Recipient(Protocol):
    """Who gets what a query yields."""

    def result(self, query: Query, result: Result) -> Awaitable[None] | None:
        """Take the outcome of one run, also when it has no rows."""

    def failed(self, query: Query, error: QueryError) -> None:
        """Learn that a run failed; told once per change of state."""

    def lost(self, query: Query, text: str) -> None:
        """Learn that a table lost events that the query may have wanted; not told of each."""

    def done(self, query: Query, *, is_cancelled: bool) -> None:
        """Learn that the query is over."""
