"""What a thousand reconnects leave behind: descriptors, tasks and memory.

Run as ``python bench/bench_reconnects.py [number]``.
"""

import asyncio
import gc
import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

from zeek_agent_core.broker import destination
from zeek_agent_core.broker.transport import Lost
from zeek_agent_core.broker.websocket import WebSocket
from zeek_agent_core.testing.zeek import Zeek

MOST_GROWTH = 3.0
WARM = 100


class Handler:
    """Waits for the ack."""

    def __init__(self) -> None:
        self.joined = asyncio.Event()

    def connected(self, _peer) -> None:
        """Note the ack."""
        self.joined.set()


def held() -> tuple[int, int, float]:
    """Return the numbers of descriptors and tasks, and MB of memory."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), resident  # noqa: PTH208


async def once(zeek: Zeek, chance: random.Random) -> None:
    """Connect, and end in one of several ways."""
    transport = WebSocket(destination.parse(zeek.destination).endpoints[0])
    handler = Handler()

    async def run() -> None:
        with suppress(Lost):
            await transport.run(["/t"], handler)

    running = asyncio.create_task(run())
    client = await zeek.client()
    await handler.joined.wait()
    for number in range(20):
        transport.publish("/t", "row", ((), (number,)))
    ways = (client.abort, client.close, lambda: client.send_bytes(b"\xff" * 9), running.cancel)
    way = chance.randrange(len(ways) + 1)
    if way == len(ways):
        await transport.close(0.5)
    else:
        ways[way]()
    await asyncio.wait({running})
    zeek.clients.clear()


async def main() -> int:
    """Print what is left; return 1 if anything is."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    chance, begun = random.Random(5), time.perf_counter()
    async with Zeek() as zeek:
        for _ in range(WARM):
            await once(zeek, chance)
        await asyncio.sleep(0.2)
        before = held()
        for _ in range(number):
            await once(zeek, chance)
        await asyncio.sleep(0.2)
        after = held()
    left = [b - a for a, b in zip(before, after, strict=True)]
    each = (time.perf_counter() - begun) / (number + WARM) * 1e3
    print(f"{number} reconnects, {each:.1f} ms each; left are {left[0]} descriptors, "
          f"{left[1]} tasks, {left[2]:.1f} MB (budget 0, 0, {MOST_GROWTH:g})")  # fmt: skip
    return int(left[0] > 0 or left[1] > 0 or left[2] > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
