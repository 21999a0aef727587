"""Pure: a query that some Zeek has installed, and the state of that Zeek."""

from collections.abc import Iterator
from dataclasses import dataclass

from zeek_agent_core.broker.messages import InstallQuery
from zeek_agent_core.broker.replay import Backlog, Batch
from zeek_agent_core.errors import QueryError, StatementError
from zeek_agent_core.query import Change, Query, Result, Subscription

REPLAYED = frozenset(
    {Subscription.EVENTS, Subscription.DIFFERENCES, Subscription.SNAPSHOT_PLUS_DIFFERENCES}
)
"""Subscriptions whose results build on each other; a snapshot repairs itself."""


@dataclass(slots=True)
class Instance:
    """One Zeek process that has been heard on this connection."""

    id: str
    last_seen: float
    is_disabled: bool = False


@dataclass(slots=True)
class Holding:
    """A query that is installed for one Zeek."""

    query: Query
    request: InstallQuery
    group: str | None
    """The group by whose topic it came; None for this host alone."""
    backlog: Backlog
    due: float | None = None
    """When it is to be installed; None once it is."""
    parked_until: float | None = None
    """Until when it waits for its Zeek to come back; None while that is here."""
    error: str | None = None
    untold: str | None = None
    """An error that came while the Zeek was away."""
    slowness: float = 0.0
    """Seconds to wait before the next result, since the server complained."""

    @property
    def is_replayed(self) -> bool:
        """Whether what the query yields is kept for a Zeek that is away."""
        return self.query.repeats and self.query.subscription in REPLAYED


def batches(result: Result) -> Iterator[Batch]:
    """Yield the rows of *result* in the order in which they are sent."""
    collected = int(result.collected * 1e9)
    parts = ((None, result.rows), (Change.DELETE, result.deleted), (Change.ADD, result.added))
    for change, rows in parts:
        if rows:
            yield Batch(change, result.columns, rows, collected)


def compile_error(sql: str, error: QueryError) -> str:
    """Return what Zeek is told of a statement that cannot be installed."""
    reason = str(error)
    if isinstance(error, StatementError):
        reason = reason.rpartition(" in: ")[0] or reason
    return f"could not compile query (failed to compile SQL statement: {sql} ({reason}))"
