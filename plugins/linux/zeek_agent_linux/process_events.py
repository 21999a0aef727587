"""``process_events`` on Linux, from the kernel's auditing."""

from collections.abc import Sequence
from typing import Any

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.schema import process_events as schema
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.lookup import is_thread
from zeek_agent_linux._audit.process_rows import process_row
from zeek_agent_linux._audit.sources import SOURCES, AuditTable, offered
from zeek_agent_linux._audit.syscalls import EXEC, FORK


class ProcessEvents(schema.ProcessEvents, AuditTable):  # noqa: D101
    # The description is that of the declaration.
    origin = Origin(
        source="audit: audisp, netlink or multicast",
        needs="root, a kernel with auditing, the initial PID namespace",
        verified="tests on the running kernel and beside auditd",
    )

    sources = SOURCES
    groups = {"process": EXEC, "fork": FORK}  # noqa: RUF012 - never changed

    _executing: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    def look_ahead(self, events: Sequence[Event]) -> None:
        """Learn which processes execute programs, in this batch and the one before."""
        now = frozenset(event.call.get("pid", "") for event in events if event.syscall in EXEC)
        self._executing = (self._executing[1], now)

    def row(self, event: Event) -> dict[str, Any] | None:
        """Return the row of *event*."""
        return process_row(event, self._is_thread)

    def _is_thread(self, pid: int, task: int) -> bool | None:
        """Tell a thread from a process; what has executed a program is a process."""
        if any(str(task) in pids for pids in self._executing):
            return False
        return is_thread(self.host.prefix, pid, task)


@hookimpl
def zeek_agent_tables(host: Host) -> list[AuditTable]:
    """Offer the table where the kernel has auditing."""
    return offered(host, ProcessEvents)
