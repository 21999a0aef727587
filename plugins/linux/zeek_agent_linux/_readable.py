"""Waits for descriptors, and lets events gather so that they are read in few goes."""

import asyncio
from collections.abc import Iterable

GATHER_SECONDS = 0.1
"""How long events gather. To read at each of them costs ten times as much as all together."""


class Readable:
    """Some descriptors that have events to read now and then; costs nothing meanwhile."""

    def __init__(self, files: Iterable[int]) -> None:
        """Watch *files* while waiting."""
        self._files = list(files)
        self._ready: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let `wait` return, whether there is something to read or not."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def wait(self, gather: float = GATHER_SECONDS) -> None:
        """Return *gather* seconds after one of the files has something to read."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        watched = []
        try:
            for file in self._files:
                loop.add_reader(file, self.wake)
                watched.append(file)
            await self._ready
        finally:
            for file in watched:
                loop.remove_reader(file)
        if gather:
            await asyncio.sleep(gather)
