"""Lines to a stream that is given, such as standard output."""

import os
import select
from typing import TextIO

from zeek_agent_core.errors import OutputError
from zeek_agent_core.local.health import Health

PATIENCE = 5.0
"""Seconds to wait for a stream that was set not to block and takes no more."""

NEWLINE = 10


class LineStream:
    """Writes whole lines; a line that a failure cut is completed before the next."""

    def __init__(self, stream: TextIO, *, encoding: str | None = None) -> None:
        """Write to *stream*, in its own encoding if none is given."""
        name = getattr(stream, "name", None)
        self.stream = stream
        self.health = Health(f"write to {name if isinstance(name, str) else 'the stream'}")
        self._encoding = encoding or getattr(stream, "encoding", None) or "utf-8"
        self._descriptor = _descriptor(stream)
        self._rest = b""

    def write(self, lines: str) -> None:
        """Write *lines*, each with its end; those that cannot be written are counted.

        Raises `OutputError` when the reader of a pipe has gone: nobody is
        left who could want the rest.
        """
        block = self._rest + lines.encode(self._encoding, "backslashreplace")
        done = 0
        try:
            self.stream.flush()
            if self._descriptor is None:
                self.stream.write(block.decode(self._encoding))
                self.stream.flush()
                done = len(block)
            while done < len(block):
                done += _put(self._descriptor or 0, block[done:] if done else block)
        except BrokenPipeError as error:
            raise OutputError(f"cannot {self.health.task}: its reader has gone") from error
        except OSError as error:
            self._keep_rest(block, done)
            self.health.failed(error, block.count(b"\n", done + len(self._rest)))
        else:
            self._rest = b""
            self.health.works()

    def _keep_rest(self, block: bytes, done: int) -> None:
        """Remember what is missing of the line that ends early in the stream."""
        is_cut = block[done - 1] != NEWLINE if done else bool(self._rest)
        self._rest = block[done : block.find(b"\n", done) + 1] if is_cut else b""


def _put(descriptor: int, block: bytes) -> int:
    try:
        return os.write(descriptor, block)
    except BlockingIOError:
        # Whoever shares the terminal with us may have set it not to block.
        if not select.select([], [descriptor], [], PATIENCE)[1]:
            raise
        return 0


def _descriptor(stream: TextIO) -> int | None:
    """Return the descriptor to write bytes to; none where only text will do.

    A buffered stream keeps what it could not write, and would send it twice.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    # A console of Windows shows bytes in a code page of its own.
    return None if os.name == "nt" and stream.isatty() else descriptor
