"""``processes_events`` on Linux."""

from types import MappingProxyType

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.schema import processes_events as schema
from zeek_agent_linux._processes_audit import AuditSource
from zeek_agent_linux._processes_connector import ConnectorSource
from zeek_agent_linux._processes_events_bpf import BpfSource
from zeek_agent_linux._processes_polling import PollingSource
from zeek_agent_linux._processes_tracefs import TraceSource


class ProcessesEvents(schema.ProcessesEvents):  # noqa: D101
    # The description is that of the declaration.
    origin = Origin(
        source="BPF; audit, beside its daemon; proc connector; tracefs; `/proc` again and again",
        needs="root; nothing for the last",
        verified="tests on the running kernel, with each source",
    )

    sources = (BpfSource, AuditSource, ConnectorSource, TraceSource, PollingSource)
    settings = MappingProxyType(
        {**schema.ProcessesEvents.settings, "forks": False, "interval": 1.0, "mount_tracefs": True}
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[ProcessesEvents]:
    """Offer the table where there is a ``/proc``."""
    return [ProcessesEvents(host)] if host.path("/proc/stat").exists() else []
