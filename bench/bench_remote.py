"""A running agent asked over its socket: time to the first row, and cost of a long result."""

import asyncio
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep

from zeek_agent_core import kernel
from zeek_agent_core.config import Config
from zeek_agent_core.remote.client import RemoteBackend

FIRST_ROW_TIMES = 1.3
ROW_MICROSECONDS = 5.0
ROWS, RUNS = 100_000, 7
PLAIN, LONG = "SELECT 1", "SELECT * FROM bench"
FILTERED = f"{LONG} WHERE count0 >= 0"
"""The same rows, by a statement that SQLite has to run."""

PLUGIN = f'''
"""A table with {ROWS} rows of ten columns, made beforehand."""

from zeek_agent_core.api import Column, Snapshot, Type, hookimpl

MADE = [
    {{
        "text0": f"name{{i % 97}}", "text1": "root", "text2": "/usr/lib/systemd/systemd",
        "text3": "tcp", "text4": "running", "count0": i, "count1": i * 7,
        "count2": 1_700_000_000 + i, "count3": 443, "count4": 0,
    }}
    for i in range({ROWS} // 100)
]


class Bench(Snapshot):
    """A table for measuring."""

    name = "bench"
    columns = (
        *(Column(f"text{{i}}", Type.TEXT, "a text") for i in range(5)),
        *(Column(f"count{{i}}", Type.COUNT, "a number") for i in range(5)),
    )

    def rows(self, where):
        for _ in range(100):
            yield from MADE


@hookimpl
def zeek_agent_tables(host):
    """Offer the table."""
    return [Bench(host)]
'''


def install(directory: Path) -> None:
    """Put the plugin into *directory*, as an installed distribution."""
    (directory / "zeek_agent_bench.py").write_text(PLUGIN)
    info = directory / "zeek_agent_bench-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zeek-agent-bench\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[zeek_agent]\nbench = zeek_agent_bench\n")


def cpu(pid: int) -> float:
    """Return the seconds that all threads of *pid* have used."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextmanager
def agent(directory: Path):
    """Run an agent in *directory*; yield its process."""
    path = directory / "agent.toml"
    path.write_text(f'state-dir = "{directory}/state"\nrun-dir = "{directory}/run"\n')
    command = [sys.executable, "-m", "zeek_agent_core", "-c", str(path), "-L", "error"]
    with subprocess.Popen(command) as process:
        while not list(directory.glob("run/*.sock")):
            sleep(0.02)
        try:
            yield process
        finally:
            process.terminate()


def client(directory: Path, sql: str, mode: str) -> float:
    """Ask as a user would, into a file; return the seconds that the client has used."""
    command = [sys.executable, "-m", "zeek_agent_core", "-r", "-c", f"{directory}/agent.toml"]
    with (directory / "out").open("w") as out:
        process = subprocess.Popen([*command, "-e", sql, "--mode", mode], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_utime + usage.ru_stime


def stream(directory: Path, pid: int, mode: str, sql: str) -> bool:
    """Stream all rows to a file; return whether that is cheap enough."""
    client(directory, sql, mode)
    totals, shares = [], []
    for _ in range(RUNS):
        before = cpu(pid)
        ours = client(directory, sql, mode)
        start = client(directory, PLAIN, mode)
        totals.append((ours - start + cpu(pid) - before) / ROWS * 1e6)
        shares.append((ours / ROWS * 1e6, start / ROWS * 1e6))
    assert len((directory / "out").read_text()) > 0
    ours, start = min(shares)
    best = min(totals)
    print(
        f"{mode}: {best:.2f} µs of CPU a row, both sides, at most {ROW_MICROSECONDS}; "
        f"median {median(totals):.2f}; client {ours:.2f}, of it {start:.2f} to start"
    )
    return best <= ROW_MICROSECONDS


async def alone(sql: str) -> float:
    """Return the seconds of CPU that the statement takes in one process, without any output."""
    async with kernel.running(Config()) as own:
        costs = []
        for _ in range(RUNS):
            before = process_time()
            async with own.database.query(sql) as rows:
                async for _ in rows:
                    pass
            costs.append(process_time() - before)
    return min(costs)


async def first(query, sql: str) -> float:
    """Return the time from asking to the first row."""
    began = perf_counter()
    async with query(sql) as rows:
        async for _ in rows:
            break
    return perf_counter() - began


async def latency(path: Path) -> bool:
    """Compare the first row over the socket with the first row in this process."""
    met = True
    async with kernel.running(Config()) as own, RemoteBackend(path) as remote:
        names = [
            name for name in ("processes", "zeek_agent_columns") if name in own.database.tables
        ]
        for name in names:
            sql = f"SELECT * FROM {name}"
            local, over = [], []
            for _ in range(40):
                local.append(await first(own.database.query, sql))
                over.append(await first(remote.query, sql))
            ratio = median(over) / median(local)
            budget = f", at most {FIRST_ROW_TIMES}" if name == "processes" else ""
            met &= not budget or ratio <= FIRST_ROW_TIMES
            print(
                f"{name}: first row after {median(over) * 1e3:.2f} ms over the socket, "
                f"{median(local) * 1e3:.2f} ms in process: {ratio:.2f} times{budget}"
            )
    return met


def main() -> int:
    """Print both; return 1 if one of them is over its budget."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        install(directory)
        os.environ["PYTHONPATH"] = name
        sys.path.insert(0, name)
        with agent(directory) as process:
            met = asyncio.run(latency(next(directory.glob("run/*.sock"))))
            for sql in (LONG, FILTERED):
                cost = asyncio.run(alone(sql)) / ROWS * 1e6
                print(f"{sql}: of all below, {cost:.2f} µs are the statement itself")
                for mode in ("csv", "jsonl", "json"):
                    met &= stream(directory, process.pid, mode, sql)
    return not met


if __name__ == "__main__":
    sys.exit(main())
