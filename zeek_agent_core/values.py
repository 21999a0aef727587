"""Column types, and the forms their values take in Python, SQLite and JSON.

A table yields plain Python values; SQLite stores what `to_sql` makes of them:

=========  ===========================================  ============================
Type       a table yields                               SQLite holds
=========  ===========================================  ============================
text enum  `str` (or `bytes`, read as UTF-8)            TEXT
address    `str`, dotted quad or RFC 4291 text          TEXT
blob       `bytes` (or `str`)                           BLOB
bool       `bool`                                       INTEGER 0 or 1
count int  `int`                                        INTEGER
real       `float`, `int`                               REAL
interval   `timedelta`, or `int` nanoseconds            INTEGER, nanoseconds
time       aware `datetime`, or `int` microseconds      INTEGER, µs since the epoch
port       `Port`                                       TEXT, JSON
set        collection of element values                 TEXT, JSON, sorted
vector     sequence of element values                   TEXT, JSON
record     sequence of `(Type, value)`                  TEXT, JSON
=========  ===========================================  ============================

``None`` is NULL for every type.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

type_of = type

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

SqlValue = None | int | float | str | bytes
"""What SQLite can hold."""

Row = Mapping[str, Any]
"""One row as a table yields it: column name to value; an absent key is NULL."""


class Type(StrEnum):
    """Type of a column; the values are the names that schemas and Zeek use."""

    ADDRESS = "address"
    BLOB = "blob"
    BOOL = "bool"
    COUNT = "count"
    ENUM = "enum"
    INT = "int"
    INTERVAL = "interval"
    NULL = "null"
    PORT = "port"
    REAL = "real"
    RECORD = "record"
    SET = "set"
    TEXT = "text"
    TIME = "time"
    VECTOR = "vector"


class Port(NamedTuple):
    """A transport-layer port."""

    number: int
    protocol: str
    """`tcp`, `udp`, `icmp` or `unknown`."""


_INTEGERS = {Type.BOOL, Type.COUNT, Type.INT, Type.INTERVAL, Type.TIME}
_TEXTS = {Type.ADDRESS, Type.ENUM, Type.TEXT}
_JSON = {Type.PORT, Type.RECORD, Type.SET, Type.VECTOR}

PLAIN: Mapping[Type, type_of] = {
    Type.ADDRESS: str,
    Type.BLOB: bytes,
    Type.BOOL: bool,
    Type.COUNT: int,
    Type.ENUM: str,
    Type.INT: int,
    Type.INTERVAL: int,
    Type.REAL: float,
    Type.TEXT: str,
    Type.TIME: int,
}
"""The class whose values SQLite takes as they are, for each type that has one."""


def sql_type(kind: Type) -> str:
    """Return the type that a column of *kind* is declared with in SQL."""
    if kind in _INTEGERS:
        return "INTEGER"
    if kind is Type.REAL:
        return "REAL"
    return "BLOB" if kind is Type.BLOB else "TEXT"


def text(raw: bytes) -> str:
    r"""Return *raw* as text; bytes that are not UTF-8 become ``\xNN``."""
    return raw.decode("utf-8", "backslashreplace")


def storable(value: str) -> str:
    r"""Return *value* with undecodable bytes (PEP 383 surrogates) as ``\xNN``.

    Halves of UTF-16 pairs, which Windows and JSON let through, are the three bytes that
    UTF-8 would have for them.
    """
    return text(_encoded(value))


def _encoded(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def to_sql(kind: Type, value: Any, element: Type | None = None) -> SqlValue:
    """Return what SQLite stores for *value* in a column of *kind*.

    *element* is the type of the elements of a set or vector. Raises
    `TypeError` or `ValueError` when the value is not one of *kind*.
    """
    if value is None:
        return None
    if kind in _JSON:
        return json.dumps(_json_form(kind, value, element), separators=(",", ":"))
    convert = _CONVERTERS.get(kind)
    if convert is None:
        raise TypeError(f"a column cannot be of type {kind}")
    return convert(value)


def _json_form(kind: Type, value: Any, element: Type | None) -> Any:
    if kind is Type.PORT:
        number, protocol = value
        return {"port": int(number), "proto": str(protocol)}
    if kind is Type.RECORD:
        return [{"type": str(part), "value": _nested(part, item, None)} for part, item in value]
    if isinstance(value, str | bytes):
        raise TypeError(f"a {kind} is made of elements, not of {type_of(value).__name__}")
    inner = element or Type.TEXT
    items = [_nested(inner, item, None) for item in value]
    if kind is Type.SET:
        items.sort(key=lambda item: (item is not None, item))
    return {"elem": str(inner), "value": items}


def _nested(kind: Type, value: Any, element: Type | None) -> Any:
    if value is None or kind is Type.NULL:
        return None
    if kind in _JSON:
        return _json_form(kind, value, element)
    if kind is Type.BOOL:
        return bool(value)
    stored = to_sql(kind, value)
    return text(stored) if isinstance(stored, bytes) else stored


def _text_to_sql(value: Any) -> str:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bytes):
        return text(value)
    raise TypeError(f"text expected, not {type_of(value).__name__}")


def _blob_to_sql(value: Any) -> bytes:
    if isinstance(value, str):
        return _encoded(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"bytes expected, not {type_of(value).__name__}")


def _integer_to_sql(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"a whole number expected, not {type_of(value).__name__}")


def _real_to_sql(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"a number expected, not {type_of(value).__name__}")


def _interval_to_sql(value: Any) -> int:
    if isinstance(value, timedelta):
        return value // MICROSECOND * 1000
    return _integer_to_sql(value)


def _time_to_sql(value: Any) -> int:
    if isinstance(value, datetime):
        return (value - EPOCH) // MICROSECOND
    return _integer_to_sql(value)


_CONVERTERS: Mapping[Type, Callable[[Any], SqlValue]] = {
    Type.ADDRESS: _text_to_sql,
    Type.BLOB: _blob_to_sql,
    Type.BOOL: _integer_to_sql,
    Type.COUNT: _integer_to_sql,
    Type.ENUM: _text_to_sql,
    Type.INT: _integer_to_sql,
    Type.INTERVAL: _interval_to_sql,
    Type.REAL: _real_to_sql,
    Type.TEXT: _text_to_sql,
    Type.TIME: _time_to_sql,
}


def type_of_value(value: SqlValue) -> Type:
    """Return the type of a result *value* that comes from no table column."""
    return _STORAGE[type_of(value)]


_STORAGE: Mapping[type_of, Type] = {
    type_of(None): Type.NULL,
    bool: Type.BOOL,
    int: Type.INT,
    float: Type.REAL,
    str: Type.TEXT,
    bytes: Type.BLOB,
}


def iso_time(microseconds: int) -> str:
    """Return microseconds since the epoch as RFC 3339 text in UTC, exact to the µs."""
    moment = EPOCH.replace(tzinfo=None) + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds") + "Z"


def seconds_text(nanoseconds: int) -> str:
    """Return an interval as seconds with no more digits than it needs, for example `1.5s`."""
    whole, rest = divmod(abs(nanoseconds), 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if nanoseconds < 0 else ''}{whole}{fraction}s"


def to_text(kind: Type, value: SqlValue) -> str:  # noqa: PLR0911 - one for each form
    """Return a stored *value* of *kind* as people read it; NULL is `(null)`."""
    if value is None:
        return "(null)"
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, int):
        if kind is Type.TIME:
            return _time_or_number(value)
        if kind is Type.INTERVAL:
            return seconds_text(value)
        if kind is Type.BOOL:
            return "true" if value else "false"
    if kind in _JSON and isinstance(value, str):
        return _json_text(value)
    return str(value)


def _time_or_number(value: int) -> str:
    try:
        return iso_time(value)
    except (OverflowError, ValueError):
        return f"{value}us"


def _json_text(value: str) -> str:
    try:
        form = json.loads(value)
    except ValueError:
        return value
    if isinstance(form, list):
        return _joined("[", (part.get("value") for part in form), "]")
    if "port" in form:
        return f"{form['port']}/{form['proto']}"
    is_set = form.get("elem") is not None and isinstance(form.get("value"), list)
    return _joined("{", form["value"], "}") if is_set else value


def _joined(opening: str, items: Iterable[Any], closing: str) -> str:
    return opening + ", ".join("(null)" if i is None else str(i) for i in items) + closing


def to_json(kind: Type, value: SqlValue) -> Any:
    """Return a stored *value* of *kind* as JSON output shows it.

    Times are RFC 3339 text, intervals seconds, sets and vectors arrays,
    records arrays of their values, ports `80/tcp`.
    """
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, int):
        if kind is Type.TIME:
            return _time_or_number(value)
        if kind is Type.INTERVAL:
            return value / 1e9
        if kind is Type.BOOL:
            return bool(value)
    if kind in _JSON and isinstance(value, str):
        return elements(value)
    return value


def elements(value: str) -> Any:
    """Return a stored set, vector, record or port as a list of values, or port text."""
    try:
        form = json.loads(value)
    except ValueError:
        return value
    if isinstance(form, list):
        return [part.get("value") for part in form]
    if "port" in form:
        return f"{form['port']}/{form['proto']}"
    return form.get("value", value)


def is_of_type(value: SqlValue, kind: Type) -> bool:
    """Return whether a stored *value* can be one of *kind*."""
    if value is None:
        return True
    expected = {"INTEGER": int, "REAL": float, "TEXT": str, "BLOB": bytes}[sql_type(kind)]
    return isinstance(value, expected)
