"""Pure: events of the Event Log, from the XML that `EvtRender` makes of them.

The schema is that of https://learn.microsoft.com/windows/win32/wes/eventschema-schema.
"""

import calendar
import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from zeek_agent_core.api import Row, storable

NAMESPACE = "{http://schemas.microsoft.com/win/2004/08/events/event}"
LEVELS = {0: "info", 1: "critical", 2: "error", 3: "warning", 4: "info", 5: "verbose"}
AUDIT_FAILURE, AUDIT_SUCCESS = 1 << 52, 1 << 53
LONGEST = 65_536
"""Characters of a message that are kept."""
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$", re.ASCII)


class Rendered(NamedTuple):
    """An event as the system gives it."""

    xml: str
    message: str | None
    """The text for people, if the provider has one."""


class Event(NamedTuple):
    """What an event says."""

    channel: str
    record: int | None
    provider: str | None
    number: int | None
    """Its event ID."""
    time: int | None
    """In µs since the epoch."""
    level: int | None
    keywords: int
    pid: int | None
    user: str | None
    """SID."""
    data: Mapping[str, str]
    """Its parameters by name; those without are numbered from 1."""


def parse_event(xml: str) -> Event:
    """Return the event; raise `ValueError` if the text is none."""
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ValueError("an event has no document type")
    try:
        root = ET.fromstring(xml)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise ValueError(f"no XML: {error}") from error
    system = root.find(f"{NAMESPACE}System")
    if system is None:
        raise ValueError("no event: it has no System")
    found = {_local(child): child for child in system}
    return Event(
        _text(found, "Channel") or "",
        _number(_text(found, "EventRecordID")),
        _attribute(found, "Provider", "Name"),
        _number(_text(found, "EventID")),
        parse_time(_attribute(found, "TimeCreated", "SystemTime")),
        _number(_text(found, "Level")),
        _number(_text(found, "Keywords"), base=16) or 0,
        _number(_attribute(found, "Execution", "ProcessID")),
        _attribute(found, "Security", "UserID"),
        dict(_data(root)),
    )


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(found: Mapping[str, ET.Element], name: str) -> str | None:
    element = found.get(name)
    return element.text if element is not None else None


def _attribute(found: Mapping[str, ET.Element], name: str, key: str) -> str | None:
    element = found.get(name)
    return element.get(key) or None if element is not None else None


def _number(text: str | None, base: int = 10) -> int | None:
    """Return a number of up to 64 bits; None if it is none."""
    try:
        value = int(text, base) if text is not None and len(text) < 24 else None  # noqa: PLR2004
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1 << 64 else None


def _data(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield the parameters, which stand in one of several elements."""
    for holder in root:
        kind = _local(holder)
        if kind == "EventData":
            for position, child in enumerate(holder, 1):
                yield child.get("Name") or str(position), "".join(child.itertext())
        elif kind == "UserData":
            for outer in holder:
                for child in outer:
                    yield _local(child), "".join(child.itertext())


@lru_cache(maxsize=64)
def _second(text: str) -> int:
    date, _, clock = text.partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    if not (0 < month < 13 and 0 < day < 32 and year > 1969):  # noqa: PLR2004
        raise ValueError(text)
    return calendar.timegm((year, month, day, hour, minute, second))


def parse_time(text: str | None) -> int | None:
    """Return a `SystemTime` as µs since the epoch; None if it is none."""
    found = TIME.match(text) if text else None
    if found is None:
        return None
    try:
        return _second(found[1]) * 1_000_000 + int((found[2] or "0")[:6].ljust(6, "0"))
    except ValueError:
        return None


def level(event: Event) -> str | None:
    """Return the severity in a word; audits are successes or failures."""
    if event.keywords & AUDIT_FAILURE:
        return "audit_failure"
    if event.keywords & AUDIT_SUCCESS:
        return "audit_success"
    return None if event.level is None else LEVELS.get(event.level, f"unknown ({event.level})")


def log_row(rendered: Rendered, event: Event, wanted: Collection[str]) -> Row:
    """Return the row of ``system_logs_events``; *wanted* names what goes into `fields`."""
    message = rendered.message
    if message is None:
        message = ", ".join(event.data.values())
    row: dict[str, Any] = {
        "process": event.provider,
        "level": level(event),
        "message": storable(message[:LONGEST]),
        "eventid": None if event.record is None else f"{event.channel} {event.record}",
        "identifier": event.provider,
        "pid": event.pid,
        "facility": event.channel or None,
    }
    if event.time is not None:
        row["time"] = event.time
    if wanted:
        row["fields"] = _fields(event, wanted)
    return row


def _fields(event: Event, wanted: Collection[str]) -> str:
    known = {"EventID": event.number, "UserID": event.user, **event.data}
    chosen = known if "*" in wanted else {name: known.get(name) for name in wanted}
    present = {name: str(value) for name, value in chosen.items() if value is not None}
    return json.dumps(present, ensure_ascii=True)


def bookmark(channel: str, record: int) -> str:
    """Return the XML of a bookmark behind which a subscription can go on."""
    mark = f"<Bookmark Channel={quoteattr(channel)} RecordId='{record}' IsCurrent='true'/>"
    return f"<BookmarkList>{mark}</BookmarkList>"
