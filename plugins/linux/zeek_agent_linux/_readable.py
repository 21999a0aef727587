"""Waits for descriptors, and lets events gather so that they are read in few goes."""

import asyncio
from collections.abc import Iterable

GATHER_SECONDS = 0.1
"""How long events gather. To read at each of them costs ten times as much as all together."""


async def readable(files: Iterable[int], gather: float = GATHER_SECONDS) -> None:
    """Return *gather* seconds after one of *files* has something to read; until then, sleep."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    watched = []
    try:
        for file in files:
            loop.add_reader(file, wake)
            watched.append(file)
        await ready
    finally:
        for file in watched:
            loop.remove_reader(file)
    if gather:
        await asyncio.sleep(gather)
