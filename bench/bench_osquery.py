"""What an osquery table costs through our SQL, next to the bare Thrift call that fetches it.

A process in osquery's place answers every query with the same bytes, so that
its own work counts for nothing. The published package's client is the floor;
our own client, without SQL, is shown too. All take turns, so that a busy
machine slows all. Exit status 1: over the budget.
"""

import argparse
import asyncio
import gc
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from osquery.extension_client import ExtensionClient
from osquery.extensions.ExtensionManager import query_result
from osquery.extensions.ttypes import ExtensionResponse, ExtensionStatus
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer
from zeek_agent_osquery._osquery import Osquery
from zeek_agent_osquery._table import declare

from zeek_agent_core.api import Host
from zeek_agent_core.sql.database import Database

ROWS = 10_000
REPEATS = 7
BUDGET = 2.0

COLUMNS = {
    "pid": "BIGINT", "name": "TEXT", "path": "TEXT", "cmdline": "TEXT", "uid": "BIGINT",
    "resident_size": "BIGINT", "percent": "DOUBLE", "state": "TEXT",
}  # fmt: skip
STATEMENTS = {
    "our SQL, all columns": "SELECT * FROM osquery_samples",
    "our SQL, a condition": "SELECT * FROM osquery_samples WHERE pid >= 0",
}


def canned(rows: int) -> bytes:
    """Return the answer, as the published package writes it."""
    listed = [
        {
            "pid": str(number), "name": f"process {number}", "path": f"/usr/bin/{number % 100}",
            "cmdline": f"/usr/bin/{number % 100} --config /etc/{number}.conf", "uid": "0",
            "resident_size": str(number * 4096), "percent": str(number / 7), "state": "S",
        }
        for number in range(rows)
    ]  # fmt: skip
    memory = TMemoryBuffer()
    protocol = TBinaryProtocol(memory)
    protocol.writeMessageBegin("query", TMessageType.REPLY, 0)
    response = ExtensionResponse(status=ExtensionStatus(code=0, message="OK"), response=listed)
    query_result(success=response).write(protocol)
    protocol.writeMessageEnd()
    return memory.getvalue()


def serve(path: str, rows: int) -> None:
    """Answer, until killed."""
    answer = canned(rows)
    at = len(b"....") + 4 + len("query")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                while request := connection.recv(1 << 16):
                    number = request[at : at + 4]
                    connection.sendall(answer[:at] + number + answer[at + 4 :])


def timed(work: Callable[[], int], rows: int) -> float:
    """Return the seconds that *work* takes to get all rows."""
    gc.collect()
    began = perf_counter()
    got = work()
    taken = perf_counter() - began
    if got != rows:
        raise SystemExit(f"{got} rows instead of {rows}")
    return taken


def bare(path: str) -> Callable[[], int]:
    """Return what asks through the published client."""
    client = ExtensionClient(path)

    def ask() -> int:
        client.open()
        try:
            return len(client.extension_manager_client().query("SELECT").response)
        finally:
            client.close()

    return ask


def ours(osquery: Osquery) -> Callable[[], int]:
    """Return what asks through our client, without SQL."""

    def ask() -> int:
        try:
            return sum(len(a.rows) for a in osquery.query("SELECT") if a is not None)
        finally:
            osquery.drop_idle()

    return ask


def through_sql(osquery: Osquery, host: Host, statement: str) -> Callable[[], int]:
    """Return what asks through our SQL."""
    routes = [{"name": name, "type": kind, "op": "0"} for name, kind in COLUMNS.items()]
    named = declare("samples", routes)
    assert named is not None
    table = named("osquery_samples")(host, osquery)

    async def execute() -> int:
        async with Database([table]) as database:
            return len((await database.execute(statement)).rows)

    def ask() -> int:
        try:
            return asyncio.run(execute())
        finally:
            osquery.drop_idle()

    return ask


def measure(path: str, rows: int, repeats: int) -> int:
    """Measure, print, compare with the budget."""
    host = Host(settings={"osquery": {"extensions_socket": path}})
    osquery = Osquery(host)
    works = {
        "published client": bare(path),
        "our client": ours(osquery),
        **{name: through_sql(osquery, host, sql) for name, sql in STATEMENTS.items()},
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(timed(work, rows))
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    floor, own = seconds["published client"], seconds["our client"]
    print(f"{rows} rows of {len(COLUMNS)} columns, median of {repeats}")
    for name, value in seconds.items():
        ratios = f"ratio {value / floor:.2f}, to our client {value / own:.2f}"
        print(f"{name:22} {value * 1000:7.1f} ms, {ratios}")
    worst = max(seconds[name] for name in STATEMENTS) / floor
    print(f"worst ratio {worst:.2f} (budget {BUDGET:.2f})")
    return 0 if worst <= BUDGET else 1


def main() -> int:
    """Start what answers, and measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--repeats", type=int, default=REPEATS)
    options.add_argument("--serve", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.rows)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/em"
        command = [sys.executable, __file__, "--serve", path, "--rows", str(chosen.rows)]
        with subprocess.Popen(command) as server:
            try:
                while not Path(path).exists():
                    time.sleep(0.05)
                return measure(path, chosen.rows, chosen.repeats)
            finally:
                server.kill()


if __name__ == "__main__":
    sys.exit(main())
