"""Rows of ``processes_events`` from processes and what happened to them: for all sources.

A source keeps a `ProcessTree`, or just fills a `Process` with all it knows,
and calls `started`, `forked` or `stopped`, which return a row, or None if no
query wants it. Before each batch it calls `refresh`.
"""

from typing import Any

from zeek_agent_core.api import Evented
from zeek_agent_linux._proctree import Process

TOLD = ("name", "exe", "cmdline", "cwd", "ppid", "uid", "gid")
"""Columns that are NULL only because the source could not know them; kernel threads apart."""
CORE_DUMPED = 0x80

EventRow = dict[str, Any]
"""A row, or some columns of one."""


class ProcessRows:
    """Makes those rows that are wanted of a table."""

    def __init__(self, table: Evented, *, knows_status: bool = True) -> None:
        """Make rows for *table*; *knows_status* is whether the source has exit codes."""
        self._table = table
        self._incomplete_end = not knows_status
        self.refresh()

    def refresh(self) -> None:
        """Learn what queries want now."""
        wanted = self._table.wanted
        self._admits = wanted.admits if wanted.is_narrow else None
        self._told = tuple(name for name in TOLD if name in wanted.columns)
        states = wanted.values("state")
        self.wants_started = states is None or "started" in states
        self.wants_stopped = states is None or "stopped" in states
        self.wants_forked = bool(self._table.setting("forks")) and (
            states is None or "forked" in states
        )

    def may_want(self, process: Process) -> bool:
        """Return whether a row of *process* may be wanted, before more is read of it."""
        admits = self._admits
        if admits is None:
            return True
        return admits("pid", process.pid) and (process.uid is None or admits("uid", process.uid))

    def started(
        self, process: Process, time: int, startup: int | None, extra: EventRow | None = None
    ) -> EventRow | None:
        """Return the row of a *process* that has executed a program.

        *time* is in µs, *startup* in ns since the epoch; *extra* has columns
        that are not kept with a process, such as `vsize`.
        """
        return self._row("started", process, time, startup, extra) if self.wants_started else None

    def forked(
        self, process: Process, time: int, startup: int | None, extra: EventRow | None = None
    ) -> EventRow | None:
        """Return the row of a *process* that has been made by another."""
        return self._row("forked", process, time, startup, extra) if self.wants_forked else None

    def stopped(
        self,
        process: Process,
        time: int,
        startup: int | None,
        status: int | None = None,
        extra: EventRow | None = None,
    ) -> EventRow | None:
        """Return the row of a *process* that has ended with a *status* as of wait(2)."""
        if not self.wants_stopped:
            return None
        row = self._row("stopped", process, time, startup, extra)
        if row is None:
            return None
        if process.started is not None and process.ended is not None:
            row["duration"] = max(process.ended - process.started, 0)
        if status is None:
            row["incomplete"] |= self._incomplete_end
        else:
            set_status(row, status)
        return row

    def _row(
        self, state: str, process: Process, time: int, startup: int | None, extra: EventRow | None
    ) -> EventRow | None:
        row = {
            "time": time,
            "name": process.name,
            "pid": process.pid,
            "ppid": process.ppid,
            "uid": process.uid,
            "gid": process.gid,
            "ruid": process.ruid,
            "rgid": process.rgid,
            "state": state,
            "exe": process.exe,
            "cmdline": process.cmdline,
            "cwd": process.cwd,
            "startup": startup,
            "auid": process.auid,
            "cgroup": process.cgroup,
            "container": process.container,
            "incomplete": False,
        }
        if extra:
            row.update(extra)
        return self.wanted(row)

    def wanted(self, row: EventRow, *, is_whole: bool = False) -> EventRow | None:
        """Return a row that has all it can have, marked if that is not enough; None if unwanted.

        With *is_whole*, it lacks nothing.
        """
        admits = self._admits
        if admits is not None and not (
            admits("pid", row["pid"]) and admits("uid", row["uid"]) and admits("exe", row["exe"])
        ):
            return None
        if not is_whole and None in map(row.get, self._told):
            row["incomplete"] = True
        return row


def set_status(row: EventRow, status: int) -> None:
    """Tell how a process ended, by its status as of wait(2)."""
    if signal := status & 0x7F:
        row["exit_signal"] = signal
    else:
        row["exit_code"] = status >> 8 & 0xFF
