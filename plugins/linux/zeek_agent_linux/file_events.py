"""``file_events`` on Linux, from the kernel's auditing."""

from collections.abc import Collection
from functools import partial
from typing import Any

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.schema import file_events as schema
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.file_rows import file_row
from zeek_agent_linux._audit.lookup import directory
from zeek_agent_linux._audit.sources import SOURCES, AuditTable, offered
from zeek_agent_linux._audit.syscalls import OPEN


class FileEvents(schema.FileEvents, AuditTable):  # noqa: D101
    # The description is that of the declaration.
    origin = Origin(
        source="audit: audisp, netlink or multicast",
        needs="as `process_events`, and `file` in `[tables.audit] syscalls` or `directories`",
        verified="tests on the running kernel and beside auditd",
    )

    sources = SOURCES
    groups = {"file": OPEN}  # noqa: RUF012 - never changed

    def calls(self) -> frozenset[str]:
        """Return the calls that open files, once the settings say where."""
        return OPEN if self.directories() else super().calls()

    def directories(self) -> Collection[str]:
        """Return the directories of the settings."""
        named: Collection[str] = self.setting("directories")
        return named

    def row(self, event: Event) -> dict[str, Any] | None:
        """Return the row of *event*."""
        return file_row(event, partial(directory, self.host.prefix))


@hookimpl
def zeek_agent_tables(host: Host) -> list[AuditTable]:
    """Offer the table where the kernel has auditing."""
    return offered(host, FileEvents)
