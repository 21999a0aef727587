"""Lines of standard input, read in a thread that never holds up the exit."""

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TextIO


class Typed:
    """Reads a line whenever one is asked for."""

    def __init__(self, stream: TextIO) -> None:
        """Read *stream*."""
        self._stream = stream
        self._asked: queue.SimpleQueue[asyncio.Future[str]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def line(self) -> str:
        """Return the next line with its end; the empty text after the last."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="input", daemon=True)
            self._thread.start()
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked.put(future)
        return await future

    def _work(self) -> None:
        while True:
            future = self._asked.get()
            try:
                line = self._stream.readline()
            except (OSError, ValueError):  # closed under us
                line = ""
            with suppress(RuntimeError):  # the loop has closed meanwhile
                future.get_loop().call_soon_threadsafe(_settle, future, line)


def _settle(future: asyncio.Future[str], line: str) -> None:
    if not future.done():
        future.set_result(line)
