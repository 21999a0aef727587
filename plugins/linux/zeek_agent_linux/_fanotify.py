"""Hears of what happens in directories, and of who did it, through fanotify.

Sources: fanotify(7), fanotify_init(2), fanotify_mark(2), name_to_handle_at(2).
Names come with Linux 5.9, both names of a renaming with 5.17.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Hashable, Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

from zeek_agent_linux._drain import Drain
from zeek_agent_linux._happenings import Happening, Heard, What

CLOEXEC, NONBLOCK, REPORT_DFID_NAME = 0x1, 0x2, 0xC00
ADD, REMOVE, ONLYDIR = 0x1, 0x2, 0x8
MODIFY, ATTRIB, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
Q_OVERFLOW, ON_CHILD, RENAME, ONDIR = 0x4000, 0x08000000, 0x10000000, 0x40000000
DFID_NAME, OLD_DFID_NAME, NEW_DFID_NAME = 2, 10, 12

_AT_FDCWD = -100
_VERSION = 3
_EVENT = struct.Struct("=IBBHQii")
_INFO = struct.Struct("=BBH")
_HANDLE = struct.Struct("=Ii")
_FSID = 8
MAX_HANDLE = 128
"""MAX_HANDLE_SZ of the kernel."""
CAP_SYS_ADMIN = 1 << 21

_WHATS = (
    (CREATE, What.CREATED),
    (MODIFY, What.MODIFIED),
    (ATTRIB, What.ATTRIBUTES),
    (DELETE, What.DELETED),
    (MOVED_FROM, What.MOVED_FROM),
    (MOVED_TO, What.MOVED_TO),
)
_KNOWN = CREATE | MODIFY | ATTRIB | DELETE | MOVED_FROM | MOVED_TO

_libc = ctypes.CDLL(None, use_errno=True)

Key = tuple[bytes, bytes]
"""A directory: ID of its file system; type and bytes of its handle."""


class Name(NamedTuple):
    """A name in a directory."""

    directory: Key
    name: bytes


class Event(NamedTuple):
    """One event as the kernel tells it."""

    mask: int
    pid: int
    names: dict[int, Name]
    """By the type of the information."""


def parse(data: bytes) -> Iterator[Event]:
    """Yield the events in what one read gave; raise `ValueError` on truncated ones."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < _EVENT.size:
            raise ValueError("truncated fanotify event")
        size, version, _, head, mask, _, pid = _EVENT.unpack_from(data, offset)
        end = offset + size
        if version != _VERSION or not _EVENT.size <= head <= size or end > len(data):
            raise ValueError(f"fanotify event of version {version} and length {size}")
        yield Event(mask, pid, _names(data[offset + head : end]))
        offset = end


def _names(data: bytes) -> dict[int, Name]:
    names = {}
    offset = 0
    while len(data) - offset >= _INFO.size:
        kind, _, size = _INFO.unpack_from(data, offset)
        if size < _INFO.size or offset + size > len(data):
            raise ValueError("truncated fanotify information")
        if kind in (DFID_NAME, OLD_DFID_NAME, NEW_DFID_NAME):
            names[kind] = _name(data[offset + _INFO.size : offset + size])
        offset += size
    return names


def _name(data: bytes) -> Name:
    if len(data) < _FSID + _HANDLE.size:
        raise ValueError("truncated fanotify handle")
    length, _ = _HANDLE.unpack_from(data, _FSID)
    end = _FSID + _HANDLE.size + length
    if length > MAX_HANDLE or end > len(data):
        raise ValueError("truncated fanotify handle")
    # The length in front of the handle is left out of the key.
    return Name((data[:_FSID], data[_FSID + 4 : end]), data[end:].partition(b"\0")[0])


def key_of(path: str) -> Key:
    """Return the key of the directory *path*; raise `OSError` if its file system has none."""
    handle = ctypes.create_string_buffer(_HANDLE.size + MAX_HANDLE)
    _HANDLE.pack_into(handle, 0, MAX_HANDLE, 0)
    mount = ctypes.c_int()
    name = os.fsencode(path)
    if _libc.name_to_handle_at(_AT_FDCWD, name, handle, ctypes.byref(mount), 0):
        _fail(path)
    length, _ = _HANDLE.unpack_from(handle)
    return file_system(path), handle.raw[4 : _HANDLE.size + length]


