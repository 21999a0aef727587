"""Pure: text and moments as JSON for Zeek, by the rules of a server."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring

from zeek_agent_core.values import EPOCH, text

Quote = Callable[[str], str]

_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
                  "\t": "\\t", "\0": "\\\\x00"}  # fmt: skip
_TABLE = str.maketrans(_SHORT_ESCAPES)
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The years 1 and 9999."""


def quoted_for_old(value: str) -> str:
    r"""Return *value* in quotes, without `\u00XX`; NUL, which cannot be sent, as ``\x00``."""
    made = encode_basestring(value)
    if "\\u00" in made:
        return f'"{value.translate(_TABLE)}"'
    return made


def quoting(*, unicode_escapes: bool) -> Quote:
    """Return the function that puts text in quotes."""
    return encode_basestring if unicode_escapes else quoted_for_old


def clean(value: str) -> str:
    r"""Return *value* as text that has a UTF-8 form: lone surrogates become ``\xNN``."""
    try:
        return text(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return text(value.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=4096)
def second_text(seconds: int) -> str | None:
    """Return a moment in whole seconds since the epoch as Zeek writes it; None if it has no date.

    Cached: the moments of one result share few seconds.
    """
    if not _FIRST <= seconds <= _LAST:
        return None
    moment: datetime = EPOCH.replace(tzinfo=None) + timedelta(seconds=seconds)
    return moment.isoformat()


def moment_text(micros: int, *, micro_digits: bool, utc_offset: int) -> str | None:
    """Return microseconds since the epoch as a time stamp, without quotes."""
    seconds, rest = divmod(micros, 1_000_000)
    whole = second_text(seconds + utc_offset)
    if whole is None:
        return None
    return f"{whole}.{rest:06d}" if micro_digits else f"{whole}.{rest // 1000:03d}"
