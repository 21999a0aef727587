"""Waits for a descriptor in the event loop without being woken more than once for it."""

import asyncio
from types import TracebackType
from typing import Self


class Readiness:
    """Tells when a descriptor is readable; a context manager.

    The loop watches the descriptor only while somebody waits, so what is
    readable and not yet read wakes nobody.
    """

    def __init__(self, descriptor: int) -> None:
        """Prepare for *descriptor*, which stays the caller's."""
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        """Return the waiter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no more."""
        self._loop.remove_reader(self._descriptor)

    async def wait(self, timeout: float | None = None) -> bool:
        """Return once there is something to read, or False after *timeout* seconds."""
        self._event.clear()
        self._loop.add_reader(self._descriptor, self._ready)
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(self._descriptor)
        return True

    def _ready(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._event.set()
