"""``sockets_events`` on Linux."""

from types import MappingProxyType

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.schema import sockets_events as schema
from zeek_agent_linux._sockets_audit import AuditSource
from zeek_agent_linux._sockets_events_bpf import BpfSource
from zeek_agent_linux._sockets_polling import PollingSource
from zeek_agent_linux._sockets_tracefs import TraceSource


class SocketsEvents(schema.SocketsEvents):  # noqa: D101
    # The description is that of the declaration.
    origin = Origin(
        source="BPF; audit, beside its daemon; tracefs; `sock_diag` again and again",
        needs="root; without it differences of the agent's own sockets",
        verified="tests on the running kernel, with each source",
    )

    sources = (BpfSource, AuditSource, TraceSource, PollingSource)
    settings = MappingProxyType(
        {
            **schema.SocketsEvents.settings,
            "interval": 2.0,
            "mount_tracefs": True,
            "system_calls": False,
        }
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[SocketsEvents]:
    """Offer the table where there is a ``/proc``."""
    return [SocketsEvents(host)] if host.path("/proc/net").exists() else []
