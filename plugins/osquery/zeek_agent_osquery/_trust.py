"""Whether a Unix socket is one that only osquery, run by root or by us, can have opened.

Whoever can write to osquery's socket can register tables there, and so make up
what we would tell others as facts.
"""

import os
import socket
import stat
import struct
import sys
from pathlib import Path

from zeek_agent_osquery._errors import LostError

assert sys.platform != "win32"  # noqa: S101 - tells type checkers too

ROOT = 0


def trusted() -> set[int]:
    """Return the users whose osquery is asked."""
    return {ROOT, os.geteuid()}


def check(path: str) -> None:
    """Raise `LostError` unless the socket and its directory are safe from others.

    Raises `OSError` where it cannot be found out.
    """
    found = Path(path).stat()
    if not stat.S_ISSOCK(found.st_mode):
        raise LostError(f"{path} is not trusted: it is no socket")
    if found.st_uid not in trusted():
        raise LostError(f"{path} is not trusted: it belongs to another user ({found.st_uid})")
    if found.st_mode & stat.S_IWOTH:
        raise LostError(f"{path} is not trusted: everybody may write to it; run: chmod o-w {path}")
    directory = Path(path).resolve().parent
    holder = directory.stat()
    if holder.st_uid not in trusted():
        raise LostError(f"{directory} is not trusted: it belongs to another user")
    if holder.st_mode & stat.S_IWOTH and not holder.st_mode & stat.S_ISVTX:
        raise LostError(f"{directory} is not trusted: everybody may write to it")


def check_peer(path: str, connected: socket.socket) -> None:
    """Raise `LostError` unless the process at the other end is root's or ours."""
    user = peer_user(connected)
    if user is not None and user not in trusted():
        raise LostError(f"{path} is not trusted: user {user} answers there")


def peer_user(connected: socket.socket) -> int | None:
    """Return the user of the process at the other end; None where that is not known."""
    if sys.platform == "linux":
        layout = struct.Struct("3i")  # pid, uid, gid; man 7 unix
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
        return int(layout.unpack(raw)[1])
    elif sys.platform == "darwin":  # noqa: RET505 - so that the rest is reachable nowhere
        layout = struct.Struct("2I")  # version, uid, and more; sys/ucred.h
        local_peercred = 1  # at level 0; sys/un.h
        return int(layout.unpack_from(connected.getsockopt(0, local_peercred, 76))[1])
    else:
        return None
