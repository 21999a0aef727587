"""Watches directories and files through inotify(7)."""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Self

MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF, UNMOUNT, OVERFLOW, IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
ONLYDIR, DONT_FOLLOW, EXCL_UNLINK, ISDIR = 0x01000000, 0x02000000, 0x04000000, 0x40000000

CHANGES = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE
"""What happens in a directory, apart from looking."""

_HEAD = struct.Struct("=iIII")
BUFFER = 1 << 16
_libc = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """One event as the kernel tells it."""

    watch: int
    mask: int
    cookie: int
    """Pairs `MOVED_FROM` and `MOVED_TO`."""
    name: bytes
    """Empty for the watched directory itself."""


def parse(data: bytes) -> Iterator[Event]:
    """Yield the events in what one read gave; raise `ValueError` on truncated ones."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEAD.size:
            raise ValueError("truncated inotify event")
        watch, mask, cookie, size = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        if len(data) - offset < size:
            raise ValueError("truncated inotify name")
        name = data[offset : offset + size]
        yield Event(watch, mask, cookie, name[: name.find(b"\0")] if b"\0" in name else name)
        offset += size


class Inotify:
    """An inotify instance; a context manager, whose end removes all watches."""

    def __init__(self) -> None:
        """Make the instance; raise `OSError` if there may be no more."""
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            code = ctypes.get_errno()
            hint = ": raise fs.inotify.max_user_instances" if code == errno.EMFILE else ""
            raise OSError(code, os.strerror(code) + hint, "inotify")

    def __enter__(self) -> Self:
        """Return the instance."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all watches."""
        os.close(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return int(self._descriptor)

    def add(self, path: bytes | str, mask: int) -> int:
        """Watch *path* and return the number of the watch; raise `OSError`."""
        watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask)
        if watch < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fsdecode(path))
        return int(watch)

    def remove(self, watch: int) -> None:
        """Watch no more; a watch that is gone is no error."""
        _libc.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> bytes:
        """Return events that wait; empty if there are none."""
        try:
            return os.read(self._descriptor, BUFFER)
        except BlockingIOError:
            return b""
