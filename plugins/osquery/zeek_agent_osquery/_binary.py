"""Pure: Thrift's binary protocol, as far as osquery's extension socket speaks it.

Messages are not framed: only who understands an answer knows where it ends. So
what reads one is a generator, which yields whenever it needs more bytes in the
`Buffer` than there are.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md
"""

import struct
from collections.abc import Callable, Generator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

from zeek_agent_core.api import text
from zeek_agent_osquery._errors import GarbledError, RefusedError, TooMuchError

VERSION = 0x80010000
MOST_DEPTH = 8

T = TypeVar("T")
Parser = Generator[None, None, T]
"""Yields where it needs more bytes, returns what it has read."""

Make = Callable[[Sequence[bytearray]], Any]
"""Makes a row of the values of a map."""
Shape = Callable[[Sequence[bytes]], Make]
"""Given the keys of a map, in their order, what makes rows of maps like that."""


class Wire(IntEnum):
    """Types of values."""

    STOP = 0
    BOOL = 2
    BYTE = 3
    DOUBLE = 4
    I16 = 6
    I32 = 8
    I64 = 10
    STRING = 11
    STRUCT = 12
    MAP = 13
    SET = 14
    LIST = 15


class Kind(IntEnum):
    """Types of messages."""

    CALL = 1
    REPLY = 2
    EXCEPTION = 3


_FIXED: Mapping[int, struct.Struct] = {
    Wire.BOOL: struct.Struct(">?"),
    Wire.BYTE: struct.Struct(">b"),
    Wire.DOUBLE: struct.Struct(">d"),
    Wire.I16: struct.Struct(">h"),
    Wire.I32: struct.Struct(">i"),
    Wire.I64: struct.Struct(">q"),
}
_FIELD = struct.Struct(">bh")
_MAP = struct.Struct(">BBI")
_LIST = struct.Struct(">BI")
_SIZE = struct.Struct(">I")
_CALL = struct.Struct(">II")


class Status(NamedTuple):
    """Osquery's `ExtensionStatus`: code 0 is success."""

    code: int = 0
    message: str = ""
    uuid: int = 0


class Response(NamedTuple):
    """Osquery's `ExtensionResponse`; the rows are as the shape made them."""

    status: Status
    rows: list[Any]


# Writing.


def call(method: str, sequence: int, *fields: bytes) -> bytes:
    """Return the message that calls *method*."""
    name = method.encode()
    head = _CALL.pack(VERSION | Kind.CALL, len(name)) + name + _FIXED[Wire.I32].pack(sequence)
    return head + b"".join(fields) + b"\0"


def text_field(number: int, value: str) -> bytes:
    """Return a field that holds text."""
    return _FIELD.pack(Wire.STRING, number) + _string(value)


def map_field(number: int, values: Mapping[str, str]) -> bytes:
    """Return a field that holds a map of text to text."""
    head = _FIELD.pack(Wire.MAP, number) + _MAP.pack(Wire.STRING, Wire.STRING, len(values))
    return head + b"".join(_string(part) for item in values.items() for part in item)


def _string(value: str) -> bytes:
    raw = value.encode()
    return _SIZE.pack(len(raw)) + raw


# Reading.


class Buffer:
    """Bytes that came, up to *most* for one answer, and how far they have been read."""

    __slots__ = ("at", "came", "data", "most")

    def __init__(self, most: int) -> None:
        """Hold nothing yet."""
        self.data = bytearray()
        self.at = 0
        self.came = 0
        self.most = most

    def feed(self, chunk: bytes) -> None:
        """Add a *chunk*; raise `TooMuchError` where it is more than allowed."""
        self.came += len(chunk)
        self.check(self.came)
        del self.data[: self.at]
        self.at = 0
        self.data += chunk

    def check(self, size: int) -> None:
        """Raise `TooMuchError` if *size* is more than may come."""
        if size > self.most:
            raise TooMuchError(
                f"the answer is larger than {self.most >> 20} MiB; select fewer columns or rows, "
                "or raise [osquery] max_reply"
            )

    def unpack(self, layout: struct.Struct) -> Parser[tuple[Any, ...]]:
        """Read a fixed *layout*."""
        while len(self.data) - self.at < layout.size:
            yield
        values = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return values

    def raw(self) -> Parser[bytes]:
        """Read a string."""
        (size,) = yield from self.unpack(_SIZE)
        self.check(size)
        while len(self.data) - self.at < size:
            yield
        value = bytes(self.data[self.at : self.at + size])
        self.at += size
        return value


