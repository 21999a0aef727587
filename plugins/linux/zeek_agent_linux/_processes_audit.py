"""``processes_events`` from the kernel's auditing.

The kernel records every program that is executed, with all its arguments, and
every process that ends by itself. The end of a process that a signal killed is
not recorded: now and then the source looks which processes are gone.
"""

import os
from collections.abc import Sequence
from time import monotonic, time_ns

from zeek_agent_core.api import Row, Sourced
from zeek_agent_linux import _procseed
from zeek_agent_linux._audit.arguments import parse_title
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.process_rows import process_row
from zeek_agent_linux._audit.records import PROCTITLE, number
from zeek_agent_linux._audit.rows import common_row
from zeek_agent_linux._audit.serving import ServingSource
from zeek_agent_linux._audit.syscalls import EXEC, EXIT
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._procfacts import Extra, Facts
from zeek_agent_linux._procrows import EventRow, ProcessRows
from zeek_agent_linux._proctree import Process

IN_PROC = ("priority", "vsize", "rsize", "startup", "cgroup", "container")
"""Columns that the kernel does not record."""
LOOK_SECONDS = 1.0
"""Between two looks which processes are gone."""


class AuditSource(ServingSource):
    """Programs executed, with their arguments however short they run."""

    needed = EXEC
    every = LOOK_SECONDS

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._proc = f"{table.host.prefix}/proc"
        self._boot = BootTime(self._proc)
        self._rows = ProcessRows(table, knows_status=False)
        self._alive: dict[int, Process] = {}
        self._missed: set[int] = set()
        self._due = 0.0

    def calls(self) -> frozenset[str]:
        """Return the calls that execute programs, and that which ends a process."""
        states = self.table.wanted.values("state")
        ends = EXIT if states is None or "stopped" in states else frozenset()
        return EXEC | ends

    def existing(self) -> Sequence[Row]:
        """Return all processes that run."""
        return list(_procseed.running(self.table.host, self.table.wanted.columns))

    def work(self, events: Sequence[Event]) -> Sequence[Row]:
        """Return the rows of *events*, and of processes that have gone without one."""
        self._rows.refresh()
        wanted = self.table.wanted.columns.intersection(IN_PROC)
        facts = Facts(self._proc, self._boot, wanted) if wanted else None
        ended = {event.call.get("pid") for event in events if event.syscall in EXIT}
        rows: list[EventRow | None] = []
        for event in events:
            if event.syscall in EXEC:
                is_over = event.call.get("pid") in ended
                rows.append(self._executed(event, None if is_over else facts))
            elif event.syscall in EXIT:
                rows.append(self._exited(event))
        rows += self._vanished()
        return [row for row in rows if row is not None]

    def _executed(self, event: Event, facts: Facts | None) -> EventRow | None:
        row = process_row(event, lambda *_: False)
        if row is None or row["pid"] is None:
            return None
        arguments = row.get("args")
        process = Process(
            row["pid"], row["ppid"], None, row.get("path") or row["exe"], row["uid"], row["euid"],
            row["gid"], row["egid"], row["exe"],
            None if arguments is None else " ".join(arguments), row.get("cwd"), row["auid"],
        )  # fmt: skip
        name = process.name
        extra: Extra = {} if facts is None else facts.read(process)
        process.name = name  # /proc has the short one
        if self._rows.wants_stopped:
            self._alive[process.pid] = process
            self._missed.discard(process.pid)
        return self._rows.started(process, row["time"], None, extra)

    def _exited(self, event: Event) -> EventRow | None:
        row = common_row(event)
        pid, code = row["pid"], number(event.call.get("a0"), 16)
        if pid is None:
            return None
        process = self._alive.pop(pid, None) or _unknown(event)
        status = None if code is None else (code & 0xFF) << 8
        return self._rows.stopped(process, row["time"], None, status)

    def _vanished(self) -> list[EventRow | None]:
        """Return rows for the processes that were not there at two looks in a row."""
        if not self._alive or monotonic() < self._due:
            return []
        self._due = monotonic() + LOOK_SECONDS
        listed = {int(name) for name in os.listdir(self._proc) if name.isdigit()}  # noqa: PTH208
        gone = self._alive.keys() - listed
        over, self._missed = gone & self._missed, gone
        time = time_ns() // 1000
        return [self._rows.stopped(self._alive.pop(pid), time, None) for pid in sorted(over)]


def _unknown(event: Event) -> Process:
    """Return a process of which only the end was recorded."""
    row = common_row(event)
    titles = event.bodies(PROCTITLE)
    return Process(
        row["pid"], row["ppid"], None, row["exe"] or row["comm"], row["uid"], row["euid"],
        row["gid"], row["egid"], row["exe"],
        " ".join(parse_title(titles[0])) if titles else None, None, row["auid"],
    )  # fmt: skip
