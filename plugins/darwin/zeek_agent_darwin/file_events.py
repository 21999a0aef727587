"""``file_events``: files opened, created, renamed and removed, as Endpoint Security reports."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.schema import file_events as schema
from zeek_agent_darwin import _eslogger
from zeek_agent_darwin._endpoint import NEEDS, VERIFIED, EsLogger
from zeek_agent_darwin._eslogger import Event, Found, count, inner, number
from zeek_agent_darwin.process_events import caller

KINDS = ("open", "create", "rename", "unlink")


class FileSource(EsLogger):
    """`open`, `create`, `rename` and `unlink`."""

    by_status = ("inode",)

    def kinds(self) -> list[str]:
        """Return the names of the events to ask for."""
        return [kind for kind in KINDS if kind != "open" or self.table.setting("opened")]

    def made(self, events: Iterable[Event]) -> list[Row]:
        """Return the rows of *events*, those that no query wants left out early."""
        prefix = self.table.wanted.prefix("path")
        rows: list[Row] = []
        for event in events:
            found = OBJECTS[event.kind](event.detail) if event.kind in OBJECTS else None
            if found is None:
                continue
            path = found["path"]
            if prefix is None or (path is not None and prefix.begins(path)):
                rows.append({**caller(event, event.process), **found})
        return rows


def _opened(detail: Found) -> dict[str, Any]:
    """Return the file of an `open`; `FREAD` and `FWRITE` are those of open(2) plus one."""
    file, flags = inner(detail, "file"), number(detail, "fflag")
    return {**_file(file), "flags": flags - 1 if flags else None, "created": False}


def _created(detail: Found) -> dict[str, Any]:
    path, _ = _eslogger.destination(detail)
    existing = inner(detail, "destination", "existing_file")
    return {"path": path, "inode": count(inner(existing, "stat"), "st_ino"), "created": True}


def _renamed(detail: Found) -> dict[str, Any]:
    destination, _ = _eslogger.destination(detail)
    return {**_file(inner(detail, "source")), "destination": destination, "created": False}


def _unlinked(detail: Found) -> dict[str, Any]:
    return {**_file(inner(detail, "target")), "created": False}


def _file(file: Found) -> dict[str, Any]:
    return {"path": _eslogger.path(file), "inode": count(inner(file, "stat"), "st_ino")}


OBJECTS: Mapping[str, Callable[[Found], dict[str, Any]]] = {
    "open": _opened,
    "create": _created,
    "rename": _renamed,
    "unlink": _unlinked,
}


class FileEvents(schema.FileEvents):
    """Files opened, created, renamed and removed, one row for each event.

    Calls that failed give no row. Files are opened all the time: with the
    setting `opened = false` these events are not asked for. The names that the
    first generation of the agent had on macOS for its columns work as well.
    """

    sources = (FileSource,)
    settings = MappingProxyType({**Sourced.settings, "opened": True})
    origin = Origin(
        source="`eslogger open create rename unlink`",
        needs=NEEDS,
        verified=VERIFIED,
        null=("exit", "comm", "key", "arch", "serial"),
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[FileEvents]:
    """Offer the table on the host itself."""
    return [FileEvents(host)] if host.platform == "darwin" else []
