"""Opens in a thread what takes the kernel a while, and lets nothing of it be forgotten."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from zeek_agent_linux._bpf.choice import Closable

T = TypeVar("T", bound=Closable)


async def finished(work: Callable[[], None]) -> None:
    """Call *work* in a thread, and let it finish even if this is cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])  # a thread cannot be stopped
        raise


async def opened(make: Callable[[], T]) -> T:
    """Return what *make* returns, called in a thread; if this is cancelled, it is closed.

    The verifier looks at a large program for some 100 ms.
    """
    work = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])  # a thread cannot be stopped
        if work.exception() is None:
            work.result().close()
        raise
