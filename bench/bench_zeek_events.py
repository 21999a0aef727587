"""How many rows a second Zeek takes from an agent: a table's log script, and attribution.

The agent's own WebSocket connection sends rows as fast as Zeek reads them. The floor is the
same event with an empty handler. Budget: 20,000 rows a second through the log script, or
as far as Zeek itself allows: at least half the rate of the empty handler.

Run with a Zeek on the PATH: ``python bench/bench_zeek_events.py [rows]``.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zeek_agent_core.broker import codec, destination
from zeek_agent_core.broker.data import Timespan, Timestamp
from zeek_agent_core.broker.transport import Lost
from zeek_agent_core.broker.websocket import WebSocket
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.values import Type

ROOT = Path(__file__).parents[1]
SLICE = 256
LEAST, LEAST_SHARE = 20_000, 0.5
SOCKETS = {
    "pid": Type.COUNT, "process": Type.TEXT, "family": Type.TEXT, "protocol": Type.COUNT,
    "local_addr": Type.ADDRESS, "local_port": Type.COUNT, "remote_addr": Type.ADDRESS,
    "remote_port": Type.COUNT, "state": Type.TEXT,
}  # fmt: skip
EVENTS = {
    "time": Type.TIME, "pid": Type.COUNT, "process": Type.TEXT, "uid": Type.COUNT,
    "protocol": Type.COUNT, "local_addr": Type.ADDRESS, "local_port": Type.COUNT,
    "remote_addr": Type.ADDRESS, "remote_port": Type.COUNT, "state": Type.TEXT,
    "duration": Type.INTERVAL, "netns": Type.COUNT, "seuid": Type.TEXT,
}  # fmt: skip
WAYS = {
    "empty handler": ("Bench::nothing", SOCKETS),
    "log of sockets": ("ZeekAgent_Sockets::query_result", SOCKETS),
    "attribution": ("ZeekAgent::Attribution::sockets_events_row", EVENTS),
}

SCRIPT = """
@load {package}
redef ZeekAgent::listen_address = 127.0.0.1;
redef ZeekAgent::listen_port = {port}/tcp;

module Bench;

export {{ global nothing: event(ctx: ZeekAgent::Context, columns: ZeekAgent_Sockets::Columns); }}

global rows = 0;
global begin: time;

function note()
    {{
    if ( ++rows == 1 )
        begin = current_time();
    if ( rows == {rows} )
        {{
        print fmt("%.3f", interval_to_double(current_time() - begin));
        terminate();
        }}
    }}

event nothing(ctx: ZeekAgent::Context, columns: ZeekAgent_Sockets::Columns)
    {{ note(); }}

event ZeekAgent_Sockets::query_result(ctx: ZeekAgent::Context,
    columns: ZeekAgent_Sockets::Columns) &priority=-10
    {{ note(); }}

event ZeekAgent::Attribution::sockets_events_row(ctx: ZeekAgent::Context,
    row: ZeekAgent::Attribution::SocketsEventsRow) &priority=-10
    {{ note(); }}
"""


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


def row(number: int, columns: dict[str, Type]) -> tuple:
    """Return a row: every second one closes what the one before opened."""
    serial = number // 2
    values = {
        "time": Timestamp(time.time_ns()), "pid": 1000 + serial % 500, "process": "firefox",
        "family": "IPv4", "uid": 1000, "protocol": 6, "local_addr": "192.168.1.17",
        "local_port": 1024 + serial % 60000, "remote_addr": f"10.0.{serial >> 8 & 255}.1",
        "remote_port": 443, "state": "closed" if number & 1 else "established",
        "duration": Timespan(10**9), "netns": 4026531840, "seuid": f"S{serial:017}",
    }  # fmt: skip
    return tuple(values[name] for name in columns)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def listens(port: int) -> bool:
    """Return whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


async def send(port: int, event: str, columns: dict[str, Type], rows: int) -> None:
    """Send so many rows."""
    transport = WebSocket(destination.parse(f"ws://127.0.0.1:{port}").endpoints[0])
    handler = Handler()

    async def run() -> None:
        with contextlib.suppress(Lost):
            await transport.run(["/zeek-agent/query/host/H1/"], handler)

    running = asyncio.create_task(run())
    await handler.joined.wait()
    described = tuple(map(ResultColumn, columns, columns.values()))
    encode = codec.compile_row_encoder(described, transport.rules)
    context = ("H1", Timestamp(time.time_ns()), "q", None, None)
    prefix = codec.row_prefix("/zeek-agent/response/all/H1", event, context, transport.rules)
    for first in range(0, rows, SLICE):
        upto = range(first, min(first + SLICE, rows))
        transport.publish_encoded([encode(prefix, row(number, columns)) for number in upto])
        waiting = transport.ready()
        if waiting is not None:
            await waiting
    await running


def measure(event: str, columns: dict[str, Type], rows: int) -> float:
    """Return the rate, in rows a second."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="zeek-agent-bench-") as home:
        script = SCRIPT.format(package=ROOT / "zeek-scripts", port=port, rows=rows)
        (Path(home) / "test.zeek").write_text(script)
        environment = {**os.environ, "ZEEK_WEBSOCKET_LISTEN_PORT": ""}
        zeek = subprocess.Popen(["zeek", "test.zeek"], cwd=home, stdout=subprocess.PIPE,
                                env=environment, text=True)  # fmt: skip
        while not listens(port) and zeek.poll() is None:
            time.sleep(0.1)
        asyncio.run(send(port, event, columns, rows))
        output, _ = zeek.communicate(timeout=60)
    return rows / float(output.splitlines()[-1])


def main() -> int:
    """Measure each way; return 1 if the budget is not kept."""
    if shutil.which("zeek") is None:
        print("not measured: this needs a zeek on the PATH")
        return 0
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    rates = {way: measure(event, columns, rows) for way, (event, columns) in WAYS.items()}
    floor = rates["empty handler"]
    for way, rate in rates.items():
        print(f"{way:15} {rate:9,.0f} rows/s, {rate / floor:4.2f} of the empty handler")
    print(f"budget: log of sockets {LEAST:,} rows/s, or {LEAST_SHARE} of the empty handler")
    logged = rates["log of sockets"]
    return not (logged >= LEAST or logged / floor >= LEAST_SHARE)


if __name__ == "__main__":
    sys.exit(main())
