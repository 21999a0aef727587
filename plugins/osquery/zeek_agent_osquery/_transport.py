"""How bytes reach osquery: a Unix socket that can be trusted, or a Windows named pipe."""

import os
import sys
from contextlib import suppress
from typing import Protocol

from zeek_agent_osquery._errors import LostError

__all__ = ["Transport", "connect", "identity"]

CHUNK = 1 << 18


class Transport(Protocol):
    """A connection that never waits longer than it is told to."""

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of *data*; raise `LostError` or, after *seconds*, `TimeoutError`."""

    def receive(self, seconds: float) -> bytes:
        """Return what has come, nothing after *seconds*; raise `LostError` at the end."""

    def close(self) -> None:
        """End the connection; whoever waits for it, in any thread, gets a `LostError`."""


def lost(error: OSError) -> LostError:
    """Return an error of the operating system as ours."""
    return LostError(f"the connection to osquery broke: {reason(error)}")


def reason(error: OSError) -> str:
    """Return what the operating system says, as part of a sentence."""
    return (error.strerror or str(error) or type(error).__name__).lower()


if sys.platform == "win32":
    from zeek_agent_osquery._pipe import connect, identity
else:
    import socket

    from zeek_agent_osquery import _trust

    class UnixSocket:
        """A connection over a Unix stream socket."""

        def __init__(self, connected: socket.socket) -> None:
            """Use a socket that is connected."""
            self._socket = connected

        def send(self, data: bytes, seconds: float) -> None:
            """Send all of *data*."""
            try:
                self._socket.settimeout(max(seconds, 0.001))
                self._socket.sendall(data)
            except TimeoutError:
                raise
            except OSError as error:
                raise lost(error) from error

        def receive(self, seconds: float) -> bytes:
            """Return what has come."""
            try:
                self._socket.settimeout(max(seconds, 0.001))
                chunk = self._socket.recv(CHUNK)
            except TimeoutError:
                return b""
            except OSError as error:
                raise lost(error) from error
            if not chunk:
                raise LostError("osquery closed the connection")
            return chunk

        def close(self) -> None:
            """End the connection, also under somebody who waits for it."""
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def connect(path: str, seconds: float) -> Transport:
        """Connect to the socket *path*, once it is sure whose it is; raise `LostError`."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _trust.check(path)
            made.settimeout(seconds)
            made.connect(path)
            _trust.check_peer(path, made)
        except FileNotFoundError as error:
            made.close()
            raise LostError(f"osquery does not run: there is no {path}") from error
        except ConnectionRefusedError as error:
            made.close()
            raise LostError(f"osquery does not run: nobody answers at {path}") from error
        except OSError as error:
            made.close()
            raise LostError(f"cannot reach osquery at {path}: {reason(error)}") from error
        except BaseException:
            made.close()
            raise
        return UnixSocket(made)

    def identity(path: str) -> object:
        """Return what changes when somebody opens the socket anew; None without one."""
        try:
            found = os.stat(path)  # noqa: PTH116 - called often
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_ctime_ns
