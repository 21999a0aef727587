"""Osquery's named pipe on Windows, with overlapped calls, so that each has an end.

https://learn.microsoft.com/windows/win32/ipc/named-pipe-client
"""

import sys
from time import monotonic, sleep

from zeek_agent_osquery._errors import LostError

if sys.platform == "win32":
    import _winapi

    CHUNK = 1 << 16
    FILE_FLAG_OVERLAPPED = 0x40000000
    SECURITY_ANONYMOUS = 0x00100000  # SECURITY_SQOS_PRESENT: the server cannot act as us
    PIPE_BUSY = 231
    BUSY_PAUSE = 0.05

    class NamedPipe:
        """A connection over a named pipe."""

        def __init__(self, handle: int) -> None:
            """Use a pipe that is open."""
            self._handle = handle

        def send(self, data: bytes, seconds: float) -> None:
            """Send all of *data*."""
            until = monotonic() + seconds
            while data:
                try:
                    work, _ = _winapi.WriteFile(self._handle, data, True)  # noqa: FBT003
                    sent = self._finish(work, until - monotonic())
                except OSError as error:
                    raise LostError(f"the connection to osquery broke: {error}") from error
                if sent is None:
                    raise TimeoutError
                data = data[sent:]

        def receive(self, seconds: float) -> bytes:
            """Return what has come."""
            try:
                if not _winapi.PeekNamedPipe(self._handle)[0]:
                    sleep(min(seconds, 0.005))  # a read that is cancelled may lose bytes
                    if not _winapi.PeekNamedPipe(self._handle)[0]:
                        return b""
                work, _ = _winapi.ReadFile(self._handle, CHUNK, True)  # noqa: FBT003
                if self._finish(work, seconds) is None:
                    raise LostError("osquery does not give what it has announced")
                return bytes(work.getbuffer() or b"")
            except OSError as error:
                raise LostError(f"the connection to osquery broke: {error}") from error

        @staticmethod
        def _finish(work: "_winapi.Overlapped", seconds: float) -> int | None:
            """Wait for an overlapped call; return its bytes, None where it takes too long."""
            wait = max(int(seconds * 1000), 1)
            if _winapi.WaitForMultipleObjects([work.event], False, wait) != 0:  # noqa: FBT003
                work.cancel()
                return None
            return work.GetOverlappedResult(True)[0]  # noqa: FBT003

        def close(self) -> None:
            """End the connection."""
            handle, self._handle = self._handle, _winapi.NULL
            if handle != _winapi.NULL:
                _winapi.CloseHandle(handle)

    def connect(path: str, seconds: float) -> NamedPipe:
        """Connect to the pipe *path*; raise `LostError`.

        Nobody else can make a pipe of osquery's name while it runs. Who has made
        it is not looked at; the server is kept from using our identity.
        """
        until = monotonic() + seconds
        while True:
            try:
                handle = _winapi.CreateFile(
                    path,
                    _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
                    0,
                    _winapi.NULL,
                    _winapi.OPEN_EXISTING,
                    FILE_FLAG_OVERLAPPED | SECURITY_ANONYMOUS,
                    _winapi.NULL,
                )
            except FileNotFoundError as error:
                raise LostError(f"osquery does not run: there is no {path}") from error
            except OSError as error:
                if error.winerror != PIPE_BUSY or monotonic() > until:
                    raise LostError(f"cannot reach osquery at {path}: {error}") from error
                sleep(BUSY_PAUSE)
            else:
                return NamedPipe(handle)

    def identity(path: str) -> object:
        """Return None: a look at a pipe would take one of its instances."""
        del path
        return None
