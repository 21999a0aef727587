"""Rows of ``processes``, where psutil is the way to know them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from zeek_agent_core.api import PAUSE, Host, Row, Where, storable
from zeek_agent_core.schema import processes

LONGEST = 32_768
"""Bytes of a command line that are kept, as on Linux."""
TURN = 50
"""Processes between two pauses: one may take a millisecond or two."""

Facts = Mapping[str, Any]
"""What is known of a process, by psutil's names; None is what may not be known."""


class Listing(Protocol):
    """Finds processes."""

    def all(self, names: Sequence[str]) -> Iterator[Facts]:
        """Yield the facts *names* of each process; the vanished are left out."""

    def one(self, pid: int, names: Sequence[str]) -> Facts | None:
        """Return the facts *names* of one process, if there is one."""


class Fill(NamedTuple):
    """How a column is filled."""

    needs: tuple[str, ...]
    """The facts it is made of."""
    make: Callable[[Facts], Any]


class PsutilListing:
    """The processes of this host."""

    def all(self, names: Sequence[str]) -> Iterator[Facts]:
        """Yield the facts of each process."""
        import psutil  # noqa: PLC0415 - 10 ms that not every agent needs

        for process in psutil.process_iter():
            facts = self._facts(process, names)
            if facts is not None:
                yield facts

    def one(self, pid: int, names: Sequence[str]) -> Facts | None:
        """Return the facts of one process."""
        import psutil  # noqa: PLC0415

        try:
            return self._facts(psutil.Process(pid), names)
        except (psutil.Error, ValueError, OverflowError):
            return None

    @staticmethod
    def _facts(process: Any, names: Sequence[str]) -> Facts | None:
        """Return what may be known; None if the process is gone."""
        import psutil  # noqa: PLC0415

        facts: dict[str, Any] = {"pid": process.pid}
        with process.oneshot():
            for name in names:
                try:
                    facts[name] = getattr(process, name)()
                except psutil.ZombieProcess:
                    facts[name] = None
                except psutil.NoSuchProcess:
                    return None
                except (psutil.Error, OSError):
                    facts[name] = None
        return facts


def nanoseconds(seconds: float) -> int:
    """Return *seconds* of psutil, exact to a microsecond, in nanoseconds."""
    return round(seconds * 1e6) * 1000


def command_line(arguments: Sequence[str] | None) -> str | None:
    """Return the arguments as one text; psutil's empty list means that there are none."""
    if not arguments:
        return None
    text = storable(" ".join(arguments))
    if len(text) * 4 <= LONGEST:
        return text
    return text.encode()[:LONGEST].decode(errors="ignore")


def whole(name: str, change: Callable[[Any], Any] = lambda value: value) -> Fill:
    """Return how to fill a column with the fact *name*, changed unless it is None."""
    return Fill((name,), lambda facts: None if facts[name] is None else change(facts[name]))


def part(name: str, field: str, change: Callable[[Any], Any] = lambda value: value) -> Fill:
    """Return how to fill a column with one *field* of the fact *name*."""
    return whole(name, lambda value: change(getattr(value, field)))


def path(value: str) -> str | None:
    """Return a path of psutil; an empty one is unknown."""
    return storable(value) or None


COMMON: Mapping[str, Fill] = {
    "name": whole("name", path),
    "pid": Fill((), lambda facts: facts["pid"]),
    "ppid": whole("ppid"),
    "startup": whole("create_time", lambda seconds: nanoseconds(seconds) or None),
    "vsize": part("memory_info", "vms"),
    "rsize": part("memory_info", "rss"),
    "utime": part("cpu_times", "user", nanoseconds),
    "stime": part("cpu_times", "system", nanoseconds),
    "exe": whole("exe", path),
    "cmdline": whole("cmdline", command_line),
    "cwd": whole("cwd", path),
}
"""What is the same on all systems."""


class Processes(processes.Processes):  # noqa: D101 - described by its declaration
    fills: ClassVar[Mapping[str, Fill]] = COMMON

    def __init__(self, host: Host, listing: Listing | None = None) -> None:
        """List with *listing*, which is psutil unless it is given."""
        super().__init__(host)
        self._listing: Listing = listing or PsutilListing()

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the processes; no more is asked of each than the query looks at."""
        fills = {name: fill for name, fill in self.fills.items() if name in where.columns}
        names = sorted({need for fill in fills.values() for need in fill.needs})
        for count, facts in enumerate(self._wanted(where, names), 1):
            yield {name: fill.make(facts) for name, fill in fills.items()}
            if count % TURN == 0:
                yield PAUSE

    def _wanted(self, where: Where, names: Sequence[str]) -> Iterator[Facts]:
        pids = where.values("pid")
        if pids is None:
            yield from self._listing.all(names)
            return
        for pid in sorted(pid for pid in pids if isinstance(pid, int) and 0 <= pid < 1 << 32):
            facts = self._listing.one(pid, names)
            if facts is not None:
                yield facts
