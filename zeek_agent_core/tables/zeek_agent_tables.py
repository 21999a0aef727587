"""``zeek_agent_tables``: every table, who provides it, and how it fares."""

from collections.abc import Iterator

from zeek_agent_core.api import EQ, Column, Host, Row, Snapshot, Type, Where, hookimpl


class ZeekAgentTables(Snapshot):
    """Every table that the agent offers: who provides it, and how its last run went.

    What a table dropped, skipped or failed at is visible here.
    """

    name = "zeek_agent_tables"
    columns = (
        Column("name", Type.TEXT, "name of the table", pushdown=EQ),
        Column("kind", Type.TEXT, "`snapshot` or `evented`"),
        Column("summary", Type.TEXT, "what its rows are"),
        Column("plugin", Type.TEXT, "entry point of the plugin that provides it"),
        Column("provider", Type.TEXT, "distribution that the plugin belongs to"),
        Column("version", Type.TEXT, "version of that distribution"),
        Column("source", Type.TEXT, "what serves the rows, where the table has a choice"),
        Column("runs", Type.COUNT, "how often the table was read since the agent started"),
        Column("rows", Type.COUNT, "rows of the last run"),
        Column("duration", Type.INTERVAL, "time the last run took to start giving rows"),
        Column("errors", Type.COUNT, "runs that failed"),
        Column("last_error", Type.TEXT, "why the last run failed; NULL after one that did not"),
        Column("warnings", Type.COUNT, "parts that could not be read, since the agent started"),
        Column("last_warning", Type.TEXT, "the latest of them"),
        Column("buffered", Type.COUNT, "events held; NULL for a snapshot"),
        Column("dropped", Type.COUNT, "events lost before a query read them; NULL for a snapshot"),
        Column("queries", Type.COUNT, "active queries on an evented table; NULL for a snapshot"),
        Column(
            "losses",
            Type.TEXT,
            "what makes up `dropped`, as JSON by cause: `ring` and `age` are events that no query "
            "read in time, `gap` are times without a source; NULL for a snapshot",
        ),
    )
    volatile = frozenset({
        "runs", "rows", "duration", "errors", "last_error", "warnings", "last_warning",
        "dropped", "losses",
    })  # fmt: skip
    examples = (
        "SELECT name, provider, version FROM zeek_agent_tables",
        (
            "SELECT name, last_error, dropped FROM zeek_agent_tables "
            "WHERE last_error IS NOT NULL OR dropped > 0"
        ),
    )

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield what the agent knows of its tables."""
        wanted = where.values("name")
        for row in self.host.agent.tables():
            if wanted is None or row["name"] in wanted:
                yield row


@hookimpl
def zeek_agent_tables(host: Host) -> list[ZeekAgentTables]:
    """Offer the table everywhere."""
    return [ZeekAgentTables(host)]
