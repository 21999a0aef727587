"""Pure: entries of the unified log as `log stream --style ndjson` prints them.

One JSON object a line, after a line of text that names the filter; keys are
those that `log(1)` uses, such as `eventMessage` and `processImagePath`.
"""

import calendar
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from zeek_agent_core.api import Row, storable

NOBODY = 0xFFFFFFFF
NUMBERS = (("pid", "processID"), ("uid", "userID"))
WORDS = (("identifier", "subsystem"), ("facility", "category"))
LONGEST = 65_536
"""Characters of a message that are kept."""


class Reader:
    """Turns lines into rows of ``system_logs_events``."""

    def __init__(self) -> None:
        """Begin with a new `log`."""
        self.dropped = 0
        """Entries that the log says it lost."""
        self.unreadable = 0
        """Lines that are no entries."""

    def rows(self, lines: Iterable[bytes]) -> list[Row]:
        """Return the rows of *lines*."""
        loads = json.loads
        rows: list[Row] = []
        for line in lines:
            if line[:1] != b"{":
                continue  # the line that names the filter
            try:
                entry = loads(line)
            except (ValueError, RecursionError):
                self.unreadable += 1
                continue
            if entry.get("eventType") == "lossEvent":
                self.dropped += _losses(entry)
            message = entry.get("eventMessage")
            if message.__class__ is str:
                rows.append(_row(entry, message[:LONGEST]))
        return rows


def _row(entry: dict[str, Any], message: str) -> Row:
    image, level = entry.get("processImagePath"), entry.get("messageType")
    row: dict[str, Any] = {
        "process": _process(image) if image.__class__ is str else None,
        "level": level.lower() if level.__class__ is str and level else None,
        "message": message if message.isascii() else storable(message),
    }
    for column, key in NUMBERS:
        value = entry.get(key)
        if value.__class__ is int and 0 <= value < NOBODY:
            row[column] = value
    for column, key in WORDS:
        value = entry.get(key)
        if value.__class__ is str and value:
            row[column] = value if value.isascii() else storable(value)
    moment = parse_time(entry.get("timestamp"))
    if moment is not None:
        row["time"] = moment
    return row


def _losses(entry: dict[str, Any]) -> int:
    """Return how many entries a loss event tells of, at least one."""
    count = entry.get("lossCount")
    if isinstance(count, dict):
        count = count.get("count")
    return count if isinstance(count, int) and 0 < count < 1 << 32 else 1


@lru_cache(maxsize=4096)
def _process(image: str) -> str | None:
    """Return the last component of a program's path."""
    return storable(image.rpartition("/")[2]) or None


@lru_cache(maxsize=64)
def _second(clock: str, zone: str) -> int:
    """Return `YYYY-MM-DD hh:mm:ss` in a zone `+hhmm` as seconds since the epoch."""
    date, _, time = clock.partition(" ")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, time.split(":"))
    if zone[0] not in "+-" or not (0 < month < 13 and 0 < day < 32 and 1969 < year < 10000):  # noqa: PLR2004
        raise ValueError(clock)
    offset = (int(zone[1:3]) * 60 + int(zone[3:5])) * 60
    local = calendar.timegm((year, month, day, hour, minute, second))
    return local - (offset if zone[0] == "+" else -offset)


def parse_time(text: Any) -> int | None:
    """Return `2026-11-27 21:00:00.123456+0100` as µs since the epoch; None if it is no time."""
    if text.__class__ is not str or len(text) != 31:  # noqa: PLR2004
        return None
    try:
        return _second(text[:19], text[26:]) * 1_000_000 + int(text[20:26])
    except (ValueError, OverflowError):
        return None
