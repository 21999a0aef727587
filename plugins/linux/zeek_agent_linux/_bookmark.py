"""Where a reader of a log stands, kept over restarts of the agent."""

import asyncio
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeek_agent_core.api import write_private

DELAY = 1.0
"""Seconds between two writes."""


class Bookmark:
    """A place for each source by its name; what is JSON can be a place.

    Two places are kept: up to where rows were given, and up to where every
    query has read them, which is the one that outlives the agent.
    """

    def __init__(self, state: Path | None, name: str, warn: Callable[[str], None]) -> None:
        """Keep the file *name* in *state*; nowhere if that is None. Tell *warn* of trouble."""
        self._path = state / f"{name}.json" if state is not None else None
        self._warn = warn
        self._lock: int | None = None
        self._read: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Take the file; only the first of several agents keeps it."""
        if self._path is not None and self._lock is None:
            await asyncio.to_thread(self._load, self._path)

    async def aclose(self) -> None:
        """Write what is not written yet, and let go of the file."""
        is_due, self._timer = self._cancel(), None
        lock, self._lock = self._lock, None
        if lock is not None:
            await asyncio.to_thread(self._release, lock, self._text() if is_due else None)

    def _load(self, path: Path) -> None:
        try:
            self._lock = _locked(path.with_suffix(".lock"))
            self._read = _parsed(path.read_bytes())
        except FileNotFoundError:
            pass
        except BlockingIOError:
            self._warn(f"another agent keeps {path}; this one begins with what is new")
        except (OSError, ValueError) as error:
            self._warn(f"cannot use {path}: {error}; beginning with what is new")
        self._given = {**self._read, **self._given}

    def place(self, source: str) -> Any:
        """Return up to where *source* has given rows, by an earlier run too; None if unknown."""
        return self._given.get(source)

    async def begin(self, source: str, place: Any) -> None:
        """Set the first place of *source*, written at once: all behind it counts from now on."""
        self._given[source] = self._read[source] = place
        if self._lock is not None:
            await asyncio.to_thread(self._write, self._text())

    def give(self, source: str, place: Any) -> None:
        """Note that the rows up to *place* were given."""
        self._given[source] = place

    def rewind(self) -> None:
        """Forget what was given and not read: nobody will read it."""
        self._given = dict(self._read)

    def was_read(self, source: str, place: Any) -> None:
        """Note that every query has read up to *place*; it is written within a second."""
        if self._read.get(source) == place:
            return
        self._read[source] = place
        if self._timer is None and self._lock is not None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self._flush)

    def _flush(self) -> None:
        self._timer = None
        asyncio.get_running_loop().run_in_executor(None, self._write, self._text())

    def _cancel(self) -> bool:
        if self._timer is None:
            return False
        self._timer.cancel()
        return True

    def _text(self) -> str:
        return json.dumps(self._read) + "\n"

    def _release(self, lock: int, text: str | None) -> None:
        try:
            if text is not None:
                self._write(text)
        finally:
            os.close(lock)

    def _write(self, text: str) -> None:
        try:
            if self._path is not None:
                write_private(self._path, text)
        except OSError as error:
            self._warn(f"cannot keep {self._path}: {error.strerror}")


def _locked(path: Path) -> int:
    """Return a descriptor that holds the lock *path*; raise `BlockingIOError` if another does."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _parsed(raw: bytes) -> dict[str, Any]:
    read = json.loads(raw)
    if not isinstance(read, dict):
        raise ValueError("it holds no places")  # noqa: TRY004 - of a file, not of an argument
    return read
