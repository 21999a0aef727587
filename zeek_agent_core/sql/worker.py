"""A thread that does one job after the other for the event loop."""

import asyncio
import logging
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """A daemon thread with a queue: unlike a pool's, it never holds up the exit."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting: dict[asyncio.Future[Any], bool] = {}
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def call(self, job: Callable[[], T]) -> T:
        """Return what *job* returns, run in the thread after all earlier jobs.

        Cancelling the caller does not stop the job.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting[future] = False

        def work() -> None:
            self._waiting[future] = True
            try:
                result = job()
            except BaseException as error:
                answer(future.set_exception, error)
            else:
                answer(future.set_result, result)

        def answer(setter: Callable[[Any], None], value: Any) -> None:
            with suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(settle, setter, value)

        def settle(setter: Callable[[Any], None], value: Any) -> None:
            if not future.done():
                setter(value)

        self._jobs.put(work)
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    def post(self, job: Callable[[], object]) -> None:
        """Run *job* in the thread, with nobody waiting for it."""

        def work() -> None:
            try:
                job()
            except Exception:
                log.exception("a job of thread %s failed", self._thread.name)

        self._jobs.put(work)

    def close(self) -> None:
        """End the thread after the jobs it has."""
        self._jobs.put(None)

    def join(self, seconds: float) -> bool:
        """Wait for the thread's end; return whether it ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def abandon(self, running: Exception, waiting: Exception) -> None:
        """Answer everyone who waits: *running* to whose job hangs, *waiting* to the rest."""
        for future, is_running in list(self._waiting.items()):
            if not future.done():
                future.set_exception(running if is_running else waiting)

    def frame(self) -> FrameType | None:
        """Return what the thread is executing right now."""
        return sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - documented

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
