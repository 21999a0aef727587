"""The console socket as a Unix stream socket: who may open it, and who may connect."""

import asyncio
import errno
import os
import socket
import stat
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from zeek_agent_core.errors import RemoteError

assert sys.platform != "win32"  # noqa: S101 - tells type checkers too

ROOT = 0
PROBE_SECONDS = 1.0
BACKLOG = 64

Factory = Callable[[], asyncio.Protocol]


@asynccontextmanager
async def listening(path: Path, factory: Factory) -> AsyncIterator[None]:
    """Accept connections at *path*; *factory* makes the protocol of each.

    Raises `RemoteError` where that is not possible, not safe, or another agent
    answers there already.
    """
    loop = asyncio.get_running_loop()
    try:
        listener = claim(path)
    except OSError as error:
        raise RemoteError(f"cannot open {path}: {_reason(error)}") from error
    ours = identity(path)
    try:
        server = await loop.create_unix_server(factory, sock=listener)
        try:
            yield
        finally:
            server.close()
    finally:
        listener.close()
        remove_own(path, ours)


def remove_own(path: Path, ours: tuple[int, int] | None) -> None:
    """Remove our socket, unless somebody has put another one there."""
    if ours is not None and identity(path) == ours:
        with suppress(OSError):
            path.unlink()


def claim(path: Path) -> socket.socket:
    """Return a socket that listens at *path*, where nobody else must be listening."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_directory(path.parent)
    with _alone_in(path.parent):
        remove_stale(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # the socket is never, not for a moment, open to others
        try:
            made.bind(os.fspath(path))
            made.listen(BACKLOG)
        except BaseException:
            made.close()
            raise
        finally:
            os.umask(before)
    return made


def check_directory(directory: Path) -> None:
    """Raise `RemoteError` unless only we and root can put files into *directory*.

    A directory such as `/tmp` will do: there nobody can replace what is ours.
    """
    try:
        found = directory.stat()
    except OSError as error:
        raise RemoteError(f"cannot use directory {directory}: {_reason(error)}") from error
    if found.st_uid not in trusted():
        raise RemoteError(f"directory {directory} belongs to another user ({found.st_uid})")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise RemoteError(f"directory {directory} can be written by others; run: chmod go-w")


def trusted() -> set[int]:
    """Return the users whose processes we talk to."""
    return {ROOT, os.geteuid()}


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep two agents that start at once from taking each other's socket for stale."""
    import fcntl  # noqa: PLC0415 - Unix only

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RemoteError(f"another agent is opening a socket in {directory}") from error
        yield
    finally:
        os.close(descriptor)


def remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens at; raise `RemoteError` if somebody does."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise RemoteError(f"{path} is in the way: it is not a socket")
    if found.st_uid not in trusted():
        raise RemoteError(f"{path} is in the way: it belongs to another user ({found.st_uid})")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except (BlockingIOError, TimeoutError):  # its queue is full: there is someone
            pass
    raise RemoteError(f"another agent answers at {path}")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from all others; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def connect(path: Path, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
    """Connect to the agent at *path*, once it is sure that it is ours or root's."""
    check_directory(path.parent)
    try:
        check_socket(path)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_unix_connection(factory, os.fspath(path))
    except OSError as error:
        raise RemoteError(f"no agent answers at {path}: {_reason(error)}") from error
    if not is_trusted(transport):
        transport.abort()
        raise RemoteError(f"the agent at {path} is neither yours nor root's")
    return transport


def check_socket(path: Path) -> None:
    """Raise `RemoteError` unless *path* is a socket that only its owner can use."""
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise RemoteError(f"{path} is not a socket")
    if found.st_uid not in trusted():
        raise RemoteError(f"{path} belongs to another user ({found.st_uid})")
    if found.st_mode & 0o022:
        raise RemoteError(f"{path} is open to other users")


def is_trusted(transport: asyncio.BaseTransport) -> bool:
    """Return whether the process at the other end is root's or ours."""
    return peer_user(transport.get_extra_info("socket")) in trusted()


def peer_user(connected: socket.socket) -> int | None:
    """Return the user of the process at the other end; None where that is not known."""
    if sys.platform == "linux":
        credentials = struct.Struct("3i")  # pid, uid, gid; man 7 unix
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        return int(credentials.unpack(raw)[1])
    elif sys.platform == "darwin":  # noqa: RET505 - so that the rest is reachable nowhere
        credentials = struct.Struct("2I")  # version, uid, and more; sys/ucred.h
        local_peercred = 1  # at level 0; sys/un.h
        raw = connected.getsockopt(0, local_peercred, 76)
        return int(credentials.unpack_from(raw)[1])
    else:
        return None


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "there is no such file"
    if error.errno == errno.ECONNREFUSED:
        return "it has ended without cleaning up"
    return (error.strerror or str(error)).lower()
