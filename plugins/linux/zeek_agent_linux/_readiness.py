"""Waits for descriptors in the event loop without being woken more than once for them."""

import asyncio
from types import TracebackType
from typing import Self


class Readiness:
    """Tells when one of some descriptors is readable; a context manager.

    The loop watches them only while somebody waits, so what is readable and
    not yet read wakes nobody.
    """

    def __init__(self, *descriptors: int) -> None:
        """Prepare for *descriptors*, which stay the caller's."""
        self._descriptors = descriptors
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
        self._ignore()

    async def wait(self, most: float | None = None) -> bool:
        """Return once there is something to read, or False after *most* seconds."""
        self._event.clear()
        for descriptor in self._descriptors:
            self._loop.add_reader(descriptor, self._ready)
        try:
            async with asyncio.timeout(most):
                await self._event.wait()
        except TimeoutError:
            return False
        finally:
            self._ignore()
        return True

    def poke(self) -> None:
        """End the wait, as if there were something to read."""
        self._event.set()

    def _ready(self) -> None:
        self._ignore()
        self._event.set()

    def _ignore(self) -> None:
        for descriptor in self._descriptors:
            self._loop.remove_reader(descriptor)
