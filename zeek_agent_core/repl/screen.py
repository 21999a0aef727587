"""Where a console writes: the terminal, if it is one, and files."""

import asyncio
import io
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from zeek_agent_core.errors import OutputError
from zeek_agent_core.repl.cells import lines_of, width

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CHUNK = 500
"""Lines that are written between two looks at whether to stop."""


class Screen:
    """Standard output and error, and what the terminal behind them can do."""

    def __init__(
        self,
        output: TextIO | None = None,
        errors: TextIO | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Write to *output* and *errors*, by default those of the process."""
        self.output = output or sys.stdout
        self.errors = errors or sys.stderr
        self.environment = environment
        self.is_terminal = self.output.isatty()
        is_dumb = environment.get("TERM", "dumb") in ("", "dumb", "unknown")
        self.is_capable = self.is_terminal and (os.name == "nt" or not is_dumb)
        """Whether the cursor can be moved."""
        self.has_colours = self.is_capable and not environment.get("NO_COLOR")
        self.is_paging = False
        """Whether a pager has the terminal, and Ctrl-C is its own affair."""

    def size(self) -> tuple[int, int]:
        """Return the columns and lines of the terminal."""
        try:
            found = os.get_terminal_size(self.output.fileno())
        except (OSError, ValueError, io.UnsupportedOperation):
            return 80, 24
        return found.columns or 80, found.lines or 24

    def write(self, text: str) -> None:
        """Write *text* at once; what the encoding lacks is escaped."""
        write(self.output, text)
        self.output.flush()

    def complain(self, text: str) -> None:
        """Write an error."""
        self.output.flush()
        write(self.errors, f"error: {lines_of(text)}\n")
        self.errors.flush()

    async def lines(self, lines: Iterable[str], *, is_paged: bool = False) -> None:
        """Write *lines*, through a pager where they do not fit and *is_paged*."""
        begun = iter(lines)
        if is_paged and self.is_capable:
            columns, rows = self.size()
            begun, is_long = _look_ahead(begun, columns, rows)
            if is_long:
                from zeek_agent_core.repl import pager  # noqa: PLC0415 - seldom needed

                self.is_paging = True
                try:
                    await pager.show(begun, self.output, rows, self.environment)
                finally:
                    self.is_paging = False
                return
        await write_lines(self.output, begun)


def _look_ahead(lines: Iterator[str], columns: int, rows: int) -> tuple[Iterator[str], bool]:
    """Return all *lines*, and whether they do not fit a screen of that size."""
    first = list(islice(lines, rows - 1))
    is_long = len(first) >= rows - 1 or any(visible_width(line) > columns for line in first)
    return chain(first, lines), is_long


def visible_width(line: str) -> int:
    """Return how many columns *line* takes, colours apart."""
    return width(ESCAPES.sub("", line))


def write(stream: TextIO, text: str) -> None:
    """Write *text* to *stream*; what its encoding lacks is escaped."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


async def write_lines(stream: TextIO, lines: Iterator[str]) -> None:
    """Write *lines* to *stream*; many of them in a thread, so that the loop goes on."""
    first = list(islice(lines, CHUNK))
    write(stream, "".join(f"{line}\n" for line in first))
    stopped = threading.Event()

    def rest() -> None:
        while not stopped.is_set() and (chunk := list(islice(lines, CHUNK))):
            write(stream, "".join(f"{line}\n" for line in chunk))

    if len(first) == CHUNK:
        try:
            await asyncio.to_thread(rest)
        finally:
            stopped.set()
    stream.flush()


def open_file(path: str) -> TextIO:
    """Open *path* for results; raise `OutputError` where that cannot be."""
    try:
        return Path(path).expanduser().open("w", encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"cannot write {path}: {(reason or str(error)).lower()}") from error
