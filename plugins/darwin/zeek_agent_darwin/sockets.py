"""``sockets`` on macOS, from libproc."""

from collections.abc import Iterator

from zeek_agent_core.api import PAUSE, Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import sockets as schema
from zeek_agent_darwin._libproc import Libproc, SystemLibproc
from zeek_agent_darwin._sockets import Process, parse_process, sockets


class Sockets(schema.Sockets):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`proc_pidfdinfo` of libproc, for each descriptor of each process",
        needs="root for the sockets of other users' processes",
        verified="structures against a C compiler; a scripted host with recorded buffers",
        null=("netns",),
    )

    def __init__(self, host: Host, system: Libproc | None = None) -> None:
        """Ask *system*, which is the host's library unless it is given."""
        super().__init__(host)
        self._system = system

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield each socket once, with the first process that holds it.

        A socket that processes share comes from a parent, which has the lower ID
        unless the numbers have wrapped around.
        """
        system = self._loaded()
        pids = where.values("pid")
        # The owner of a shared socket is known only after a look at all processes.
        wanted = None if pids is None else {pid for pid in pids if isinstance(pid, int)}
        seen: set[int] = set()
        for found in sockets(system, sorted(system.pids())):
            if found is None:
                yield PAUSE
                continue
            pid, each = found
            if each.id in seen:
                continue
            seen.add(each.id)
            if wanted is None or pid in wanted:
                row = {"pid": pid, **each._asdict()}
                del row["id"]
                if where.wants("process"):
                    row["process"] = self._name(system, pid)
                yield row

    def _loaded(self) -> Libproc:
        if self._system is None:
            try:
                self._system = SystemLibproc()
            except OSError as error:
                raise TableError(self.name, f"cannot load libproc: {error}") from error
        return self._system

    @staticmethod
    def _name(system: Libproc, pid: int) -> str | None:
        process: Process | None = parse_process(system.process(pid))
        return process.name if process else None


@hookimpl
def zeek_agent_tables(host: Host) -> list[Sockets]:
    """Offer the table on the host itself."""
    return [Sockets(host)] if host.platform == "darwin" else []
