"""``sockets_events``: from the kernel's event tracing, else from differences."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.portable.socket_changes import Seen
from zeek_agent_core.portable.socket_polling import SETTINGS, Look, PollingSource
from zeek_agent_core.schema import sockets_events as schema
from zeek_agent_windows._blocking import BlockingSource, Reader
from zeek_agent_windows._images import Images, image_of
from zeek_agent_windows._native import Native, native
from zeek_agent_windows._sockets import TCP, parse_processes, sockets
from zeek_agent_windows._trace import Batch, Provider, trace
from zeek_agent_windows._tracing import (
    KERNEL_NETWORK,
    KINDS,
    NETWORK_KEYWORDS,
    Flows,
    Truncated,
    parse_network,
)

SESSION = "zeek-agent sockets"


class TraceSource(BlockingSource):
    """Event tracing: every connection, however short."""

    name = "etw"
    table: "SocketsEvents"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._flows = Flows()

    def reader(self) -> Reader:
        """Return a trace."""
        has_udp = self.table.setting("udp")
        events = tuple(number for number, kind in KINDS.items() if has_udp or kind[2] == TCP)
        return self.table.trace(SESSION, [Provider(KERNEL_NETWORK, NETWORK_KEYWORDS, events)])

    def rows(self, items: Sequence[Batch]) -> list[Row]:
        """Return the rows of some events."""
        rows: list[Row] = []
        images = Images((), self.table.image)
        for records, lost in items:
            self.table.lose("kernel", lost)
            for record in records:
                try:
                    flow = parse_network(record)
                except Truncated:
                    self.table.lose("unreadable")
                    continue
                row = None if flow is None else self._flows.row(record, flow)
                if row is not None:
                    row["process"] = images.of(row["pid"])
                    rows.append(row)
        return rows


class TableSource(PollingSource):
    """Differences between two looks at the tables of the IP helper."""

    table: "SocketsEvents"
    _images: Images = Images(())

    def look(self) -> Look:
        """Return all sockets; a connection is known by its ends, others by their process too."""
        system = self.table.system()
        found: dict[Any, Seen] = {}
        opened: dict[Any, int] = {}
        self._images = Images(parse_processes(system.processes()), self.table.image)
        for seen, since in sockets(system):
            is_connection = seen.protocol == TCP and seen.state != "LISTEN"
            key = (seen[1:7], None if is_connection else seen.pid)
            found[key] = seen
            if since is not None:
                opened[key] = since
        return Look(found, opened)

    def owner(self, pid: int | None) -> Mapping[str, Any]:
        """Return the program of a process."""
        return {"process": self._images.of(pid)}


class SocketsEvents(schema.SocketsEvents):  # noqa: D101 - described by its declaration
    sources = (TraceSource, TableSource)
    settings = MappingProxyType({**SETTINGS, "udp": True})
    origin = Origin(
        source="event tracing (Microsoft-Windows-Kernel-Network), else differences of the tables",
        needs="Administrators for event tracing",
        verified="structures against the real headers; payloads written after the manifest; "
        "buffers of the tables under Wine",
        null=("uid", "gid", "sent", "received", "error", "netns", "seuid"),
    )

    def __init__(
        self,
        host: Host,
        system: Native | None = None,
        image: Callable[[int], str | None] = image_of,
        tracing: Callable[[str, Sequence[Provider]], Reader] = trace,
    ) -> None:
        """Trace with *tracing*, ask *system* for tables, *image* for programs."""
        super().__init__(host)
        self._system, self.image, self.trace = system, image, tracing

    def system(self) -> Native:
        """Return what is asked; `OSError` where there is none."""
        self._system = self._system or native()
        return self._system


@hookimpl
def zeek_agent_tables(host: Host) -> list[SocketsEvents]:
    """Offer the table on the host itself."""
    return [SocketsEvents(host)] if host.platform == "windows" else []
