"""``processes_events``: from the kernel's event tracing, else from WMI."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.portable.processes import (
    Facts,
    Listing,
    PsutilListing,
    command_line,
    nanoseconds,
)
from zeek_agent_core.schema import processes_events as schema
from zeek_agent_windows._blocking import BlockingSource, Reader
from zeek_agent_windows._processes import ProcessRows
from zeek_agent_windows._trace import Batch, Provider, trace
from zeek_agent_windows._tracing import (
    KERNEL_PROCESS,
    PROCESS_KEYWORD,
    START,
    STOP,
    Started,
    Truncated,
    parse_process,
)
from zeek_agent_windows._wmi import watch_processes

SESSION = "zeek-agent processes"
CLOSE_ENOUGH = 1_000_000
"""Nanoseconds by which two clocks may disagree on when a process started."""


def drives() -> dict[str, str]:
    """Return the letters of all drives, by the names of their devices."""
    letters: dict[str, str] = {}
    if sys.platform == "win32":
        import win32api  # noqa: PLC0415 - exists on Windows only
        import win32file  # noqa: PLC0415

        for root in win32api.GetLogicalDriveStrings().split("\0"):
            if letter := root.rstrip("\\"):
                letters[win32file.QueryDosDevice(letter).partition("\0")[0]] = letter
    return letters


class ProcessSource(BlockingSource):
    """What both sources share."""

    table: "ProcessesEvents"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._rows = ProcessRows(drives())

    def _with_arguments(self, row: dict[str, Any]) -> Row:
        """Add what only the process itself knows, if it is wanted and still runs."""
        wanted = self.table.wanted
        names = [name for name in ("cmdline", "cwd") if wanted.wants(name)]
        if not names or not wanted.admits("pid", row["pid"]):
            return row
        facts = self.table.listing.one(row["pid"], ["create_time", "exe", *names])
        if facts is None or not _is_same(row, facts):
            return {**row, "incomplete": True}
        more = {"cmdline": command_line(facts.get("cmdline")), "cwd": facts.get("cwd") or None}
        exe = row.get("exe") or facts.get("exe") or None
        return {**row, "exe": exe, **{name: more[name] for name in names}}


def _is_same(row: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether a process is the one of the event, and not one that has its ID now."""
    startup, created = row.get("startup"), facts.get("create_time")
    if startup is None or created is None:
        return True
    return bool(abs(startup - nanoseconds(created)) <= CLOSE_ENOUGH)


class TraceSource(ProcessSource):
    """Event tracing: every process, with its exit."""

    name = "etw"

    def reader(self) -> Reader:
        """Return a trace."""
        return self.table.trace(SESSION, [Provider(KERNEL_PROCESS, PROCESS_KEYWORD, (START, STOP))])

    def rows(self, items: Sequence[Batch]) -> list[Row]:
        """Return the rows of some events."""
        rows: list[Row] = []
        for records, lost in items:
            self.table.lose("kernel", lost)
            for record in records:
                try:
                    found = parse_process(record)
                except Truncated:
                    self.table.lose("unreadable")
                    continue
                if isinstance(found, Started):
                    rows.append(self._with_arguments(self._rows.started(record, found)))
                elif found is not None:
                    rows.append(self._rows.stopped(record, found))
        return rows


class WmiSource(ProcessSource):
    """WMI, which needs administrators as well, and knows less."""

    name = "wmi"

    def reader(self) -> Reader:
        """Return a query."""
        return self.table.watch()

    def rows(self, items: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Return the rows of some events."""
        found = [row for event in items if (row := self._rows.by_wmi(event)) is not None]
        return [self._with_arguments(row) if row["state"] == "started" else row for row in found]


class ProcessesEvents(schema.ProcessesEvents):  # noqa: D101 - described by its declaration
    sources = (TraceSource, WmiSource)
    settings = MappingProxyType({**Sourced.settings})
    origin = Origin(
        source="event tracing (Microsoft-Windows-Kernel-Process), else WMI (`Win32_ProcessTrace`); "
        "arguments by psutil, if the process still runs",
        needs="Administrators, or SYSTEM",
        verified="structures against the real headers; payloads written after the manifest; "
        "a scripted trace",
        null=(
            "uid", "gid", "ruid", "rgid", "priority", "vsize", "rsize", "utime", "stime",
            "exit_signal", "auid", "cgroup", "container",
        ),
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        tracing: Callable[[str, Sequence[Provider]], Reader] = trace,
        watching: Callable[[], Reader] = watch_processes,
        listing: Listing | None = None,
    ) -> None:
        """Trace with *tracing*, ask WMI with *watching*, processes with *listing*."""
        super().__init__(host)
        self.trace, self.watch = tracing, watching
        self.listing: Listing = listing or PsutilListing()


@hookimpl
def zeek_agent_tables(host: Host) -> list[ProcessesEvents]:
    """Offer the table on the host itself."""
    return [ProcessesEvents(host)] if host.platform == "windows" else []
