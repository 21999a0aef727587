"""Pure: lines of syslog's files.

Sources: RFC 3164 section 4.1 (without its priority, as it is written to files),
RFC 3339 times as rsyslog writes them today.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from zeek_agent_core.api import text

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_OLD = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\S+) (.*)", re.DOTALL)
_NEW = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (\S+) (.*)", re.DOTALL
)
_TAG = re.compile(rb"([^\s\[:]{1,128})(?:\[(\d{1,10})\])?: ?(.*)", re.DOTALL)
_AHEAD = timedelta(days=2)
"""A line without year that would lie further ahead is of last year."""


class Line(NamedTuple):
    """What a line tells."""

    time: int | None
    """In µs since the epoch; None if it has none."""
    identifier: str | None
    pid: int | None
    message: str


def parse(raw: bytes, now: datetime) -> Line:
    """Return what the line *raw* tells, *now* being local time; what is no syslog is a message."""
    new = _NEW.fullmatch(raw)
    old = None if new else _OLD.fullmatch(raw)
    moment = None
    if new:
        moment = _moment(new[1])
    elif old:
        moment = _old_moment(old, now)
    if moment is None:
        return Line(None, None, None, text(raw))
    rest = new[3] if new else old[7] if old else raw
    time = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    tag = _TAG.fullmatch(rest)
    if tag is None:
        return Line(time, None, None, text(rest))
    return Line(time, text(tag[1]), int(tag[2]) if tag[2] else None, text(tag[3]))


def _moment(raw: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(raw.decode())
    except ValueError:
        return None


def _old_moment(match: re.Match[bytes], now: datetime) -> datetime | None:
    """Return the moment of a line that does not say its year."""
    try:
        month = MONTHS.index(match[1].decode()) + 1
        day, hour, minute, second = (int(match[number]) for number in (2, 3, 4, 5))
        for year in (now.year + 1, now.year, now.year - 1):
            if (month, day) == (2, 29) and year % 4:
                continue
            # `astimezone` takes the zone of the host, by the rules of that day.
            moment = datetime(year, month, day, hour, minute, min(second, 59)).astimezone()
            if moment <= now + _AHEAD:
                return moment
    except (ValueError, OverflowError):
        pass
    return None
