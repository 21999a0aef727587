"""Turns text from files into values; what does not convert is None."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from zeek_agent_core.api import Port, Type, text

INTEGER = re.compile(r"\s*([+-]?[0-9]{1,20})(?![0-9])")
REAL = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp|icmp|unknown))?", re.IGNORECASE)
TRUE = {"true", "t", "yes", "y", "on", "1"}
FALSE = {"false", "f", "no", "n", "off", "0"}

MAX_INTEGER = (1 << 63) - 1
MAX_PORT = 65535


def integer(field: str) -> int | None:
    """Return the leading whole number of *field*, as C's `strtol` sees it."""
    found = INTEGER.match(field)
    number = int(found[1]) if found else None
    return number if number is not None and -MAX_INTEGER <= number <= MAX_INTEGER else None


def count(field: str) -> int | None:
    """Return the leading number of *field* unless it is negative."""
    number = integer(field)
    return number if number is not None and number >= 0 else None


def real(field: str) -> float | None:
    """Return the leading decimal number of *field*."""
    found = REAL.match(field)
    number = float(found[1]) if found else None
    return number if number is not None and isfinite(number) else None


def boolean(field: str) -> bool | None:
    """Return what words for truth say."""
    word = field.strip().lower()
    return True if word in TRUE else False if word in FALSE else None


def address(field: str) -> str | None:
    """Return an IP address in its usual form, without scope."""
    try:
        return str(ipaddress.ip_address(field.strip().partition("%")[0]))
    except ValueError:
        return None


def port(field: str) -> Port | None:
    """Return a port such as `80/tcp`; without protocol it is of `unknown`."""
    found = PORT.fullmatch(field.strip())
    if found is None or int(found[1]) > MAX_PORT:
        return None
    return Port(int(found[1]), (found[2] or "unknown").lower())


def time(field: str) -> int | None:
    """Return RFC 3339 text, or seconds since the epoch, in microseconds."""
    word = field.strip()
    try:
        if REAL.fullmatch(word):
            return _scaled(word, 1_000_000)
        moment = datetime.fromisoformat(word)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def interval(field: str) -> int | None:
    """Return seconds, with or without an `s` behind, in nanoseconds."""
    word = field.strip().removesuffix("s")
    return _scaled(word, 1_000_000_000) if REAL.fullmatch(word) else None


def _scaled(word: str, scale: int) -> int | None:
    """Return the decimal number *word* times *scale*, without a float's rounding."""
    if "e" in word.lower():
        number = float(word) * scale
        return round(number) if abs(number) <= MAX_INTEGER else None
    whole, _, fraction = word.partition(".")
    digits = len(str(scale)) - 1
    number = int(f"{whole}{fraction[:digits]:0<{digits}}")
    return number if abs(number) <= MAX_INTEGER else None


PARSERS: Mapping[Type, Callable[[str], Any]] = {
    Type.ADDRESS: address,
    Type.BOOL: boolean,
    Type.COUNT: count,
    Type.ENUM: str,
    Type.INT: integer,
    Type.INTERVAL: interval,
    Type.NULL: lambda _: None,
    Type.PORT: port,
    Type.REAL: real,
    Type.TEXT: str,
    Type.TIME: time,
}


def converter(kind: Type) -> Callable[[bytes], Any] | None:
    """Return what turns a field of a file into a value of *kind*; None if nothing can."""
    if kind is Type.BLOB:
        return bytes
    parse = PARSERS.get(kind)
    return None if parse is None else lambda field: parse(text(field))