def reply(
    buffer: Buffer, method: str, sequence: int, result: Callable[[Buffer], Parser[T]]
) -> Parser[T]:
    """Read the answer to a call; *result* reads the struct that the method returns.

    Raises `GarbledError` for what is no answer to this very call,
    `RefusedError` where the server says that it failed.
    """
    (head,) = yield from buffer.unpack(_SIZE)
    kind = head & 0xFF
    if head & 0xFFFF0000 != VERSION or kind not in (Kind.REPLY, Kind.EXCEPTION):
        raise GarbledError(f"no Thrift reply: it begins with {head:#010x}")
    name = yield from buffer.raw()
    (number,) = yield from buffer.unpack(_FIXED[Wire.I32])
    if number != sequence or name != method.encode():
        raise GarbledError(
            f"an answer out of turn: {text(name[:64])} {number} instead of {method} {sequence}"
        )
    if kind == Kind.EXCEPTION:
        fields = yield from _struct(buffer, 0)
        raise RefusedError(f"osquery failed in {method}: {_message(fields)}")
    answer: T | None = None
    while (field := (yield from _field(buffer)))[0] != Wire.STOP:
        wire, place = field
        if place == 0 and wire == Wire.STRUCT:
            answer = yield from result(buffer)
        else:
            other = yield from _value(buffer, wire, 0)
            if place > 0 and wire == Wire.STRUCT:
                raise RefusedError(f"osquery failed in {method}: {_message(other, 2)}")
    if answer is None:
        raise GarbledError(f"the answer to {method} holds no result")
    return answer


def _message(fields: Any, place: int = 1) -> str:
    message = fields.get(place, b"")
    return text(message) if isinstance(message, bytes) and message else "it does not say why"


def _field(buffer: Buffer) -> Parser[tuple[int, int]]:
    """Read the head of a field; type STOP is the end of the struct."""
    while len(buffer.data) - buffer.at < 1:
        yield
    if buffer.data[buffer.at] == Wire.STOP:
        buffer.at += 1
        return Wire.STOP, 0
    wire, place = yield from buffer.unpack(_FIELD)
    return wire, place


def _struct(buffer: Buffer, depth: int) -> Parser[dict[int, Any]]:
    fields: dict[int, Any] = {}
    while (field := (yield from _field(buffer)))[0] != Wire.STOP:
        wire, place = field
        fields[place] = yield from _value(buffer, wire, depth + 1)
    return fields


def _value(buffer: Buffer, wire: int, depth: int) -> Parser[Any]:
    """Read a value of any type: the fields that we have no use for too."""
    if depth > MOST_DEPTH:
        raise GarbledError("values are nested too deep")
    if wire in _FIXED:
        (value,) = yield from buffer.unpack(_FIXED[wire])
        return value
    if wire == Wire.STRING:
        return (yield from buffer.raw())
    if wire == Wire.STRUCT:
        return (yield from _struct(buffer, depth))
    if wire == Wire.MAP:
        key, inner, size = yield from buffer.unpack(_MAP)
        pairs = []
        for _ in range(size):
            first = yield from _value(buffer, key, depth + 1)
            pairs.append((first, (yield from _value(buffer, inner, depth + 1))))
        return pairs
    if wire in (Wire.LIST, Wire.SET):
        inner, size = yield from buffer.unpack(_LIST)
        items = []
        for _ in range(size):
            items.append((yield from _value(buffer, inner, depth + 1)))  # noqa: PERF401 - yields
        return items
    raise GarbledError(f"there is no type {wire}")


def status(buffer: Buffer) -> Parser[Status]:
    """Read an `ExtensionStatus`."""
    return _status((yield from _struct(buffer, 0)))


