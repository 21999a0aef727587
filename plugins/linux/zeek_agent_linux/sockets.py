"""``sockets`` on Linux, through BPF or from netlink and ``/proc``."""

from collections.abc import Iterator

from zeek_agent_core.api import Host, Origin, Row, Where, hookimpl
from zeek_agent_core.schema import sockets as schema
from zeek_agent_linux._sockets import ProcSource, SocketSource
from zeek_agent_linux._sockets_bpf import BpfSource


class Sockets(schema.Sockets):  # noqa: D101
    # The description is that of the declaration.

    origin = Origin(
        source="BPF where it can be had; `sock_diag`, with `/proc` for owners; `/proc` alone",
        needs="root for owners and for other network namespaces",
        verified="tests on the running system",
    )

    def __init__(self, host: Host) -> None:
        """Look at the sockets of *host*."""
        super().__init__(host)
        self._source: SocketSource = BpfSource(host, self.warn, ProcSource(host, self.warn))

    @property
    def source(self) -> str:
        """What serves the rows right now."""
        return self._source.name

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the sockets that *where* wants."""
        return self._source.rows(where)


@hookimpl
def zeek_agent_tables(host: Host) -> list[Sockets]:
    """Offer the table where there is a ``/proc``."""
    return [Sockets(host)] if host.path("/proc/net").exists() else []
