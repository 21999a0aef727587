"""``system_logs_events``: channels of the Event Log."""

from collections.abc import Sequence
from types import MappingProxyType

from zeek_agent_core.api import Host, Origin, Row, Sourced, TableError, hookimpl
from zeek_agent_core.schema import system_logs_events as schema
from zeek_agent_windows._eventlog import Event, Rendered, log_row
from zeek_agent_windows._logsource import LogSource, LogTable
from zeek_agent_windows._subscription import MOST_CHANNELS

CHANNELS = ("System", "Security", "Application")


class ChannelSource(LogSource):
    """The channels of the settings."""

    def channels(self) -> Sequence[str]:
        """Return the channels of the settings."""
        names: Sequence[str] = self.table.setting("channels")
        if not 0 < len(names) <= MOST_CHANNELS:
            reason = f"channels names {len(names)} channels; 1 to {MOST_CHANNELS} are possible"
            raise TableError(self.table.name, reason)
        return names

    def query(self) -> str:
        """Return the filter of the settings."""
        return str(self.table.setting("query"))

    def row(self, rendered: Rendered, event: Event) -> Row:
        """Return the row of an event."""
        wanted = self.table.setting("fields") if self.table.wanted.wants("fields") else ()
        return log_row(rendered, event, wanted)


class SystemLogsEvents(LogTable, schema.SystemLogsEvents):
    """Messages that arrive in the log of the operating system.

    On Windows these are channels of the Event Log. Settings of
    `[tables.system_logs_events]`: `channels` names them, `query` is an XPath
    that filters in the log itself, for example `*[System[Level<=3]]`; `fields`
    are parameters of events for the column `fields`, `EventID` by default, or
    `["*"]` for all. What was logged while the agent did not run comes when it is
    back. `eventid` has channel and record, `level` is `critical`, `error`,
    `warning`, `info`, `verbose`, `audit_success` or `audit_failure`.
    """

    sources = (ChannelSource,)
    settings = MappingProxyType(
        {**Sourced.settings, "channels": CHANNELS, "query": "*", "fields": ("EventID",)}
    )
    origin = Origin(
        source="`EvtSubscribe` and `EvtRender`, through pywin32",
        needs="Administrators, or the group Event Log Readers, for the channel `Security`",
        verified="events written after the published schema; a scripted log",
        null=("uid", "unit"),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[SystemLogsEvents]:
    """Offer the table on the host itself."""
    return [SystemLogsEvents(host)] if host.platform == "windows" else []
