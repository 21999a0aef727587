"""Descriptors that are closed together: when told to, or when nobody has them any more."""

import os
import weakref


class Descriptors:
    """Holds descriptors; the last one added is the first to be closed."""

    def __init__(self) -> None:
        """Hold none."""
        self._files: list[int] = []
        weakref.finalize(self, _close, self._files)

    def add(self, file: int) -> int:
        """Hold *file*, and return it."""
        self._files.append(file)
        return file

    def close(self) -> None:
        """Close all; twice is fine."""
        _close(self._files)


def _close(files: list[int]) -> None:
    while files:
        os.close(files.pop())
