"""Follows files that grow, over rotation and truncation."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BLOCK = 1 << 16
LONGEST = 1 << 16
"""Bytes of a line; of a longer one the rest is left out."""

Place = tuple[int, int, int]
"""Device, inode, and the offset behind the last line that was taken."""


def as_place(kept: Any) -> Place | None:
    """Return what a bookmark holds as a place; None if it is none."""
    is_whole = isinstance(kept, list | tuple) and len(kept) == 3  # noqa: PLR2004 - a place
    if not is_whole or not all(isinstance(part, int) for part in kept):
        return None
    device, inode, offset = kept
    return device, inode, offset


@dataclass(slots=True)
class Tail:
    """One file, by its name; `read` takes what was added: lines, or records."""

    path: str
    size: int | None = None
    """Bytes of a record, where the file has no lines."""
    place: Place | None = None
    _file: int | None = None
    _offset: int = 0
    _rest: bytes = b""
    _is_cut: bool = False
    """Whether the line at hand is too long and its rest to be left out."""

    def start(self, place: Place | None) -> None:
        """Begin at *place*, or at the end of what is there; a missing file is fine.

        If the file was renamed since, what it has behind *place* comes first.
        """
        if place is None:
            self._open(self.path)
            if self._file is not None:
                self._offset = os.fstat(self._file).st_size
        else:
            self._open(self._named_now(place) or self.path)
            if self._file is not None:
                status = os.fstat(self._file)
                is_known = place[:2] == (status.st_dev, status.st_ino)
                self._offset = place[2] if is_known and place[2] <= status.st_size else 0
        self._note()

    def read(self, most: int = BLOCK) -> Iterator[bytes]:
        """Yield lines that were added, without their ends, of about *most* bytes.

        There are none only if nothing waits.
        """
        if self._file is None:
            self._open(self.path)
        yield from self._added(most)
        if self._is_replaced():  # and all that came before the renaming is read
            if self._rest and not self._is_cut:
                yield self._rest
            self.close()
            self._open(self.path)
            yield from self._added(most)

    def before(self, most: int) -> list[bytes]:
        """Return the last records before what `read` is about to give, at most so many."""
        if self._file is None or self.size is None:
            return []
        first = max(self._offset - most * self.size, self._offset % self.size)
        return self._cut(os.pread(self._file, self._offset - first, first))[0]

    def close(self) -> None:
        """Let go of the file; twice is fine."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._offset, self._rest, self._is_cut = None, 0, b"", False

    def _named_now(self, place: Place) -> str | None:
        """Return the name that the file of *place* has now, if it has one like ours."""
        directory, name = os.path.split(self.path)
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    # Only what rotation makes of it, as `syslog.1` or `syslog-20250601`.
                    if entry.name.startswith(name) and entry.inode() == place[1]:
                        return entry.path if entry.stat().st_dev == place[0] else None
        except OSError:
            pass
        return None

    def _open(self, path: str) -> None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            return
        self._file = file
        self._note()

    def _added(self, most: int) -> Iterator[bytes]:
        if self._file is None:
            return
        if os.fstat(self._file).st_size < self._offset:  # truncated
            self._offset, self._rest, self._is_cut = 0, b"", False
        has_given = False
        while block := os.pread(self._file, BLOCK, self._offset):
            self._offset += len(block)
            most -= len(block)
            lines, self._rest = self._cut(self._rest + block)
            for line in lines:
                if not self._is_cut:
                    has_given = True
                    yield line[:LONGEST]
                self._is_cut = False
            if len(self._rest) > LONGEST:
                if not self._is_cut:
                    has_given = True
                    yield self._rest[:LONGEST]
                self._rest, self._is_cut = b"", True
            if most <= 0 and has_given:
                break
        self._note()

    def _cut(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the lines or records in *data*, and what follows them."""
        if self.size is None:
            *lines, rest = data.split(b"\n")
            return lines, rest
        size, whole = self.size, len(data) // self.size * self.size
        return [data[at : at + size] for at in range(0, whole, size)], data[whole:]

    def _note(self) -> None:
        if self._file is not None:
            status = os.fstat(self._file)
            self.place = (status.st_dev, status.st_ino, self._offset - len(self._rest))

    def _is_replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            there = os.stat(self.path)  # noqa: PTH116 - as the descriptor is asked
        except OSError:
            return False  # between renaming and the new file
        here = os.fstat(self._file)
        if here.st_size > self._offset:
            return False
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)
