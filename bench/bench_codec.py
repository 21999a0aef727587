"""What encoding a row of `sockets` for Zeek costs, beside `json.dumps` of the same structure.

Run as ``python bench/bench_codec.py [rows]``; the default is 20,000. The ratio must be at least
7, which is 2 µs where `json.dumps` takes 15.
"""

import gc
import json
import sys
import time

from zeek_agent_core.broker import codec
from zeek_agent_core.broker.actions import PublishRows
from zeek_agent_core.broker.messages import Context
from zeek_agent_core.query import Change, ResultColumn
from zeek_agent_core.values import Type

ROUNDS = 7
RATIO = 7.0
COLUMNS = tuple(
    ResultColumn(name, kind)
    for name, kind in (
        ("pid", Type.COUNT), ("process", Type.TEXT), ("family", Type.TEXT),
        ("protocol", Type.COUNT), ("local_addr", Type.ADDRESS), ("local_port", Type.COUNT),
        ("remote_addr", Type.ADDRESS), ("remote_port", Type.COUNT), ("state", Type.TEXT),
    )
)  # fmt: skip


def rows_of(count: int) -> list[tuple]:
    """Return *count* rows like those of `sockets`; each is different, in few addresses."""
    return [
        (n, f"process-{n % 300}", "IPv4", 6, "192.168.1.5", 1024 + n % 60_000,
         f"10.1.{n % 7}.{n % 200}", 443, "ESTABLISHED")
        for n in range(count)
    ]  # fmt: skip


def times_of(*works) -> list[float]:
    """Return the least processor time of each of *works*, taken in turn."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            gc.collect()
            begun = time.process_time()
            work()
            best[number] = min(best[number], time.process_time() - begun)
    return best


def main() -> int:
    """Print the cost of encoding for both servers, and of decoding a query."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rows = rows_of(count)
    context = Context("H" + "a" * 21, 1_795_262_400_000_000_000, "za_1", Change.ADD)
    topic, event = "/zeek-agent/response/zeek_abc/Habc", "ZeekAgent_Sockets::query_result"
    order = PublishRows("q", topic, event, context, COLUMNS, rows)
    status = 0
    for label, peer in (
        ("Zeek's own server", codec.peer("n-websocket-1", "9.0.0")),
        ("Broker's server", codec.peer("uuid", "2.8.0-dev.329")),
    ):
        frames = codec.Frames(codec.rules_for(peer))
        trees = [json.loads(frame) for frame in frames.of(order)]
        ours, dumps = times_of(
            lambda frames=frames: frames.of(order),
            lambda trees=trees: [json.dumps(tree).encode() for tree in trees],
        )
        ratio = dumps / ours
        status |= ratio < RATIO
        print(
            f"{label:18} {ours / count * 1e6:5.2f} us/row, json.dumps {dumps / count * 1e6:5.2f}, "
            f"ratio {ratio:4.1f} (at least {RATIO:.0f}: {'ok' if ratio >= RATIO else 'MISSED'})"
        )
    frame = codec.Frames(codec.OLDEST).of(order)[0]
    (decoding,) = times_of(lambda: [codec.decode_frame(frame) for _ in range(1000)])
    print(f"decoding an event  {decoding * 1e3:5.1f} us")
    return status


if __name__ == "__main__":
    sys.exit(main())
