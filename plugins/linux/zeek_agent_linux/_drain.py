"""Takes what waits at a descriptor at once, so that the kernel's queue does not overflow."""

import os
from collections import deque

BUFFER = 1 << 16
"""Bytes that are read, and worked on, at one time: some 2,000 events."""
MOST = 8 << 20
"""Bytes that are held; more stay with the kernel."""


class Drain:
    """What was read and not worked on yet."""

    def __init__(self, descriptor: int) -> None:
        """Read *descriptor*, which does not block."""
        self._descriptor = descriptor
        self._held: deque[bytes] = deque()

    def __bool__(self) -> bool:
        """Return whether there is something to work on."""
        return bool(self._held)

    def take(self) -> bytes:
        """Read all that waits, and return the oldest part of what is held; empty if none is."""
        while len(self._held) * BUFFER < MOST:
            try:
                self._held.append(os.read(self._descriptor, BUFFER))
            except BlockingIOError:
                break
        return self._held.popleft() if self._held else b""
