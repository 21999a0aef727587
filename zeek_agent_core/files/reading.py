"""Opens and reads regular files, whatever else may be at the path."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from zeek_agent_core.api import Table
from zeek_agent_core.files.globs import Match, reason

CHUNK = 256 << 10
PSEUDO_BYTES = 64 << 20
"""What is read at most of a file beyond its size: kernel files state none, logs grow."""

CONSUMED = ("/kmsg", "/trace_pipe")
"""Endings of kernel files that hand out each line once: reading takes it from its reader."""

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class RegularFile:
    """An open file."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Own *descriptor*."""
        self.descriptor = descriptor
        self.size = size
        """Size when it was opened."""
        self.is_cut = False
        """Whether there was more than `chunks` reads."""

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """Yield the content in pieces, bounded even if the file has no end."""
        left = max(self.size, PSEUDO_BYTES)
        while left > 0:
            chunk = os.read(self.descriptor, min(size, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
        self.is_cut = self.size < PSEUDO_BYTES


@contextmanager
def open_regular(table: Table, match: Match) -> Iterator[RegularFile | None]:
    """Open a regular file, or give None: it is something else, gone, or unreadable.

    What exists but cannot be read, now or later in the block, is warned of. Never
    waits for a FIFO's writer, nor touches a device: opening one can act on it.
    """
    opened = _opened(table, match)
    if opened is None:
        yield None
        return
    try:
        yield opened
        if opened.is_cut:
            table.warn(f"{match.path} is read to {PSEUDO_BYTES >> 20} MiB only")
    except OSError as error:
        table.warn(f"cannot read {match.path}: {reason(error)}")
    finally:
        os.close(opened.descriptor)


def _opened(table: Table, match: Match) -> RegularFile | None:
    descriptor = -1
    try:
        if not stat.S_ISREG(os.stat(match.real).st_mode):  # noqa: PTH116 - speed
            return None
        descriptor = os.open(match.real, _FLAGS)
        status = os.fstat(descriptor)
        if not status.st_size and os.path.realpath(match.real).endswith(CONSUMED):
            table.warn(f"{match.path} is left alone: reading would take its content away")
        elif stat.S_ISREG(status.st_mode):
            return RegularFile(descriptor, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return None  # a dangling link, or gone since it was listed
    except OSError as error:
        table.warn(f"cannot read {match.path}: {reason(error)}")
    if descriptor >= 0:
        os.close(descriptor)
    return None


class Lines:
    """Cuts chunks into lines, and lines at a length."""

    def __init__(self, longest: int) -> None:
        """Let no line be longer than *longest* bytes."""
        self.longest = longest
        self.cut = 0
        """Lines that were longer."""

    def blocks(self, chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Yield the lines of each chunk, without their newlines.

        Memory is bounded by a chunk plus one line; the rest of a long line is
        dropped as it comes.
        """
        tail = b""
        for chunk in chunks:
            lines = chunk.split(b"\n")
            lines[0] = tail + lines[0]
            tail = lines.pop()
            if len(tail) > self.longest:
                tail = tail[: self.longest + 1]  # one byte more marks it as long
            yield self._bounded(lines)
        if tail:
            yield self._bounded([tail])

    def _bounded(self, lines: list[bytes]) -> list[bytes]:
        longest = self.longest
        if lines and max(map(len, lines)) > longest:
            self.cut += sum(len(line) > longest for line in lines)
            return [line[:longest] for line in lines]
        return lines


def line_blocks(table: Table, match: Match) -> Iterator[list[bytes]]:
    """Yield the lines of a file, some at a time; none if it cannot be read."""
    lines = Lines(table.setting("max_line_bytes"))
    with open_regular(table, match) as opened:
        if opened is not None:
            yield from lines.blocks(opened.chunks())
    if lines.cut:
        table.warn(f"{match.path}: {lines.cut} lines are cut at {lines.longest} bytes")
