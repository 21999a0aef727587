"""Pure: a batch of rows as bytes and back, column by column.

A column of whole numbers or of reals travels as it lies in memory: both sides
are on one machine. A column of text travels as one text, its values separated
by NUL. All else, such as columns with NULL among other values, is JSON.
"""

import json
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from zeek_agent_core.query import ResultRow
from zeek_agent_core.values import SqlValue

INTS, REALS, TEXTS, MIXED = "int", "real", "text", "json"
NUL = "\0"

_STORED = {type(None), int, float, str, bytes}


def pack(rows: Sequence[ResultRow]) -> tuple[list[list[Any]], bytes]:
    """Return kind and size of each column of *rows*, and their bytes."""
    parts = [_pack_column(values) for values in zip(*rows, strict=True)]
    return [[kind, len(data)] for kind, data in parts], b"".join(data for _, data in parts)


def _pack_column(values: tuple[SqlValue, ...]) -> tuple[str, bytes]:
    packer = _PACKERS.get(type(values[0]))
    if packer is not None:
        try:
            return packer(values)
        except (TypeError, OverflowError):  # the others are not of the first one's type
            pass
    return MIXED, _encode(values).encode("ascii")


def _pack_ints(values: Sequence[Any]) -> tuple[str, bytes]:
    return INTS, array("q", values).tobytes()


def _pack_reals(values: Sequence[Any]) -> tuple[str, bytes]:
    if set(map(type, values)) != {float}:
        raise TypeError("an array of reals would make reals of whole numbers")
    return REALS, array("d", values).tobytes()


def _pack_texts(values: Sequence[Any]) -> tuple[str, bytes]:
    joined = NUL.join(values)
    if joined.count(NUL) != len(values) - 1:
        raise TypeError("a value contains the separator")
    return TEXTS, joined.encode("utf-8", "surrogatepass")


_PACKERS: Mapping[type, Callable[[Sequence[Any]], tuple[str, bytes]]] = {
    int: _pack_ints,
    float: _pack_reals,
    str: _pack_texts,
}


def unpack(count: int, columns: Iterable[Sequence[Any]], data: bytes) -> list[ResultRow]:
    """Return the *count* rows that `pack` made *columns* and *data* of.

    Raises `ValueError` or `TypeError` where it cannot have been.
    """
    kinds = [(str(kind), _size(size)) for kind, size in columns]
    ends = list(accumulate((size for _, size in kinds), initial=0))
    if ends[-1] != len(data) or not kinds:
        raise ValueError("the sizes of the columns do not add up")
    view = memoryview(data)
    values = [
        _unpack_column(kind, bytes(view[begin:end]))
        for (kind, _), (begin, end) in zip(kinds, pairwise(ends), strict=True)
    ]
    if any(len(column) != count for column in values):
        raise ValueError("the columns are not equally long")
    return list(zip(*values, strict=True))


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a size is a whole number")
    return value


def _unpack_column(kind: str, data: bytes) -> Sequence[SqlValue]:
    if kind == TEXTS:
        return data.decode("utf-8", "surrogatepass").split(NUL)
    if kind == INTS:
        return _numbers(array("q"), data)
    if kind == REALS:
        return _numbers(array("d"), data)
    if kind != MIXED:
        raise ValueError(f"columns are not packed as {kind}")
    values = json.loads(data, object_hook=_blob)
    if type(values) is not list or not set(map(type, values)) <= _STORED:
        raise ValueError("a value is none that SQLite holds")
    return values


def _numbers(numbers: "array[Any]", data: bytes) -> Sequence[Any]:
    numbers.frombytes(data)
    return numbers


def _tagged(value: object) -> dict[str, str]:
    if type(value) is not bytes:
        raise TypeError(f"SQLite holds no {type(value).__name__}")
    return {"base64": b64encode(value).decode("ascii")}


def _blob(tagged: dict[str, Any]) -> bytes:
    if set(tagged) != {"base64"}:
        raise ValueError("an object that is no blob")
    return b64decode(tagged["base64"], validate=True)


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_tagged).encode
