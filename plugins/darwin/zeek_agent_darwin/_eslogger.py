"""Pure: events of Endpoint Security as `eslogger` prints them, one JSON object a line.

`eslogger(1)` comes with macOS 13. Apple does not promise the layout, which
follows `es_message_t` of ``<EndpointSecurity/ESMessage.h>``: whatever is
missing, or of another kind, is NULL, and unknown fields are ignored.
"""

import calendar
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from zeek_agent_core.api import storable

NOBODY = 0xFFFFFFFF
"""A user ID of -1."""
Found = Mapping[str, Any]
NOTHING: Found = {}


class Event(NamedTuple):
    """One event."""

    kind: str
    """`exec`, `exit`, `fork`, `open`, `create`, `rename`, `unlink`, ..."""
    time: int | None
    """In µs since the epoch."""
    process: Found
    """Who did it."""
    detail: Found
    """What is particular to the kind."""


def without_environment(line: bytes) -> bytes:
    """Return an event without the environment, which no table has.

    The result may be broken where the layout is another than expected.
    """
    start = line.find(b'"env":["')
    if start < 0:
        return line
    ends = [end for end in (line.find(b'"],', start), line.find(b'"]}', start)) if end > 0]
    if not ends or b'":' in line[start + 7 : min(ends)]:  # more than a list of texts
        return line
    return line[:start] + b'"env":null' + line[min(ends) + 2 :]


def without_status(line: bytes) -> bytes:
    """Return an event without the status of each file in it, which is half of the event.

    The result may be broken where the layout is another than expected.
    """
    first, *rest = line.split(b'"stat":{')
    return b'"stat":null'.join([first, *(part[part.index(b"}") + 1 :] for part in rest)])


def load_lean(line: bytes) -> Any:
    """Return the event of a line, without what can be cut out of it."""
    try:
        return json.loads(without_status(without_environment(line)))
    except ValueError:
        return json.loads(line)


class Reader:
    """Turns lines into events, and counts what was lost on the way."""

    def __init__(self) -> None:
        """Begin with a new `eslogger`."""
        self._last: int | None = None
        self.dropped = 0
        """Events that the system did not deliver, as told by gaps in their numbers."""
        self.unreadable = 0
        """Lines that are no events."""

    def events(self, lines: Iterable[bytes], *, is_lean: bool = False) -> list[Event]:
        """Return the events of *lines*; lean ones have no status of files."""
        loads = load_lean if is_lean else json.loads
        events = []
        for line in lines:
            try:
                message = loads(line)
                number = message.get("global_seq_num")
                ((kind, detail),) = message["event"].items()
                process = message["process"]
                moment = parse_time(message.get("time"))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                self.unreadable += 1
                continue
            if number.__class__ is int:
                self._count(number)
            if isinstance(detail, dict) and isinstance(process, dict):
                events.append(Event(kind, moment, process, detail))
            else:
                self.unreadable += 1
        return events

    def _count(self, number: int) -> None:
        if self._last is not None and number > self._last + 1:
            self.dropped += number - self._last - 1
        self._last = number


@lru_cache(maxsize=64)
def _second(text: str) -> int:
    """Return `YYYY-MM-DDThh:mm:ss` as seconds since the epoch."""
    date, _, clock = text.partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    if not (0 < month < 13 and 0 < day < 32 and 1969 < year < 10000):  # noqa: PLR2004
        raise ValueError(text)
    return calendar.timegm((year, month, day, hour, minute, second))


def parse_time(text: Any) -> int | None:
    """Return an RFC 3339 time in UTC as µs since the epoch; None if it is none."""
    if text.__class__ is not str or len(text) < 20 or text[-1] != "Z":  # noqa: PLR2004
        return None
    try:
        fraction = text[20:-1][:6]
        micros = int(fraction.ljust(6, "0")) if fraction else 0
        return _second(text[:19]) * 1_000_000 + micros
    except ValueError:
        return None


def inner(found: Any, *names: str) -> Found:
    """Return an object inside of *found*, an empty one if it is not there."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else NOTHING


def number(found: Found, name: str) -> int | None:
    """Return a number that can be a count; None for others, and for an ID of -1."""
    value = found.get(name)
    return value if value.__class__ is int and 0 <= value < NOBODY else None


def count(found: Found, name: str) -> int | None:
    """Return a number of up to 63 bits, such as an inode."""
    value = found.get(name)
    return value if value.__class__ is int and 0 <= value < 1 << 63 else None


def words(found: Found, name: str) -> str | None:
    """Return a text; None if it is empty or none."""
    value = found.get(name)
    if value.__class__ is not str or not value:
        return None
    return value if value.isascii() else storable(value)


def path(found: Any) -> str | None:
    """Return the path of an `es_file_t`."""
    return words(found, "path") if isinstance(found, dict) else None


def destination(detail: Found) -> tuple[str | None, bool]:
    """Return where something was made, and whether nothing was there before."""
    where = inner(detail, "destination")
    existing = path(where.get("existing_file"))
    if existing:
        return existing, False
    made = inner(where, "new_path")
    folder, name = path(made.get("dir")), words(made, "filename")
    return (f"{folder.rstrip('/')}/{name}" if folder and name else None), True


def arguments(detail: Found) -> list[str]:
    """Return the arguments of an `exec`."""
    args = detail.get("args")
    if args.__class__ is not list:
        return []
    texts = [arg for arg in args if arg.__class__ is str]
    return [arg if arg.isascii() else storable(arg) for arg in texts]


IDS = (
    ("pid", "pid"), ("uid", "euid"), ("gid", "egid"), ("ruid", "ruid"), ("rgid", "rgid"),
    ("auid", "auid"),
)  # fmt: skip
"""Our names and those of an audit token."""


def identity(process: Found) -> dict[str, Any]:
    """Return who an `es_process_t` is: `pid`, `ppid` and effective, real and login IDs."""
    token = process.get("audit_token")
    get = token.get if token.__class__ is dict else NOTHING.get
    ids: dict[str, Any] = {"ppid": number(process, "ppid")}
    for name, key in IDS:
        value = get(key)
        ids[name] = value if value.__class__ is int and 0 <= value < NOBODY else None
    return ids


def signature(process: Found) -> dict[str, Any]:
    """Return what macOS alone knows of a process: who signed it, who started it."""
    platform, cdhash = process.get("is_platform_binary"), words(process, "cdhash")
    return {
        "orig_ppid": number(process, "original_ppid"),
        "platform_binary": platform if platform.__class__ is bool else None,
        "signing_id": words(process, "signing_id"),
        "team_id": words(process, "team_id"),
        "cdhash": cdhash.lower() if cdhash else None,
    }


def exit_status(detail: Found) -> tuple[int | None, int | None]:
    """Return the exit status, or the signal that ended the process, of an `exit`."""
    status = number(detail, "stat")
    if status is None:
        return None, None
    signal = status & 0x7F
    return (None, signal) if signal else ((status >> 8) & 0xFF, None)
