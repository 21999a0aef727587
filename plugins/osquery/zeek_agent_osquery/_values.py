"""Pure: osquery's types and what its texts mean in them."""

from collections.abc import Callable, Mapping
from typing import Any

from zeek_agent_core.api import Type, text

TYPES: Mapping[str, Type] = {
    "TEXT": Type.TEXT,
    "INTEGER": Type.INT,
    "BIGINT": Type.INT,
    "UNSIGNED BIGINT": Type.COUNT,
    "DOUBLE": Type.REAL,
    "BLOB": Type.BLOB,
}
"""Osquery's types; all others are text."""

NUMBERS = (Type.INT, Type.COUNT, Type.REAL)
SAFE_DIGITS = 18
"""A number of so many letters fits into 64 bits."""
INT64 = range(-(1 << 63), 1 << 63)

Convert = Callable[[bytearray], Any]


class BadValueError(ValueError):
    """A text that is no value of its column's type."""


def as_text(raw: bytearray) -> str:
    r"""Return text; bytes that are not UTF-8 become ``\xNN``."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return text(bytes(raw))


def as_integer(raw: bytearray) -> int | None:
    """Return a whole number; None for nothing."""
    if not raw:
        return None
    try:
        number = int(raw)
    except ValueError as error:
        raise BadValueError(f"{_shown(raw)} is no whole number") from error
    if len(raw) > SAFE_DIGITS and number not in INT64:
        raise BadValueError(f"{_shown(raw)} does not fit into 64 bits")
    return number


def as_real(raw: bytearray) -> float | None:
    """Return a number; None for nothing."""
    if not raw:
        return None
    try:
        return float(raw)
    except ValueError as error:
        raise BadValueError(f"{_shown(raw)} is no number") from error


CONVERTERS: Mapping[Type, Convert] = {
    Type.TEXT: as_text,
    Type.INT: as_integer,
    Type.COUNT: as_integer,
    Type.REAL: as_real,
    Type.BLOB: bytes,
}


def _shown(raw: bytearray, most: int = 40) -> str:
    return repr(text(bytes(raw[:most])))
