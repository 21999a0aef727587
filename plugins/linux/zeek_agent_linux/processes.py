"""``processes`` on Linux, through BPF or from ``/proc``."""

from collections.abc import Iterator

from zeek_agent_core.api import Host, Origin, Row, Where, hookimpl
from zeek_agent_core.schema import processes as schema
from zeek_agent_linux._processes import ProcessSource, ProcSource
from zeek_agent_linux._processes_bpf import BpfSource


class Processes(schema.Processes):  # noqa: D101
    # The description is that of the declaration.

    origin = Origin(
        source="BPF where the kernel lets it; `/proc`",
        needs="root for `exe`, `cwd` and others of other users' processes",
        verified="tests on the running system",
    )

    def __init__(self, host: Host) -> None:
        """Read the processes of *host*."""
        super().__init__(host)
        self._source: ProcessSource = BpfSource(host, self.warn, ProcSource(host, self.warn))

    @property
    def source(self) -> str:
        """What serves the rows right now."""
        return self._source.name

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the processes that *where* wants."""
        return self._source.rows(where)


@hookimpl
def zeek_agent_tables(host: Host) -> list[Processes]:
    """Offer the table where there is a ``/proc``."""
    return [Processes(host)] if host.path("/proc/stat").exists() else []
