"""``osquery_status``: whether osquery can be asked, and how asking it went."""

from collections.abc import Iterator

from zeek_agent_core.api import Column, Host, Row, Snapshot, Type, Where, hookimpl
from zeek_agent_osquery._settings import SECTION, SETTINGS, settings


class OsqueryStatus(Snapshot):
    """The osquery of this host, one row: whether it answers, which it is, how asking it went.

    Its tables are listed in `zeek_agent_tables`, with `osquery` and its version
    as their source.
    """

    name = "osquery_status"
    columns = (
        Column("socket", Type.TEXT, "where osquery is asked: `extensions_socket`"),
        Column("is_reachable", Type.BOOL, "whether it answered when it was asked last"),
        Column("since", Type.TIME, "when it became reachable; NULL while it is not"),
        Column("version", Type.TEXT, "version of osquery, the latest that was seen"),
        Column("uuid", Type.TEXT, "id that osquery has for this host"),
        Column("tables", Type.COUNT, "tables of osquery that are offered, each counted once"),
        Column("calls", Type.COUNT, "questions to osquery since the agent started"),
        Column("rows", Type.COUNT, "rows it answered"),
        Column("errors", Type.COUNT, "questions that failed"),
        Column("last_error", Type.TEXT, "why the last of them failed"),
        Column("trouble", Type.TEXT, "why osquery cannot be asked now; NULL where it can"),
    )
    volatile = frozenset({"calls", "rows", "errors", "last_error"})
    examples = ("SELECT version, is_reachable, trouble FROM osquery_status",)
    settings = SETTINGS
    settings_section = SECTION

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there is only one
        """Yield the one row."""
        from zeek_agent_osquery._osquery import Osquery  # noqa: PLC0415 - not at every start

        osquery = Osquery.of(self.host)
        facts = osquery.facts
        yield {
            "socket": osquery.path,
            "is_reachable": facts.is_reachable,
            "since": facts.since,
            "version": facts.version,
            "uuid": facts.uuid,
            "tables": facts.tables,
            "calls": facts.calls,
            "rows": facts.rows,
            "errors": facts.errors,
            "last_error": facts.last_error,
            "trouble": facts.trouble,
        }


@hookimpl
def zeek_agent_tables(host: Host) -> list[OsqueryStatus]:
    """Offer the table where the configuration has osquery's socket."""
    return [OsqueryStatus(host)] if settings(host)["extensions_socket"] else []
