"""A log file that is begun anew by size and time, and survives a full disk."""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from zeek_agent_core.local.archive import Archive, LocalTime
from zeek_agent_core.local.health import Health

RETRY = 60.0
"""Seconds to go on with a file that is due but cannot be renamed."""

BLOCK = 65536

_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """When files are begun anew, and how many old ones stay."""

    max_bytes: int = 100_000_000
    """Size that no file passes, unless one piece of a result alone does."""
    every: timedelta | None = timedelta(days=1)
    """Time after which a file is put away, counted from full multiples since 1970 in UTC."""
    keep: int = 10
    """Files of each log that are kept besides the current one."""
    mode: int = 0o640
    """Access of new files, before the umask takes its share."""
    local_time: LocalTime = time.localtime
    """Time zone of file names and of the times in headers."""


class RotatingFile:
    """Appends whole lines to *path*, and puts the file away when its time has come.

    A file that is already there, from an earlier run, is put away under the
    time of its last change and never written to; a torn last line is cut off
    it. When the disk is full or the directory is gone, lines are counted
    and dropped until it works again; what a failed write left of a line is
    cut off. Nothing is forced to disk with `fsync`.
    """

    def __init__(
        self,
        path: Path,
        *,
        rotation: Rotation,
        clock: Callable[[], float] = time.time,
        header: Callable[[float], bytes] = lambda _: b"",
        footer: Callable[[float], bytes] = lambda _: b"",
    ) -> None:
        """Write to *path* from the first `write` on; *header* and *footer* get the time."""
        self.path = path
        self.archive = Archive(path, rotation.keep, rotation.local_time)
        self.health = Health(f"write {path}")
        self._moving = Health(f"rename {path}")
        self._rotation = rotation
        self._clock = clock
        self._header = header
        self._footer = footer
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._begun = 0.0
        self._due = float("inf")
        self._retry = 0.0

    def write(self, block: bytes) -> None:
        """Append *block*, one or more lines with their ends."""
        try:
            self._make_ready(len(block))
        except OSError as error:
            self.health.failed(error, block.count(b"\n"))
            return
        kept, failure = self._send(block)
        self._size += kept
        if failure is None:
            self.health.works()
        else:
            self.health.failed(failure, block.count(b"\n", kept))

    def rotate(self) -> None:
        """Put the file away if its time is over."""
        if self._fd is not None and self._is_due(0):
            try:
                self._put_away()
            except OSError as error:
                self.health.failed(error, 0)

    def close(self) -> None:
        """Finish the file and leave it in place; one more `write` begins a new one."""
        if self._fd is None:
            return
        _, failure = self._send(self._footer(self._clock()))
        if failure is not None:
            self.health.failed(failure, 0)
        self._drop()

    def _make_ready(self, size: int) -> None:
        """Have a file open that may take *size* more bytes."""
        if self._fd is not None and not self._is_in_place():
            self.close()
        if self._fd is not None and self._is_due(size):
            self._put_away()
        if self._fd is None:
            self._open()

    def _is_in_place(self) -> bool:
        """Return whether the path still leads to the file that is open."""
        try:
            return _identity(self.path.lstat()) == self._identity
        except OSError:
            return False

    def _is_due(self, size: int) -> bool:
        now = self._clock()
        is_full = self._size > 0 and self._size + size > self._rotation.max_bytes
        return (is_full or now >= self._due) and now >= self._retry

    def _put_away(self) -> None:
        """Close and rename the file; go on with it where that is not possible.

        A file cannot be renamed on Windows while someone reads it.
        """
        self.close()
        try:
            self.archive.put_away(self._begun)
        except OSError as error:
            self._moving.failed(error, 0)
            self._retry = self._clock() + RETRY
            self._fd = os.open(self.path, _FLAGS)
        else:
            self._moving.works()

    def _open(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._put_earlier_away(self.path.lstat())
        now = self._clock()
        # O_EXCL: never a file or link that someone else has put there.
        self._fd = os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, self._rotation.mode)
        self._identity = _identity(os.fstat(self._fd))
        self._begun = now
        self._due = self._next_due(now)
        self._retry = 0.0
        self._size, failure = self._send(self._header(now))
        if failure is not None:
            self._drop()
            self.path.unlink()
            raise failure

    def _put_earlier_away(self, found: os.stat_result) -> None:
        if stat.S_ISREG(found.st_mode):
            self._cut_torn_line()
        elif not stat.S_ISLNK(found.st_mode):
            return
        is_ours = _identity(found) == self._identity
        self.archive.put_away(self._begun if is_ours else found.st_mtime)

    def _cut_torn_line(self) -> None:
        """Cut off a last line without end, as a crash leaves it."""
        with contextlib.suppress(OSError), self.path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            whole = 0
            while end and not whole:
                start = max(0, end - BLOCK)
                file.seek(start)
                whole = file.read(end - start).rfind(b"\n") + 1
                whole, end = whole and start + whole, start
            if whole != file.seek(0, os.SEEK_END):
                file.truncate(whole)

    def _next_due(self, now: float) -> float:
        every = self._rotation.every
        if not every:
            return float("inf")
        seconds = every.total_seconds()
        return (now // seconds + 1) * seconds

    def _send(self, block: bytes) -> tuple[int, OSError | None]:
        """Append *block*; return how much of it arrived, in whole lines, and what failed."""
        done = 0
        if self._fd is None:
            return 0, OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            while done < len(block):
                done += os.write(self._fd, block[done:] if done else block)
        except OSError as error:
            kept = block.rfind(b"\n", 0, done) + 1
            self._cut(done - kept)
            return kept, error
        return done, None

    def _cut(self, surplus: int) -> None:
        """Cut the last *surplus* bytes off; where that fails, give the file up."""
        if self._fd is not None and surplus:
            try:
                os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR) - surplus)
            except OSError:
                self._drop()

    def _drop(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