def _status(fields: Mapping[int, Any]) -> Status:
    code, message, uuid = fields.get(1, 0), fields.get(2, b""), fields.get(3, 0)
    if not (isinstance(code, int) and isinstance(message, bytes) and isinstance(uuid, int)):
        raise GarbledError("a status has fields of the wrong type")
    return Status(code, text(message), uuid)


def response(shape: Shape, most_rows: int) -> Callable[[Buffer], Parser[Response]]:
    """Return what reads an `ExtensionResponse` whose rows *shape* makes."""

    def read(buffer: Buffer) -> Parser[Response]:
        found, made = Status(), []
        while (field := (yield from _field(buffer)))[0] != Wire.STOP:
            wire, place = field
            if place == 1 and wire == Wire.STRUCT:
                found = yield from status(buffer)
            elif place == 2 and wire == Wire.LIST:  # noqa: PLR2004 - the number of the field
                made = yield from rows(buffer, shape, most_rows)
            else:
                yield from _value(buffer, wire, 0)
        return Response(found, made)

    return read


def rows(buffer: Buffer, shape: Shape, most: int) -> Parser[list[Any]]:
    """Read a list of maps of text to text; raise `TooMuchError` for more than *most*."""
    wire, count = yield from buffer.unpack(_LIST)
    if count and wire != Wire.MAP:
        raise GarbledError("the rows are no maps")
    if count > most:
        raise TooMuchError(
            f"the answer has {count} rows, more than {most}; add conditions, or raise [osquery] "
            "max_rows"
        )
    made: list[Any] = []
    template, make = _Template((), b""), shape(())
    while len(made) < count:
        try:
            values, end = template.read(buffer.data, buffer.at)
            if values is None:
                template = _learn(buffer.data, buffer.at)
                make = shape(template.keys)
                continue
        except _ShortError as short:
            missing = short.end - buffer.at
            buffer.check(missing)
            while len(buffer.data) - buffer.at < missing:
                yield
            continue
        buffer.at = end
        made.append(make(values))
    return made


class _ShortError(Exception):
    """The bytes end before a row does: at least those up to *end* are needed."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self.end = end


class _Template:
    """What rows with the same keys have in common, so that only their values need reading.

    Osquery's rows are sorted maps: all of an answer have their keys alike.
    """

    __slots__ = ("heads", "keys", "opening")

    def __init__(self, keys: Sequence[bytes], opening: bytes) -> None:
        self.keys = keys
        self.opening = opening
        self.heads = [(head, len(head)) for head in (_SIZE.pack(len(k)) + k for k in keys)]

    def read(self, data: bytearray, at: int) -> tuple[list[bytearray] | None, int]:
        """Return the values of the row at *at*, and where it ends; None for another row."""
        if not self.opening or not data.startswith(self.opening, at):
            return None, at
        at += _MAP.size
        size = len(data)
        values = []
        unpack = _SIZE.unpack_from
        for head, length in self.heads:
            if not data.startswith(head, at):
                return None, at
            at += length
            if at + 4 > size:
                raise _ShortError(at + 4)
            end = at + 4 + unpack(data, at)[0]
            if end > size:
                raise _ShortError(end)
            values.append(data[at + 4 : end])
            at = end
        return values, at


def _learn(data: bytearray, at: int) -> _Template:
    """Return the template of the row at *at*."""

    def take(size: int) -> int:
        nonlocal at
        if at + size > len(data):
            raise _ShortError(at + size)
        at += size
        return at - size

    opening = take(_MAP.size)
    key, inner, count = _MAP.unpack_from(data, opening)
    if count and (key, inner) != (Wire.STRING, Wire.STRING):
        raise GarbledError("a row is no map of text to text")
    keys = []
    for _ in range(count):
        (size,) = _SIZE.unpack_from(data, take(4))
        start = take(size)
        keys.append(bytes(data[start : start + size]))
        (size,) = _SIZE.unpack_from(data, take(4))
        take(size)
    return _Template(tuple(keys), bytes(data[opening : opening + _MAP.size]))


def as_text(keys: Sequence[bytes]) -> Make:
    """Shape rows as dictionaries of text."""
    names = [text(key) for key in keys]
    return lambda values: {
        name: text(bytes(value)) for name, value in zip(names, values, strict=True)
    }
