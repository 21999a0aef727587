"""``zeek_agent_queries``: what the agent is being asked, and by whom."""

from collections.abc import Iterator

from zeek_agent_core.api import Column, Host, Row, Snapshot, Type, Where, hookimpl


class ZeekAgentQueries(Snapshot):
    """Queries that the agent runs again and again: who asked, what, how often, at what cost."""

    name = "zeek_agent_queries"
    columns = (
        Column("id", Type.TEXT, "id of the query"),
        Column("asker", Type.TEXT, "who installed it: `local`, `console`, or a Zeek"),
        Column("sql", Type.TEXT, "the statement"),
        Column("subscription", Type.TEXT, "what its repeats send"),
        Column("interval", Type.INTERVAL, "time between runs; NULL for a single run"),
        Column("tables", Type.SET, "tables it reads", element=Type.TEXT),
        Column("state", Type.TEXT, "`scheduled`, `running`, or `waiting` for tables it requires"),
        Column("runs", Type.COUNT, "runs so far"),
        Column("rows", Type.COUNT, "rows delivered so far"),
        Column("errors", Type.COUNT, "runs that failed"),
        Column("last_error", Type.TEXT, "why the last run failed; NULL after one that did not"),
        Column("overruns", Type.COUNT, "runs left out since the one before was not done"),
        Column("cpu", Type.INTERVAL, "time its statement has used in the database"),
    )
    volatile = frozenset({"state", "runs", "rows", "errors", "last_error", "overruns", "cpu"})
    examples = ("SELECT id, sql, runs, seconds(cpu) FROM zeek_agent_queries ORDER BY cpu DESC",)

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there are never many
        """Yield what the scheduler holds."""
        yield from self.host.agent.queries()


@hookimpl
def zeek_agent_tables(host: Host) -> list[ZeekAgentQueries]:
    """Offer the table everywhere."""
    return [ZeekAgentQueries(host)]
