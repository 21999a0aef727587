"""Follows systemd's journal through its library, in a thread of its own."""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeek_agent_linux._libsystemd import Journal
from zeek_agent_linux._readable import Readable

CHUNK = 1000
"""Entries that are read at a time, at most."""
SLICE = 0.05
"""Seconds that reading a chunk may take."""
POLL = 2.0
"""Seconds between two looks where the kernel does not tell of changes."""

DIRECTORIES = ("/run/log/journal", "/var/log/journal")
DAEMON = "/run/systemd/journal/socket"


_CURSOR = re.compile(r"s=([0-9a-f]{32});i=([0-9a-f]{1,16});.*")

Sequence = tuple[str, int]
"""ID of a sequence of numbers, and the number of an entry in it."""


def sequence(cursor: str) -> Sequence | None:
    """Return which number the entry at *cursor* has; None if it is no cursor."""
    match = _CURSOR.fullmatch(cursor)
    return (match[1], int(match[2], 16)) if match else None


@dataclass(slots=True)
class Start:
    """Where to begin."""

    cursor: str | None = None
    """Behind this entry, wherever it was written."""
    earliest: int = 0
    """But not before this time, in µs since the epoch."""
    back: int = 0
    """Without cursor, so many entries before the end."""


@dataclass(slots=True)
class Chunk:
    """What one turn of reading gave."""

    rows: list[Any] = field(default_factory=list)
    cursor: str | None = None
    """Of the last entry that was looked at."""
    is_start: bool = False
    """Whether this says that nothing new is missed any more."""
    is_end: bool = False
    """Whether there is nothing more at present."""
    damaged: int = 0
    """Entries that could not be read."""
    missing: int = 0
    """Entries that were deleted before they could be read."""


Read = Callable[[Journal], Any | None]
"""Makes a row of the entry at hand; None for none. Runs in the thread."""


class Follower:
    """Reads a journal from a place on, chunk by chunk."""

    def __init__(self, directory: str, start: Start, read: Read) -> None:
        """Read the files in *directory*, or the host's, making rows by *read*."""
        self._directory = directory
        self._start = start
        self._read = read
        self._journal: Journal
        self._has_entry = False
        self._first: str | None = None
        """The entry at which following began, if there is one."""
        self.matches: list[list[bytes]] = []
        """What to ask of entries; may be set at any time, and holds for what is read next."""
        self._applied: list[list[bytes]] = []
        self._last: Sequence | None = None
        """Of the entry before the next one, if that is known."""

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield chunks without end, the first once nothing new is missed; it may be empty."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            descriptor, wait = await loop.run_in_executor(thread, self._open)
            yield Chunk(cursor=self._first, is_start=True)
            ready = Readable([descriptor])
            while True:
                chunk = await loop.run_in_executor(thread, self._chunk)
                yield chunk
                if chunk.is_end:
                    await ready.wait(0, wait)
                    await loop.run_in_executor(thread, self._process)
        finally:
            closing = loop.run_in_executor(thread, self._close)
            thread.shutdown(wait=False)
            await asyncio.shield(closing)

    def _open(self) -> tuple[int, float | None]:
        """Open the journal and go to the start; return its descriptor and how long to wait."""
        journal = self._journal = Journal(self._directory)
        descriptor = journal.fileno()  # from now on changes are noticed
        wait = None if journal.is_reliable else POLL
        self._go_to_start(journal)
        return descriptor, wait

    def _go_to_start(self, journal: Journal) -> None:
        start = self._start
        if start.cursor is None:
            journal.seek_end(start.back)
            with suppress(OSError):  # there are no entries, or too few
                self._first = journal.cursor()
            return
        self._last = sequence(start.cursor)
        is_known = journal.seek_cursor(start.cursor)
        try:
            is_old = journal.time() < start.earliest
        except OSError:  # behind the last entry
            return
        if is_old:
            self._last = None
            journal.seek_time(start.earliest)
        else:
            self._has_entry = not is_known

    def _process(self) -> None:
        self._journal.process()

    def _close(self) -> None:
        if hasattr(self, "_journal"):
            self._journal.__exit__(None, None, None)

    def _chunk(self) -> Chunk:
        """Read entries until there are no more, or enough for now."""
        journal, chunk = self._journal, Chunk()
        if self._applied != self.matches:
            self._applied, self._last = self.matches, None
            journal.match(self._applied)
        until = time.monotonic() + SLICE
        count = 0
        while self._has_entry or journal.next():
            self._has_entry = False
            count += 1
            try:
                row = self._read(journal)
            except OSError:  # the file went away, or is damaged here
                chunk.damaged += 1
                continue
            if row is not None:
                chunk.rows.append(row)
            if count >= CHUNK or (not count & 63 and time.monotonic() > until):
                break
        else:
            chunk.is_end = True
        if count:
            with suppress(OSError):
                chunk.cursor = journal.cursor()
            self._count_missing(chunk, count)
        return chunk

    def _count_missing(self, chunk: Chunk, count: int) -> None:
        """Find out by the numbers of entries whether there were more than the *count* read."""
        last, self._last = self._last, sequence(chunk.cursor or "")
        if self._applied or last is None or self._last is None or last[0] != self._last[0]:
            return
        chunk.missing = max(self._last[1] - last[1] - count, 0)


def check(prefix: str, directory: str) -> None:
    """Raise `OSError` if there is no journal to follow, or we may not read it."""
    with Journal(directory):
        check_files(prefix, directory)


def check_files(prefix: str, directory: str) -> None:
    """Raise `OSError` if there are no files of a journal, or we may not read them."""
    if directory:
        if not Path(directory).is_dir():
            raise FileNotFoundError(2, "no such directory", directory)
        return
    if not Path(prefix + DAEMON).exists():
        raise FileNotFoundError(2, "no journal is kept here: there is no", prefix + DAEMON)
    files = [
        file for where in DIRECTORIES for file in Path(prefix + where).glob("*/system.journal")
    ]
    if not files:
        raise FileNotFoundError(2, "no journal below", " or ".join(DIRECTORIES))
    if not any(os.access(file, os.R_OK) for file in files):
        raise PermissionError(1, "run as root, or in group systemd-journal, to read", str(files[0]))
