"""Starts and ends of processes through WMI, where event tracing does not work."""

import errno
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from zeek_agent_windows._blocking import Reader

QUERY: Final = "SELECT * FROM Win32_ProcessTrace"
PROPERTIES: Final = ("ProcessID", "ParentProcessID", "ProcessName", "ExitStatus", "TIME_CREATED")
TIMED_OUT = -2147209215
"""`wbemErrTimedout`."""
MOST = 256


def watch_processes() -> Reader:
    """Return a reader of mappings: the properties of each event, and its `class`."""
    if sys.platform == "win32":
        return ProcessWatch()
    raise OSError(errno.ENOSYS, "this exists on Windows only")


if sys.platform == "win32":
    import pythoncom
    import pywintypes
    import win32com.client

    class ProcessWatch:
        """A query that WMI answers as things happen."""

        def __init__(self) -> None:
            """Ask once opened."""
            self._events: Any = None

        def open(self) -> None:
            """Ask."""
            pythoncom.CoInitialize()
            try:
                service: Any = win32com.client.GetObject("winmgmts:root\\cimv2")
                self._events = service.ExecNotificationQuery(QUERY)
            except pywintypes.com_error as error:
                raise OSError(errno.EPERM, f"WMI: {error}") from error

        def read(self, seconds: float) -> Sequence[Mapping[str, Any]]:
            """Return the events that have come."""
            found: list[Mapping[str, Any]] = []
            wait = int(seconds * 1000)
            while len(found) < MOST:
                try:
                    event = self._events.NextEvent(wait)
                except pywintypes.com_error as error:
                    if _code(error) == TIMED_OUT:
                        break
                    raise OSError(errno.EIO, f"WMI: {error}") from error
                wait = 0
                known = {each.Name: each.Value for each in event.Properties_}
                found.append({name: known.get(name) for name in PROPERTIES})
                found[-1] = {**found[-1], "class": event.Path_.Class}
            return found

        def close(self) -> None:
            """Take the query back."""
            self._events = None
            pythoncom.CoUninitialize()

    def _code(error: "pywintypes.com_error") -> int:
        """Return the number of the error itself, not that of how it came here."""
        number, _, details, *_ = error.args
        return int(details[5]) if details else int(number)
