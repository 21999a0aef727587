"""Watches directories with `ReadDirectoryChangesW`, through pywin32."""

import errno
import sys
from collections.abc import Sequence
from typing import NamedTuple

from zeek_agent_windows._blocking import Reader

BUFFER = 65_536
"""More is not possible for shares."""
FILTER = 0x1 | 0x2 | 0x8 | 0x10
"""Names of files, names of directories, sizes, last writes."""
MOST = 32
"""Directories; the system waits for 64 handles at most."""


class Seen(NamedTuple):
    """A buffer of changes below a directory."""

    directory: str
    raw: bytes
    """Empty: there were more changes than the buffer can hold."""


def watch(directories: Sequence[str]) -> Reader:
    """Return a reader of `Seen` for some directories and all below them."""
    if sys.platform == "win32":
        return Watch(directories)
    raise OSError(errno.ENOSYS, "this exists on Windows only")


if sys.platform == "win32":
    import pywintypes
    import win32event
    import win32file

    LIST_DIRECTORY, SHARE_ALL, OPEN_EXISTING = 1, 7, 3
    BACKUP_SEMANTICS, OVERLAPPED = 0x0200_0000, 0x4000_0000

    class Directory:
        """One directory that is watched."""

        def __init__(self, path: str) -> None:
            """Open *path*, and ask for its changes."""
            self.path = path
            self.handle = win32file.CreateFile(
                path,
                LIST_DIRECTORY,
                SHARE_ALL,
                None,
                OPEN_EXISTING,
                BACKUP_SEMANTICS | OVERLAPPED,
                None,
            )
            self.state = pywintypes.OVERLAPPED()
            self.state.hEvent = win32event.CreateEvent(None, True, False, None)
            self.buffer = win32file.AllocateReadBuffer(BUFFER)
            self.ask()

        def ask(self) -> None:
            """Ask for the next changes."""
            win32event.ResetEvent(self.state.hEvent)
            win32file.ReadDirectoryChangesW(int(self.handle), self.buffer, True, FILTER, self.state)

        def take(self) -> bytes:
            """Return the changes that have come, and ask for the next."""
            size = win32file.GetOverlappedResult(int(self.handle), self.state, True)
            raw = bytes(self.buffer[:size])
            self.ask()
            return raw

    class Watch:
        """Some directories."""

        def __init__(self, directories: Sequence[str]) -> None:
            """Watch *directories* once opened."""
            self._paths = directories[:MOST]
            self._open: list[Directory] = []

        def open(self) -> None:
            """Open the directories."""
            try:
                self._open = [Directory(path) for path in self._paths]
            except pywintypes.error as error:
                raise OSError(error.winerror, f"{error.strerror}: cannot watch") from error

        def read(self, seconds: float) -> Sequence[Seen]:
            """Wait for one of the directories to change."""
            handles = [each.state.hEvent for each in self._open]
            found = win32event.WaitForMultipleObjects(handles, False, int(seconds * 1000))
            if not 0 <= found < len(handles):
                return ()
            try:
                ready = [
                    each
                    for each in self._open[found:]
                    if win32event.WaitForSingleObject(each.state.hEvent, 0) == 0
                ]
                return [Seen(each.path, each.take()) for each in ready]
            except pywintypes.error as error:
                raise OSError(error.winerror, error.strerror) from error

        def close(self) -> None:
            """Close the directories, which ends what was asked."""
            for each in self._open:
                win32file.CancelIo(int(each.handle))
                each.handle.Close()
            self._open = []
