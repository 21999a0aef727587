r"""Values as Zeek's log writer puts them on a line.

The rules are those of Zeek's ASCII writer: unset is ``-``, empty text and
empty sets are ``(empty)``; text that looks like either of them begins with a
``\xNN`` escape. A backslash is doubled; tab, and within a set the comma, are
escaped. Where control characters occur in a stretch of text, all bytes of it
that are not printable ASCII are escaped; other text stays UTF-8.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from zeek_agent_core.values import SqlValue, Type, text, type_of_value

UNSET = "-"
EMPTY = "(empty)"

Formatter = Callable[[Sequence[SqlValue]], Sequence[str]]
"""Turns the values of one column into text, all rows at once."""

_RESERVED = {"": EMPTY, UNSET: r"\x2d", EMPTY: r"\x28empty)"}
_SEPARATORS = {"\\": r"\\", "\t": r"\x09", ",": r"\x2c"}
# Controls, private use, specials: what Zeek does not take for text.
_CONTROL = "\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufff0-\uffff"
_BAD = re.compile(f"[{_CONTROL}]")
_SPECIAL = re.compile(rf"[{_CONTROL}\\]")
_IN_FIELD = re.compile(r"([\\\t])")
_IN_SET = re.compile(r"([\\\t,])")

_ZEEK_TYPES = {
    Type.ADDRESS: "addr",
    Type.BOOL: "bool",
    Type.COUNT: "count",
    Type.ENUM: "enum",
    Type.INT: "int",
    Type.INTERVAL: "interval",
    Type.PORT: "port",
    Type.REAL: "double",
    Type.TIME: "time",
}


def zeek_type(kind: Type, element: Type | None = None) -> str:
    """Return the name of *kind* in a log's `#types` line."""
    if kind in {Type.SET, Type.VECTOR}:
        return f"{kind}[{zeek_type(element or Type.TEXT)}]"
    if kind is Type.RECORD:
        return "vector[string]"
    return _ZEEK_TYPES.get(kind, "string")


def escape(value: str, separators: re.Pattern[str] = _IN_FIELD) -> str:
    """Return text *value* as it stands in a field."""
    if value in _RESERVED:
        return _RESERVED[value]
    if _SPECIAL.search(value) is None and separators.search(value) is None:
        return value
    return "".join(map(_stretch, separators.split(value)))


def _stretch(part: str) -> str:
    if part in _SEPARATORS:
        return _SEPARATORS[part]
    if _BAD.search(part) is None:
        return part
    raw = part.encode("utf-8", "surrogatepass")
    return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in raw)  # noqa: PLR2004


def field(kind: Type, value: SqlValue) -> str:
    """Return one stored *value* of *kind* as it stands in a field."""
    if isinstance(value, str):
        if kind is Type.ADDRESS and not value:
            return UNSET
        return _from_json(value) if kind in _NESTED else escape(value)
    return _plain(kind, value)


_NESTED = {Type.PORT, Type.RECORD, Type.SET, Type.VECTOR}


_PER_SECOND = {Type.TIME: 1e6, Type.INTERVAL: 1e9}


def _plain(kind: Type, value: float | bytes | None) -> str:
    if value is None:
        return UNSET
    if isinstance(value, bytes):
        return escape(text(value))
    if kind in _PER_SECOND:
        return f"{value / _PER_SECOND[kind]:.6f}"
    if kind is Type.BOOL:
        return "T" if value else "F"
    is_whole = isinstance(value, int) and kind is not Type.REAL
    return str(value) if is_whole else _real(value)


def _real(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    shown = f"{value:.6f}".rstrip("0")
    return f"{shown}0" if shown.endswith(".") else shown


def _from_json(value: str) -> str:
    try:
        form = json.loads(value)
    except ValueError:
        return escape(value)
    if isinstance(form, dict) and "port" in form:
        return str(form["port"])
    if isinstance(form, dict) and isinstance(form.get("value"), list):
        kind = form.get("elem")
        return _joined([_element(kind, item) for item in form["value"]])
    if isinstance(form, list) and all(isinstance(item, dict) for item in form):
        return _joined([_element(item.get("type"), item.get("value")) for item in form])
    return escape(value)


def _joined(items: list[str]) -> str:
    return ",".join(items) if items else EMPTY


def _element(kind: Any, item: Any) -> str:
    if isinstance(item, dict) and "port" in item:
        return str(item["port"])
    if isinstance(item, dict | list):
        item = json.dumps(item, ensure_ascii=False)
    if isinstance(item, str):
        return escape(item, _IN_SET)
    return _plain(_known(kind, item), item)


def _known(kind: Any, item: SqlValue) -> Type:
    try:
        return Type(kind)
    except ValueError:
        return type_of_value(item)


def part(index: int, kind: Type) -> Formatter:
    """Return what shows part *index* of the records of a column, as a column of *kind*."""

    def one(value: SqlValue) -> str:
        try:
            item = json.loads(value)[index]["value"] if isinstance(value, str) else None
        except (ValueError, LookupError, TypeError):
            item = None
        return field(kind, item) if not isinstance(item, dict | list) else escape(json.dumps(item))

    return lambda values: [one(value) for value in values]


def formatter(kind: Type) -> Formatter:
    """Return what shows the values of a column of *kind*; fast for those it should hold."""
    whole = _WHOLE_COLUMN.get(kind)
    expected, convert = whole or (None, None)

    def column(values: Sequence[SqlValue]) -> Sequence[str]:
        present = set(map(type, values))
        has_null = type(None) in present
        if convert is None or present - {type(None)} != {expected}:
            return [field(kind, value) for value in values]
        if not has_null:
            return convert(values)
        shown = iter(convert([value for value in values if value is not None]))
        return [UNSET if value is None else next(shown) for value in values]

    return column


def _texts(values: Sequence[Any]) -> Sequence[str]:
    # Most columns need no escape anywhere, and one look at all of it tells.
    joined = "".join(values)
    is_ascii = joined.isascii() and joined.isprintable() and "\\" not in joined
    if (is_ascii or _SPECIAL.search(joined) is None) and _RESERVED.keys().isdisjoint(values):
        return values
    return [escape(value) for value in values]


def _addresses(values: Sequence[Any]) -> Sequence[str]:
    return _texts(values) if "" not in values else [field(Type.ADDRESS, v) for v in values]


def _numbers(values: Sequence[Any]) -> Sequence[str]:
    return list(map(str, values))


def _seconds(kind: Type) -> Formatter:
    scale = _PER_SECOND[kind]

    def column(values: Sequence[Any]) -> Sequence[str]:
        return [f"{value / scale:.6f}" for value in values]

    return column


_WHOLE_COLUMN: dict[Type, tuple[type, Formatter]] = {
    Type.ADDRESS: (str, _addresses),
    Type.BLOB: (str, _texts),
    Type.ENUM: (str, _texts),
    Type.TEXT: (str, _texts),
    Type.COUNT: (int, _numbers),
    Type.INT: (int, _numbers),
    Type.BOOL: (int, lambda values: ["T" if value else "F" for value in values]),
    Type.TIME: (int, _seconds(Type.TIME)),
    Type.INTERVAL: (int, _seconds(Type.INTERVAL)),
}
"""For each type the class that its values have, and what shows them without looking at each."""
