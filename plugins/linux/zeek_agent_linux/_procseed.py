"""The processes that are there when events begin, from ``/proc``."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress

from zeek_agent_core.api import Host, Row, Where
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._processes import ProcSource
from zeek_agent_linux._proctree import Process, ProcessTree

NEEDED = frozenset({"pid", "ppid", "name", "uid", "gid", "ruid", "rgid", "startup"})
KEPT = frozenset({"exe", "cmdline", "cwd", "cgroup", "container"})


def fill(tree: ProcessTree, host: Host, clock: KernelClock, columns: Collection[str]) -> None:
    """Let *tree* know all processes, and no other; with *columns* if they are kept; for a thread.

    To be called again after events were lost.
    """
    known, found = set(tree.alive), set()
    where = Where(columns=NEEDED | KEPT.intersection(columns))
    for row in ProcSource(host, lambda _: None).rows(where):
        startup = row.get("startup")
        process = Process(
            pid=row["pid"],
            ppid=row.get("ppid"),
            started=None if startup is None else clock.started(startup),
            name=row.get("name"),
            ruid=row.get("ruid"),
            uid=row.get("uid"),
            rgid=row.get("rgid"),
            gid=row.get("gid"),
            **{name: row.get(name) for name in KEPT},
        )
        tree.add(process, _threads(f"{host.prefix}/proc/{process.pid}/task"))
        found.add(process.pid)
    tree.forget(known - found)


def _threads(directory: str) -> list[int]:
    with suppress(OSError):
        return [int(name) for name in os.listdir(directory)]  # noqa: PTH208 - paths cost more
    return []


def running(host: Host, columns: Collection[str]) -> Iterator[Row]:
    """Yield a row of ``processes_events`` for each process that is there."""
    where = Where(columns=frozenset(columns) - {"time", "state", "duration"})
    for row in ProcSource(host, lambda _: None).rows(where):
        yield {**row, "state": "running"}
