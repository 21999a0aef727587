"""What is asked of a process that made a call, as long as it lives: its sockets, its files.

A socket is asked by a copy of its descriptor (pidfd_getfd(2), Linux 5.6), which
is closed at once. Source: man 2 pidfd_getfd, man 7 socket.
"""

import ctypes
import os
import socket
from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

from zeek_agent_linux._audit.sockaddr import IPV4, IPV6, ip_text

PIDFD_GETFD = 438
"""Number of the system call, the same on all architectures."""
FAMILIES = (IPV4, IPV6)


class Ends(NamedTuple):
    """Both ends of a socket; one that has no IP address is None."""

    family: int
    protocol: int
    local: tuple[str, int] | None
    remote: tuple[str, int] | None


def socket_ends(pid: int, descriptor: int) -> Ends | None:
    """Return the ends of a socket of the process *pid*; None if it is gone."""
    try:
        copy = _copied(pid, descriptor)
    except (OSError, AttributeError):
        return None
    with closing(copy):
        try:
            protocol = copy.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
            if copy.family not in FAMILIES:
                return Ends(copy.family, protocol, None, None)
            return Ends(copy.family, protocol, _end(copy.getsockname()), _peer(copy))
        except OSError:
            return None


def _copied(pid: int, descriptor: int) -> socket.socket:
    process = os.pidfd_open(pid)
    try:
        copy = _getfd(process, descriptor)
    finally:
        os.close(process)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _getfd(process: int, descriptor: int) -> int:
    copy: int = _libc().syscall(
        ctypes.c_long(PIDFD_GETFD),
        ctypes.c_int(process),
        ctypes.c_int(descriptor),
        ctypes.c_uint(0),
    )
    if copy < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return copy


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _peer(copy: socket.socket) -> tuple[str, int] | None:
    try:
        return _end(copy.getpeername())
    except OSError:
        return None  # not connected


def _end(name: Any) -> tuple[str, int]:
    address = name[0].partition("%")[0]
    if ":" in address:
        address = ip_text(socket.inet_pton(socket.AF_INET6, address))
    return address, name[1]


def directory(prefix: str, pid: int, descriptor: int) -> str | None:
    """Return the path of the directory behind a descriptor of the process *pid*."""
    try:
        path = os.readlink(f"{prefix}/proc/{pid}/fd/{descriptor}")  # noqa: PTH115 - for speed
    except OSError:
        return None
    return path if path.startswith("/") else None


def is_thread(prefix: str, pid: int, task: int) -> bool | None:
    """Return whether *task* is a thread of the process *pid*; None if it is gone."""
    if os.path.exists(f"{prefix}/proc/{pid}/task/{task}"):  # noqa: PTH110 - for speed
        return True
    return False if os.path.exists(f"{prefix}/proc/{task}") else None  # noqa: PTH110
