"""``processes_events``: processes as Endpoint Security reports them."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.schema import processes_events as schema
from zeek_agent_darwin import _eslogger
from zeek_agent_darwin._endpoint import NEEDS, VERIFIED, EsLogger
from zeek_agent_darwin._eslogger import Event, Found, inner


class ProcessSource(EsLogger):
    """`exec`, `exit` and, if asked for, `fork`."""

    def kinds(self) -> list[str]:
        """Return the names of the events to ask for."""
        return ["exec", "exit", *(["fork"] if self.table.setting("forks") else [])]

    def made(self, events: Iterable[Event]) -> list[Row]:
        """Return the rows of *events*."""
        return [row for event in events if (row := process_row(event)) is not None]


def process_row(event: Event) -> Row | None:
    """Return the row for one event, None if it is about no process."""
    if event.kind == "exec":
        target = inner(event.detail, "target")
        cmdline = " ".join(_eslogger.arguments(event.detail)) or None
        cwd = _eslogger.path(inner(event.detail, "cwd"))
        return {**_facts(event, target, "started"), "cmdline": cmdline, "cwd": cwd}
    if event.kind == "exit":
        code, signal = _eslogger.exit_status(event.detail)
        facts = _facts(event, event.process, "stopped")
        return {**facts, "exit_code": code, "exit_signal": signal}
    if event.kind == "fork":
        return _facts(event, inner(event.detail, "child"), "forked")
    return None


def _facts(event: Event, process: Found, state: str) -> dict[str, Any]:
    """Return what is known of *process* at the moment of *event*."""
    exe = _eslogger.path(process.get("executable"))
    began = _eslogger.parse_time(process.get("start_time"))
    row: dict[str, Any] = {"name": exe, "exe": exe, "state": state, **_eslogger.identity(process)}
    if event.time is not None:
        row["time"] = event.time
    if began is not None:
        row["startup"] = began * 1000
        if event.time is not None and event.time >= began:
            row["duration"] = (event.time - began) * 1000
    return row


class ProcessesEvents(schema.ProcessesEvents):  # noqa: D101 - described by its declaration
    sources = (ProcessSource,)
    settings = MappingProxyType({**Sourced.settings, "forks": False})
    origin = Origin(
        source="`eslogger exec exit`, with the setting `forks` also `fork`",
        needs=NEEDS,
        verified=VERIFIED,
        null=(
            "priority",
            "vsize",
            "rsize",
            "utime",
            "stime",
            "cgroup",
            "container",
            "incomplete",
        ),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[ProcessesEvents]:
    """Offer the table on the host itself."""
    return [ProcessesEvents(host)] if host.platform == "darwin" else []
