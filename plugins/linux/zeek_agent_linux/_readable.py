"""Waits for descriptors, and lets events gather so that they are read in few goes."""

import asyncio
from collections.abc import Callable, Iterable

GATHER_SECONDS = 0.1
"""How long events gather. To read at each of them costs ten times as much as all together."""


class Readable:
    """Some descriptors that have events to read now and then; costs nothing meanwhile."""

    def __init__(self, files: Iterable[int], ready: Callable[[], None] = lambda: None) -> None:
        """Watch *files* while waiting; call *ready* at once when there is something to read."""
        self._files = list(files)
        self._call_ready = ready
        self._ready: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let `wait` return, whether there is something to read or not."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _is_ready(self) -> None:
        self._call_ready()
        self.wake()

    async def wait(self, gather: float = GATHER_SECONDS, most: float | None = None) -> None:
        """Return *gather* seconds after one of the files has something to read.

        Return anyway after *most* seconds, if that is given.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        timer = None if most is None else loop.call_later(max(most, 0.0), self.wake)
        watched = []
        try:
            for file in self._files:
                loop.add_reader(file, self._is_ready)
                watched.append(file)
            await self._ready
        finally:
            if timer is not None:
                timer.cancel()
            for file in watched:
                loop.remove_reader(file)
        if gather:
            await asyncio.sleep(gather)
