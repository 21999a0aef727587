"""``system_logs_events``: the unified log, through `log stream`."""

from collections.abc import Sequence
from types import MappingProxyType

from zeek_agent_core.api import Host, Origin, Row, Sourced, TableError, hookimpl
from zeek_agent_core.schema import system_logs_events as schema
from zeek_agent_darwin import _unifiedlog
from zeek_agent_darwin._tool import ToolSource

LEVELS = ("default", "info", "debug")


class LogStream(ToolSource):
    """`log stream`; see log(1)."""

    name = "log"
    program = "/usr/bin/log"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._reader = _unifiedlog.Reader()
        self._dropped = self._unreadable = 0

    def check(self) -> None:
        """Raise an error if there is no such tool, or the settings are wrong."""
        super().check()
        level = self.table.setting("log_level")
        if level not in LEVELS:
            reason = f"log_level {level!r} is none of {', '.join(LEVELS)}"
            raise TableError(self.table.name, reason)

    def arguments(self) -> list[str]:
        """Return what the tool is told: format, level, filter."""
        told = ["stream", "--style", "ndjson", "--type", "log"]
        told += ["--level", self.table.setting("log_level")]
        predicate = self.table.setting("predicate")
        return [*told, "--predicate", predicate] if predicate else told

    def rows(self, lines: Sequence[bytes]) -> Sequence[Row]:
        """Return the rows of some lines."""
        reader = self._reader
        rows = reader.rows(lines)
        self.table.lose("log", reader.dropped - self._dropped)
        self.table.lose("unreadable", reader.unreadable - self._unreadable)
        self._dropped, self._unreadable = reader.dropped, reader.unreadable
        return rows


class SystemLogsEvents(schema.SystemLogsEvents):
    """Messages that arrive in the log of the operating system.

    On macOS this is the unified log, read by `log stream`; what is marked
    private there shows as `<private>`. Settings of `[tables.system_logs_events]`:
    `predicate` filters in the log itself, in the language of log(1), for example
    `subsystem == "com.apple.opendirectoryd"`; `log_level` is `default`, `info` or
    `debug`, each with all that is more severe.
    """

    sources = (LogStream,)
    settings = MappingProxyType({**Sourced.settings, "predicate": "", "log_level": "default"})
    origin = Origin(
        source="`log stream --style ndjson`",
        needs="an administrator, or root; private parts need a configuration profile",
        verified="recorded output; a program that plays `log`",
        null=("eventid", "unit", "fields"),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[SystemLogsEvents]:
    """Offer the table on the host itself."""
    return [SystemLogsEvents(host)] if host.platform == "darwin" else []
