"""``logins_events``: logons that the channel `Security` tells of."""

from collections.abc import Sequence
from types import MappingProxyType

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.schema import logins_events as schema
from zeek_agent_windows._eventlog import Event, Rendered
from zeek_agent_windows._logons import QUERY, Logons
from zeek_agent_windows._logsource import LogSource, LogTable


class LogonSource(LogSource):
    """Audits of logons, and starts of the system."""

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._logons = Logons()

    def channels(self) -> Sequence[str]:
        """Return where the events are."""
        return ("Security", "System")

    def query(self) -> str:
        """Return the events that are wanted."""
        return QUERY

    def row(self, rendered: Rendered, event: Event) -> Row | None:  # noqa: ARG002 - no text needed
        """Return the row of an event."""
        return self._logons.row(event)


class LoginsEvents(LogTable, schema.LoginsEvents):
    """Who logs in from where, who fails to, who leaves, and when the system starts and stops.

    On Windows these are events 4624, 4625, 4634 and 4647 of the channel
    `Security`, which the audit policy for logons switches on, and 12 and 13 of
    `System`. What happened while the agent did not run comes when it is back.
    """

    sources = (LogonSource,)
    settings = MappingProxyType({**Sourced.settings})
    origin = Origin(
        source="`EvtSubscribe` on `Security` and `System`, through pywin32",
        needs="Administrators, or the group Event Log Readers; the audit policy for logons",
        verified="events written after the published schema; a scripted log",
        null=("uid", "terminal"),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[LoginsEvents]:
    """Offer the table on the host itself."""
    return [LoginsEvents(host)] if host.platform == "windows" else []
