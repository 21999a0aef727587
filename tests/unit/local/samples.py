"""What tests of outputs write, and when."""

from datetime import timedelta

from zeek_agent_core.local.pack import LocalQuery
from zeek_agent_core.query import Query, Result, ResultColumn

NOON = 1_795_262_400.0
"""2026-11-21 12:00:00 UTC."""


def own(name: str = "mine") -> LocalQuery:
    """Return a query as a user configures it."""
    return LocalQuery(Query(name, "SELECT 1", timedelta(seconds=1)), name)


def result(columns, rows=(), *, deleted=(), added=(), collected: float = NOON) -> Result:
    """Return a result with *columns* as names, or names and types."""
    described = tuple(
        column if isinstance(column, ResultColumn) else ResultColumn(*column) for column in columns
    )
    return Result(described, rows, deleted, added, collected=collected)
