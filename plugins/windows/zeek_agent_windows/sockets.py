"""``sockets`` on Windows, from the tables of the IP helper."""

from collections.abc import Callable, Iterator

from zeek_agent_core.api import Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import sockets as schema
from zeek_agent_windows._images import Images, image_of
from zeek_agent_windows._native import Native, native
from zeek_agent_windows._sockets import parse_processes, sockets


class Sockets(schema.Sockets):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`GetExtendedTcpTable`, `GetExtendedUdpTable`; names by Toolhelp and psutil",
        needs="-",
        verified="structures against the real headers; buffers of the same calls under Wine",
        null=("netns",),
    )

    def __init__(
        self,
        host: Host,
        system: Native | None = None,
        image: Callable[[int], str | None] = image_of,
    ) -> None:
        """Ask *system*, which is the host's unless it is given; *image* for programs."""
        super().__init__(host)
        self._system, self._image = system, image

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the sockets; programs are looked up if they are wanted."""
        try:
            system = self._system = self._system or native()
            names = parse_processes(system.processes()) if where.wants("process") else ()
            images = Images(names, self._image)
            found = list(sockets(system))
        except OSError as error:
            raise TableError(self.name, f"cannot list sockets: {error}") from error
        for seen, _ in found:
            if where.admits("pid", seen.pid) and where.admits("state", seen.state):
                row = seen._asdict()
                if where.wants("process"):
                    row["process"] = images.of(seen.pid)
                yield row


@hookimpl
def zeek_agent_tables(host: Host) -> list[Sockets]:
    """Offer the table on the host itself."""
    return [Sockets(host)] if host.platform == "windows" else []
