"""Paths of programs by process."""

from collections.abc import Callable, Iterable

from zeek_agent_core.api import storable
from zeek_agent_windows._sockets import IDLE, SYSTEM, Process

FIXED = {IDLE: "System Idle Process", SYSTEM: "System"}


def image_of(pid: int) -> str | None:
    """Return the path of a process's program; None if it must not be known, or is gone."""
    import psutil  # noqa: PLC0415 - 10 ms that not every agent needs

    try:
        return storable(psutil.Process(pid).exe()) or None
    except (psutil.Error, OSError, ValueError):
        return None


class Images:
    """Looks programs up, each process once."""

    def __init__(
        self, processes: Iterable[Process], image: Callable[[int], str | None] = image_of
    ) -> None:
        """Fall back on the names of *processes*; ask *image* for paths."""
        self._names = {process.pid: process.name for process in processes}
        self._image = image
        self._known: dict[int, str | None] = dict(FIXED)

    def of(self, pid: int | None) -> str | None:
        """Return the path of a program, else its name, else None."""
        if pid is None:
            return None
        if pid not in self._known:
            self._known[pid] = self._image(pid) or self._names.get(pid) or None
        return self._known[pid]
