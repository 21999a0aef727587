"""``files_events``: changes of files, as Endpoint Security reports them."""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Sourced, hookimpl
from zeek_agent_core.schema import files_events as schema
from zeek_agent_darwin import _eslogger
from zeek_agent_darwin._endpoint import NEEDS, VERIFIED, EsLogger
from zeek_agent_darwin._eslogger import Event, Found, inner

PATHS = (
    "/etc", "/Library/LaunchAgents", "/Library/LaunchDaemons", "/Users/*/.ssh",
    "/Users/*/Library/LaunchAgents", "/usr/local/bin", "/var/root/.ssh", "/private/var/at",
)  # fmt: skip
DIRECTORY, TYPE = 0o040000, 0o170000


class ChangeSource(EsLogger):
    """`create`, `close` of what was written, `rename` and `unlink`."""

    by_status = ("is_directory",)

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._matches = matcher(table.setting("paths"))

    def kinds(self) -> list[str]:
        """Return the names of the events to ask for."""
        return sorted(CHANGES)

    def made(self, events: Iterable[Event]) -> list[Row]:
        """Return the rows of what lies below the paths of the settings, like ones as one."""
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for event in events:
            change = CHANGES[event.kind](event.detail) if event.kind in CHANGES else None
            if change is None:
                continue
            path, old = change["path"], change.get("old_path")
            if not any(self._matches(each) for each in (path, old) if each is not None):
                continue
            who = _who(event)
            key = (change["action"], path, old, who["pid"])
            row = rows.setdefault(key, {**change, **who, "count": 0})
            row["count"] += 1
        return list(rows.values())


def matcher(patterns: Iterable[str]) -> Callable[[str], object]:
    """Return what a path must satisfy: one of *patterns* is it, or a directory above it."""
    whole = "|".join(_expression(pattern.rstrip("/")) for pattern in patterns) or r"(?!)"
    # macOS shows /etc, /tmp and /var as what they link to.
    return re.compile(rf"(?:/private)?(?:{whole})(?:/.*)?\Z", re.DOTALL).match


WILDCARD = re.compile(r"\*+|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)


def _expression(pattern: str) -> str:
    """Return a pattern of names as a regular expression; none of its wildcards matches `/`."""
    parts = []
    for part in WILDCARD.findall(pattern):
        if part[0] == "*":
            parts.append("[^/]*")
        elif part == "?":
            parts.append("[^/]")
        elif part[0] == "[" and len(part) > 2:  # noqa: PLR2004 - brackets with something inside
            inside, negation = part[1:-1], ""
            if inside[0] == "!":
                inside, negation = inside[1:], "^/"
            parts.append(f"[{negation}{re.escape(inside).replace(chr(92) + '-', '-')}]")
        else:
            parts.append(re.escape(part))
    return "".join(parts)


def _who(event: Event) -> dict[str, Any]:
    exe = _eslogger.path(event.process.get("executable"))
    ids = _eslogger.identity(event.process)
    row = {"pid": ids["pid"], "uid": ids["uid"], "exe": exe}
    row["process"] = exe.rpartition("/")[2] if exe else None
    if event.time is not None:
        row["time"] = event.time
    return row


def _is_directory(file: Found) -> bool | None:
    mode = _eslogger.number(inner(file, "stat"), "st_mode")
    return None if mode is None else mode & TYPE == DIRECTORY


def _created(detail: Found) -> dict[str, Any]:
    path, _ = _eslogger.destination(detail)
    kind = _is_directory(inner(detail, "destination", "existing_file"))
    return {"action": "created", "path": path, "is_directory": kind}


def _closed(detail: Found) -> dict[str, Any] | None:
    if detail.get("modified") is not True:
        return None
    target = inner(detail, "target")
    kind = _is_directory(target)
    return {"action": "modified", "path": _eslogger.path(target), "is_directory": kind}


def _renamed(detail: Found) -> dict[str, Any]:
    source = inner(detail, "source")
    path, _ = _eslogger.destination(detail)
    row = {"action": "renamed", "path": path, "old_path": _eslogger.path(source)}
    return {**row, "is_directory": _is_directory(source)}


def _unlinked(detail: Found) -> dict[str, Any]:
    target = inner(detail, "target")
    kind = _is_directory(target)
    return {"action": "deleted", "path": _eslogger.path(target), "is_directory": kind}


CHANGES: Mapping[str, Callable[[Found], dict[str, Any] | None]] = {
    "create": _created,
    "close": _closed,
    "rename": _renamed,
    "unlink": _unlinked,
}


class FilesEvents(schema.FilesEvents):
    """Files and directories as they are made, changed, renamed and deleted.

    On macOS the setting `paths` of `[tables.files_events]` has patterns of what is
    told: a path that matches, and all that is below it; `*` and the like match within
    one name. Like events of one process that come together are one row, with their
    number in `count`.
    """

    sources = (ChangeSource,)
    settings = MappingProxyType({**Sourced.settings, "paths": PATHS})
    origin = Origin(
        source="`eslogger create close rename unlink`",
        needs=NEEDS,
        verified=VERIFIED,
    )


@hookimpl
def zeek_agent_tables(host: Host) -> list[FilesEvents]:
    """Offer the table on the host itself."""
    return [FilesEvents(host)] if host.platform == "darwin" else []
