"""Row to socket: processor time and memory of one connection, encoding included.

The peer is another process. Budgets: 6 µs of processor time per row towards a
peer that only drains, less than 40 MB of growth while 200,000 rows are
delivered, and a connection that stays up, with flat memory, while the peer
needs 2 ms per event. Run as ``python bench/bench_wire.py [rows]``.
"""

import asyncio
import gc
import statistics
import sys
import time
from pathlib import Path

from zeek_agent_core.broker import codec, destination
from zeek_agent_core.broker.data import Timestamp
from zeek_agent_core.broker.transport import Flavour, Lost
from zeek_agent_core.broker.websocket import WebSocket
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.testing.zeek import Zeek
from zeek_agent_core.values import Type

SLICE = 256
SLOW_SECONDS = 20.0
MOST_MICROS, MOST_GROWTH = 6.0, 40.0
NAMES = ("pid", "process", "family", "protocol", "local_addr", "local_port", "remote_addr",
         "remote_port", "state")  # fmt: skip
KINDS = (Type.COUNT, Type.TEXT, Type.TEXT, Type.COUNT, Type.ADDRESS, Type.COUNT, Type.ADDRESS,
         Type.COUNT, Type.TEXT)  # fmt: skip
COLUMNS = tuple(map(ResultColumn, NAMES, KINDS))


class Handler:
    """Waits for the ack."""

    def __init__(self) -> None:
        self.joined = asyncio.Event()

    def connected(self, _peer) -> None:
        """Note the ack."""
        self.joined.set()

    def received(self, _event) -> None:
        """Take no notice."""

    def complained(self, text: str) -> None:
        """Show what is wrong."""
        print("complaint:", text)


def row(number: int) -> tuple:
    """Return a row like those of `sockets`, with 512 different peers."""
    return (number, "firefox", "IPv4", 6, "192.168.1.17", number & 0xFFFF,
            f"10.0.{number & 1}.{number & 255}", 443, "ESTABLISHED")  # fmt: skip


def memory() -> float:
    """Return the resident set, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def deliver(port: int, rows: int, seconds: float = 1e9) -> dict[str, float]:
    """Deliver so many rows, or for so many seconds, and return the figures."""
    transport = WebSocket(destination.parse(f"ws://127.0.0.1:{port}").endpoints[0])
    handler = Handler()
    why = []

    async def run() -> None:
        try:
            await transport.run(["/zeek-agent/query/host/H1/"], handler)
        except Lost as lost:
            why.append(f"{lost.reason}: {lost}")

    running = asyncio.create_task(run())
    await handler.joined.wait()
    encode = codec.compile_row_encoder(COLUMNS, transport.rules)
    gc.collect()
    before = peak = memory()
    cpu, begun, sent = time.process_time(), time.perf_counter(), 0
    while sent < rows and time.perf_counter() - begun < seconds and not running.done():
        context = ("H1", Timestamp(time.time_ns()), f"q{sent}", None, "cookie")
        prefix = codec.row_prefix("/zeek-agent/response/Z/H1", "sockets", context, transport.rules)
        upto = min(sent + SLICE, rows)
        transport.publish_encoded([encode(prefix, row(number)) for number in range(sent, upto)])
        sent = upto
        waiting = transport.ready()
        if waiting is not None:
            await waiting
        peak = max(peak, memory())
    alive = not running.done()
    held = sent - transport.stats.confirmed_events
    await transport.close(goodbye=30.0 if seconds > SLOW_SECONDS else 0.5)
    used, took = time.process_time() - cpu, time.perf_counter() - begun
    await running
    stats = transport.stats
    return {
        "micros": used / max(sent, 1) * 1e6, "rate": stats.confirmed_events / took, "sent": sent,
        "confirmed": stats.confirmed_events, "growth": peak - before, "alive": alive,
        "held": held, "bytes": stats.sent_bytes / max(stats.sent_events, 1), "why": why,
    }  # fmt: skip


async def serve(flavour: str, seconds_per_event: str) -> None:
    """Be the peer, until standard input ends."""
    slow = float(seconds_per_event)
    async with Zeek(Flavour(flavour), seconds_per_event=slow, is_counting_only=True) as zeek:
        print(zeek.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def against(flavour: str, seconds_per_event: float, *call) -> dict[str, float]:
    """Deliver to a peer in another process."""
    words = (sys.executable, __file__, "--serve", flavour, str(seconds_per_event))
    peer = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    port = int(await peer.stdout.readline())
    try:
        return await deliver(port, *call)
    finally:
        peer.stdin.close()
        await peer.wait()


async def main() -> int:
    """Print the figures; return 1 if a budget is missed."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    is_good = True
    for flavour in ("cluster", "broker"):
        runs = [await against(flavour, 0.0, rows) for _ in range(3)]
        micros = statistics.median(run["micros"] for run in runs)
        growth = max(run["growth"] for run in runs)
        complete = all(run["confirmed"] == rows for run in runs)
        print(f"{flavour:8} {micros:5.2f} us/row of CPU (budget {MOST_MICROS:g}), "
              f"{runs[0]['bytes']:.0f} bytes, {max(run['rate'] for run in runs):,.0f} rows/s, "
              f"growth {growth:.1f} MB (budget {MOST_GROWTH:g}), "
              f"all delivered: {complete}")  # fmt: skip
        is_good &= growth < MOST_GROWTH and complete
        is_good &= flavour == "broker" or micros <= MOST_MICROS
    run = await against("cluster", 0.002, 10**9, SLOW_SECONDS)
    print(f"2 ms per event for {SLOW_SECONDS:g} s: connected to the end: {run['alive']} "
          f"{run['why']}, {run['rate']:.0f} events/s, {run['held']} under way, "
          f"growth {run['growth']:.1f} MB")  # fmt: skip
    is_good &= run["alive"] and run["growth"] < MOST_GROWTH
    return 0 if is_good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(*sys.argv[2:]))
    else:
        sys.exit(asyncio.run(main()))
