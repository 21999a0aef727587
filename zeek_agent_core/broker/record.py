"""The file that the audit's lines go to."""

import logging
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Self

from zeek_agent_core.errors import OutputError

log = logging.getLogger(__name__)

OWNER_ONLY = 0o600


class Record:
    """An append-only file for its owner's eyes; whoever rotates it may move it away."""

    def __init__(self, path: Path) -> None:
        """Write to *path*, opened with the context."""
        self.lost = 0
        self._path = path
        self._file: FileIO | None = None
        self._identity: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        """Open the file; raise `OutputError` if that is impossible."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}".lower()) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        number = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWNER_ONLY)
        self._file = open(number, "wb", buffering=0)  # noqa: PTH123, SIM115 - kept open
        facts = os.fstat(number)
        self._identity = (facts.st_dev, facts.st_ino)

    def _is_current(self) -> bool:
        try:
            facts = self._path.stat()
        except OSError:
            return False
        return (facts.st_dev, facts.st_ino) == self._identity

    def write(self, lines: Iterable[str]) -> None:
        """Append *lines*; what cannot be written is counted, and told once."""
        waiting = list(lines)
        if not waiting:
            return
        try:
            if self._file is None or not self._is_current():
                self.__exit__()
                self._open()
            assert self._file is not None  # noqa: S101 - `_open` has seen to it
            text = "".join(f"{line}\n" for line in waiting)
            self._file.write(text.encode(errors="backslashreplace"))
        except OSError as error:
            if not self.lost:
                log.error("cannot write %s: %s", self._path, error.strerror)  # noqa: TRY400
            self.lost += len(waiting)
        else:
            if self.lost:
                log.warning("%d lines of %s were lost", self.lost, self._path)
                self.lost = 0