def file_system(path: str) -> bytes:
    """Return the ID of the file system at *path* as the kernel gives it."""
    return struct.pack("=Q", os.statvfs(path).f_fsid & 0xFFFFFFFFFFFFFFFF)


def _fail(path: str | None = None) -> None:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), path)


class Fanotify:
    """A fanotify group; a context manager, whose end removes all marks."""

    tells_twice: ClassVar[bool] = False

    def __init__(self) -> None:
        """Make the group; raise `OSError` where that is not allowed or not known."""
        self._descriptor = -1
        flags = CLOEXEC | NONBLOCK | REPORT_DFID_NAME
        self._descriptor = _libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC)
        if self._descriptor < 0:
            _fail("fanotify")
        self._drain = Drain(self._descriptor)
        self._rename = RENAME

    def __enter__(self) -> Self:
        """Return the group."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all marks."""
        os.close(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def add(self, path: str, *, is_passage: bool) -> Hashable:
        """Watch the directory *path*."""
        key = key_of(path)
        names = CREATE | DELETE | ONDIR | (ON_CHILD if not is_passage else 0)
        mask = names if is_passage else names | MODIFY | ATTRIB
        try:
            self._mark(ADD | ONLYDIR, mask | (self._rename or MOVED_FROM | MOVED_TO), path)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._rename:
                raise
            self._rename = 0  # a kernel before 5.17
            self._mark(ADD | ONLYDIR, mask | MOVED_FROM | MOVED_TO, path)
        return key

    def remove(self, watch: Hashable, path: str) -> None:
        """Watch the directory no more."""
        mask = CREATE | DELETE | ONDIR | ON_CHILD | MODIFY | ATTRIB
        mask |= self._rename or MOVED_FROM | MOVED_TO
        try:
            if key_of(path) == watch:
                self._mark(REMOVE | ONLYDIR, mask, path)
        except OSError:  # it is gone, and its mark with it
            pass

    def _mark(self, flags: int, mask: int, path: str) -> None:
        name = os.fsencode(path)
        where = ctypes.c_uint64(mask)
        if _libc.fanotify_mark(self._descriptor, ctypes.c_uint(flags), where, _AT_FDCWD, name):
            _fail(path)

    @property
    def has_more(self) -> bool:
        """Whether something was read and not returned yet."""
        return bool(self._drain)

    def read(self) -> Heard:
        """Return what waits."""
        happenings: list[Happening] = []
        overflows = 0
        for event in parse(self._drain.take()):
            if event.mask & Q_OVERFLOW:
                overflows += 1
            else:
                happenings += to_happenings(event)
        return Heard(happenings, [], overflows)


def to_happenings(event: Event) -> Iterator[Happening]:
    """Yield what *event* tells: of a renaming, and of all else that was merged with it."""
    mask, pid = event.mask, event.pid if event.pid > 0 else None
    is_directory = bool(mask & ONDIR)
    if mask & RENAME:
        old, new = event.names.get(OLD_DFID_NAME), event.names.get(NEW_DFID_NAME)
        yield Happening(
            old.directory if old else None,
            os.fsdecode(old.name) if old else "",
            What.RENAMED,
            is_directory,
            pid,
            0,
            new.directory if new else None,
            os.fsdecode(new.name) if new else "",
        )
    named = event.names.get(DFID_NAME)
    if named is not None and mask & _KNOWN:
        what = 0
        for bit, meaning in _WHATS:
            if mask & bit:
                what |= meaning
        name = "" if named.name == b"." else os.fsdecode(named.name)
        yield Happening(named.directory, name, what, is_directory, pid)


def check() -> None:
    """Raise `OSError` if fanotify does not work, or does not tell processes."""
    status = Path("/proc/self/status").read_bytes()
    effective = int(status.partition(b"\nCapEff:")[2].split(None, 1)[0], 16)
    if not effective & CAP_SYS_ADMIN:
        raise PermissionError(1, "run as root, with CAP_SYS_ADMIN, to be told of processes")
    try:
        with Fanotify() as made:
            made.add("/", is_passage=True)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            release = platform.release()
            raise OSError(error.errno, f"Linux {release} has no names in fanotify") from error
        raise
