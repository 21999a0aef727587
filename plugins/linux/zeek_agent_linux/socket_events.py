"""``socket_events`` on Linux, from the kernel's auditing."""

from typing import Any

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.schema import socket_events as schema
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.lookup import socket_ends
from zeek_agent_linux._audit.socket_rows import complete, is_unix, socket_row
from zeek_agent_linux._audit.sources import SOURCES, AuditTable, offered
from zeek_agent_linux._audit.syscalls import ACCEPT, CONNECT
from zeek_agent_linux._sockrows import seuid

BOTH_ENDS = ("protocol", "family", "local_address", "local_port", "remote_address", "remote_port")


class SocketEvents(schema.SocketEvents, AuditTable):  # noqa: D101
    # The description is that of the declaration.
    origin = Origin(
        source="audit: audisp, netlink or multicast",
        needs="root, a kernel with auditing, the initial PID namespace",
        verified="tests on the running kernel and beside auditd",
    )

    sources = SOURCES
    groups = {"socket": CONNECT, "accept": ACCEPT}  # noqa: RUF012 - never changed

    def row(self, event: Event) -> dict[str, Any] | None:
        """Return the row of *event*."""
        row = socket_row(event)
        if row is None:
            return None
        if self._may_be_completed(row):
            complete(row, socket_ends(row["pid"], row["fd"]))
        if is_unix(row) and not self.setting("unix_sockets"):
            return None
        agent = self.host.agent
        salt = f"{agent.id} {agent.instance} {self.name} "
        row["seuid"] = seuid(salt.encode(), str(row["serial"]))
        return row

    def _may_be_completed(self, row: dict[str, Any]) -> bool:
        """Return whether a query wants what the kernel did not record, and it can be had."""
        is_known = row["pid"] is not None and row["fd"] is not None and not is_unix(row)
        return is_known and self.wanted.wants(*BOTH_ENDS)


@hookimpl
def zeek_agent_tables(host: Host) -> list[AuditTable]:
    """Offer the table where the kernel has auditing."""
    return offered(host, SocketEvents)
