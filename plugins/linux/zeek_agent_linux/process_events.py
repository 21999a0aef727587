"""``process_events`` on Linux, from the kernel's auditing."""

from functools import partial
from typing import Any

from zeek_agent_core.api import Host, hookimpl
from zeek_agent_core.schema import process_events as schema
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.lookup import is_thread
from zeek_agent_linux._audit.process_rows import process_row
from zeek_agent_linux._audit.sources import SOURCES, AuditTable
from zeek_agent_linux._audit.syscalls import EXEC, FORK


class ProcessEvents(AuditTable, schema.ProcessEvents):  # noqa: D101
    # The description is that of the declaration.

    sources = SOURCES
    groups = {"process": EXEC, "fork": FORK}  # noqa: RUF012 - never changed

    def row(self, event: Event) -> dict[str, Any] | None:
        """Return the row of *event*."""
        return process_row(event, partial(is_thread, self.host.prefix))


@hookimpl
def zeek_agent_tables(host: Host) -> list[ProcessEvents]:
    """Offer the table where the kernel has auditing."""
    return [ProcessEvents(host)] if host.path("/proc/self/loginuid").exists() else []
