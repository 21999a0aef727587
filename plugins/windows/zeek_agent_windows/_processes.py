"""Pure: rows of ``processes_events`` from events of tracing and of WMI."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from zeek_agent_core.api import Row, storable
from zeek_agent_windows._layouts import filetime
from zeek_agent_windows._tracing import Record, Started, Stopped, times

MOST = 65_536
"""Processes that are remembered."""
START_CLASS, STOP_CLASS = "Win32_ProcessStartTrace", "Win32_ProcessStopTrace"


class Known(NamedTuple):
    """What the start of a process told."""

    created: int | None
    exe: str | None
    ppid: int | None


class ProcessRows:
    """Makes rows; remembers each process from its start to its end."""

    def __init__(self, drives: Mapping[str, str]) -> None:
        """Know the letters of the *drives*, by the names of their devices."""
        self._drives = drives
        self._known: dict[int, Known] = {}

    def started(self, record: Record, found: Started) -> dict[str, Any]:
        """Return the row of a process that started."""
        exe = self.path(found.image)
        self._remember(found.pid, Known(found.created, exe, found.ppid))
        return {**times(record), **_row("started", found.pid, found.ppid, exe, found.created)}

    def stopped(self, record: Record, found: Stopped) -> Row:
        """Return the row of a process that ended."""
        known = self._known.pop(found.pid, None)
        if known is not None and known.created != found.created:
            known = None  # the ID was used again
        exe = known.exe if known is not None else None
        ppid = known.ppid if known is not None else None
        row = _row("stopped", found.pid, ppid, exe, found.created)
        row["name"] = exe or storable(found.image) or None
        row["exit_code"] = found.code
        row["incomplete"] = known is None
        ended = found.ended if found.ended is not None else filetime(record.time)
        if ended is not None and found.created is not None and ended >= found.created:
            row["duration"] = (ended - found.created) * 1000
        return {**times(record), **row}

    def by_wmi(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the row for an event of WMI; None if it is no process's start or end."""
        kind, pid = event.get("class"), event.get("ProcessID")
        if kind not in (START_CLASS, STOP_CLASS) or not isinstance(pid, int) or pid < 0:
            return None
        moment = _filetime_text(event.get("TIME_CREATED"))
        name, ppid = event.get("ProcessName"), event.get("ParentProcessID")
        row: dict[str, Any] = {
            "state": "started" if kind == START_CLASS else "stopped",
            "pid": pid,
            "ppid": ppid if isinstance(ppid, int) and ppid >= 0 else None,
            "name": storable(name) if isinstance(name, str) and name else None,
            "incomplete": True,
        }
        if moment is not None:
            row["time"] = moment
        status = event.get("ExitStatus")
        if kind == STOP_CLASS and isinstance(status, int):
            row["exit_code"] = status & 0xFFFFFFFF
        return row

    def path(self, image: str) -> str | None:
        r"""Return `\Device\HarddiskVolume3\x` as `C:\x`, if the drive is known."""
        for device, letter in self._drives.items():
            if image.startswith(f"{device}\\"):
                return storable(letter + image[len(device) :])
        return storable(image) or None

    def _remember(self, pid: int, known: Known) -> None:
        self._known.pop(pid, None)
        self._known[pid] = known
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]


def _row(
    state: str, pid: int, ppid: int | None, exe: str | None, created: int | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"state": state, "pid": pid, "ppid": ppid, "name": exe, "exe": exe}
    row["incomplete"] = False
    if created is not None:
        row["startup"] = created * 1000
    return row


def _filetime_text(value: Any) -> int | None:
    """Return a FILETIME, which WMI gives as text, in µs since the epoch."""
    try:
        return filetime(int(value))
    except (TypeError, ValueError):
        return None
