"""``process_events``: the first generation's view of `exec` and `fork`."""

from collections.abc import Iterable
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, hookimpl
from zeek_agent_core.schema import process_events as schema
from zeek_agent_darwin import _eslogger
from zeek_agent_darwin._endpoint import NEEDS, VERIFIED, EsLogger
from zeek_agent_darwin._eslogger import Event, Found, inner, number


class ProcessSource(EsLogger):
    """`exec` and `fork`."""

    by_status = ("mode", "inode", "ouid", "ogid")

    def kinds(self) -> list[str]:
        """Return the names of the events to ask for."""
        return ["exec", "fork"]

    def made(self, events: Iterable[Event]) -> list[Row]:
        """Return the rows of *events*."""
        return [row for event in events if (row := process_row(event)) is not None]


def process_row(event: Event) -> Row | None:
    """Return the row for one event, None if it is another kind."""
    if event.kind == "exec":
        return _executed(event, inner(event.detail, "target"))
    if event.kind == "fork":
        child = inner(event.detail, "child", "audit_token")
        pid = number(child, "pid")
        return {**caller(event, event.process), "child_pid": pid, "exit": pid}
    return None


def _executed(event: Event, target: Found) -> Row:
    status = inner(target, "executable", "stat")
    args = _eslogger.arguments(event.detail)
    named = _eslogger.path(event.detail.get("script")) or _eslogger.path(target.get("executable"))
    tty = _eslogger.path(target.get("tty"))
    return {
        **caller(event, target),
        "exit": 0,
        "args": args,
        "cmdline": " ".join(f'"{arg}"' for arg in args) or None,
        "path": named,
        "cwd": _eslogger.path(event.detail.get("cwd")),
        "tty": tty.removeprefix("/dev/") if tty else None,
        "mode": number(status, "st_mode"),
        "inode": _eslogger.count(status, "st_ino"),
        "ouid": number(status, "st_uid"),
        "ogid": number(status, "st_gid"),
    }


def caller(event: Event, process: Found) -> dict[str, Any]:
    """Return what the first generation's tables say of the process in an event."""
    ids = _eslogger.identity(process)
    row = {
        "syscall": event.kind,
        "pid": ids["pid"],
        "ppid": ids["ppid"],
        "auid": ids["auid"],
        "uid": ids["ruid"],
        "euid": ids["uid"],
        "gid": ids["rgid"],
        "egid": ids["gid"],
        "exe": _eslogger.path(process.get("executable")),
        "ses": number(inner(process, "audit_token"), "asid"),
        "success": True,
        **_eslogger.signature(process),
    }
    if event.time is not None:
        row["time"] = event.time
    return row


class ProcessEvents(schema.ProcessEvents):
    """Programs executed and processes created, one row for each, as reported by macOS.

    `exec` is about the program that was started, `fork` about the process that
    created another, whose ID is in `child_pid`. The names that the first
    generation of the agent had on macOS for its columns work as well.
    """

    sources = (ProcessSource,)
    origin = Origin(
        source="`eslogger exec fork`",
        needs=NEEDS,
        verified=VERIFIED,
        null=("comm", "key", "arch", "serial"),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[ProcessEvents]:
    """Offer the table on the host itself."""
    return [ProcessEvents(host)] if host.platform == "darwin" else []
