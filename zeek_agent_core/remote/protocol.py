"""Pure: what the two ends of a console socket tell each other, and its form in bytes.

A frame is its length in four bytes, then a JSON array: the name of the
message, the id of the request, its other fields. A frame of rows goes on with
a newline and the packed columns. Both ends speak first only as follows: the
client says `Hello`, the agent `Welcome`; then the client asks, with ids of its
own choice, as often as it likes, and each answer bears the id of its question.

Rows are sent on credit: `WINDOW` frames, and one more for each that the client
has used up (`More`). So a client that shows one result slowly gets all others
at full speed, and neither end ever holds more than a few frames.
"""

import json
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from zeek_agent_core import errors
from zeek_agent_core.errors import ProtocolError, QueryError, TableError
from zeek_agent_core.query import Change, ResultColumn, ResultRow, Subscription
from zeek_agent_core.remote import packing
from zeek_agent_core.values import MICROSECOND, Type

VERSION = 1

MAX_REQUEST = 1 << 20
"""Bytes of a frame that an agent accepts."""
MAX_REPLY = 1 << 28
"""Bytes of a frame that a client accepts."""

WINDOW = 8
"""Frames of rows that an agent sends before the client has used up the first."""

_LENGTH = struct.Struct("!I")


class Hello(NamedTuple):
    """Client: I speak this version of the protocol."""

    id: int
    protocol: int


class Ask(NamedTuple):
    """Client: run this statement once."""

    id: int
    sql: str


class Subscribe(NamedTuple):
    """Client: run this statement again and again."""

    id: int
    sql: str
    subscription: Subscription
    interval: timedelta


class More(NamedTuple):
    """Client: this many frames are used up, send as many more."""

    id: int
    frames: int


class Cancel(NamedTuple):
    """Client: stop this request; it has no answer any more."""

    id: int


class Terminate(NamedTuple):
    """Client: end the agent."""

    id: int


class Welcome(NamedTuple):
    """Agent: I speak this version too, and am of that version myself."""

    id: int
    protocol: int
    agent: str


class Columns(NamedTuple):
    """Agent: the statement compiled, its rows will have these columns."""

    id: int
    columns: tuple[ResultColumn, ...]


class Installed(NamedTuple):
    """Agent: the repeating statement compiled."""

    id: int


class Rows(NamedTuple):
    """Agent: some rows, of a result or of one run; never none."""

    id: int
    change: Change | None
    rows: Sequence[ResultRow]


class Run(NamedTuple):
    """Agent: a repeating statement has run, its rows follow."""

    id: int
    columns: tuple[ResultColumn, ...]
    total: int
    is_first: bool
    collected: float
    duration: timedelta


class RunEnd(NamedTuple):
    """Agent: these were the rows of that run."""

    id: int


class End(NamedTuple):
    """Agent: the request is done, with this many rows and this much processor time."""

    id: int
    rows: int
    seconds: float


class Failed(NamedTuple):
    """Agent: the request failed; or, not final, one run of a repeating statement did."""

    id: int
    error: QueryError
    is_final: bool = True


class Refused(NamedTuple):
    """Agent: I do not talk to you, and close the connection."""

    id: int
    reason: str


Request = Hello | Ask | Subscribe | More | Cancel | Terminate
Reply = Welcome | Columns | Installed | Rows | Run | RunEnd | End | Failed | Refused
Message = Request | Reply


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self, most: int) -> None:
        """Accept frames of at most *most* bytes."""
        self._most = most
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that *data* completes; raise `ProtocolError` for one too large."""
        self._buffer += data
        buffer, begin = self._buffer, 0
        try:
            while len(buffer) - begin >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(buffer, begin)
                if not 0 < size <= self._most:
                    raise ProtocolError(f"a message of {size} bytes is not acceptable")
                end = begin + _LENGTH.size + size
                if len(buffer) < end:
                    return
                frame = bytes(memoryview(buffer)[begin + _LENGTH.size : end])
                begin = end
                yield frame
        finally:
            del buffer[:begin]


def encode(message: Message) -> bytes:
    """Return *message* as a frame with its length."""
    form = _FORMS[type(message)]
    head = [form.name, *(put(getattr(message, name)) for name, put, _ in form.fields)]
    data = b""
    if isinstance(message, Rows):
        columns, data = packing.pack(message.rows)
        head += [len(message.rows), columns]
        data = b"\n" + data
    payload = _dumps(head).encode("ascii") + data
    return _LENGTH.pack(len(payload)) + payload


def decode_request(frame: bytes) -> Request:
    """Return the request in *frame*; raise `ProtocolError` if there is none."""
    message = _decode(frame)
    if not isinstance(message, Request):
        raise ProtocolError("a client does not send answers")
    return message


def decode_reply(frame: bytes) -> Reply:
    """Return the answer in *frame*; raise `ProtocolError` if there is none."""
    message = _decode(frame)
    if isinstance(message, Request):
        raise ProtocolError("an agent does not send requests")
    return message


def _decode(frame: bytes) -> Message:
    text, _, data = frame.partition(b"\n")
    try:
        return _message(json.loads(text), data)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"a message that makes no sense: {_shortened(error)}") from error


def _message(head: Any, data: bytes) -> Message:
    if type(head) is not list or type(head[0]) is not str:
        raise ValueError("not a message")
    form = _NAMES[head[0]]
    if form.kind is Rows:
        *head, count, columns = head
        rows = [packing.unpack(_number(count), columns, data)]
    elif data:
        raise ValueError("more than a message")
    else:
        rows = []
    message: Message = form.kind(*form.read(head[1:]), *rows)
    return message


def _shortened(error: Exception, most: int = 100) -> str:
    return repr(str(error))[1:-1][:most]


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("a whole number expected")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("a number expected")
    return float(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("text expected")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false expected")
    return value


def _microseconds(value: Any) -> timedelta:
    return _number(value) * MICROSECOND


def _optional_change(value: Any) -> Change | None:
    return None if value is None else Change(_text(value))


def _columns(value: Any) -> tuple[ResultColumn, ...]:
    if type(value) is not list:
        raise ValueError("columns expected")
    return tuple(
        ResultColumn(_text(name), _optional_type(kind), _optional_type(element))
        for name, kind, element in value
    )


def _optional_type(value: Any) -> Type | None:
    return None if value is None else Type(_text(value))


def _error_to_wire(error: QueryError) -> list[str]:
    kind = type(error).__name__
    if isinstance(error, TableError):
        return [kind, error.table, error.reason]
    return [kind if kind in _ERRORS else QueryError.__name__, str(error)]


def _error(value: Any) -> QueryError:
    name, *arguments = map(_text, value)
    kind = _ERRORS[name]
    if len(arguments) != (2 if kind is TableError else 1):
        raise ValueError("an error has a reason")
    return kind(*arguments)


_ERRORS: dict[str, type[QueryError]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, QueryError)
}


def _same(value: Any) -> Any:
    return value


_FIELDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "id": (_same, _number),
    "protocol": (_same, _number),
    "agent": (_same, _text),
    "sql": (_same, _text),
    "reason": (_same, _text),
    "frames": (_same, _number),
    "subscription": (str, Subscription),
    "interval": (lambda value: value // MICROSECOND, _microseconds),
    "duration": (lambda value: value // MICROSECOND, _microseconds),
    "change": (lambda value: value and str(value), _optional_change),
    "columns": (lambda value: [(c.name, c.type, c.element) for c in value], _columns),
    "total": (_same, _number),
    "is_first": (_same, _flag),
    "is_final": (_same, _flag),
    "collected": (_same, _real),
    "seconds": (_same, _real),
    "error": (_error_to_wire, _error),
}
"""For each field of a message, how it is written and how it is read."""


class _Form(NamedTuple):
    name: str
    kind: Any
    fields: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], Any]], ...]

    def read(self, values: Sequence[Any]) -> Iterator[Any]:
        """Return *values* as the fields of the message."""
        pairs = zip(self.fields, values, strict=True)
        return (read(value) for (_, _, read), value in pairs)


def _form(kind: Any) -> _Form:
    names = [name for name in kind._fields if not (kind is Rows and name == "rows")]
    own = {**_FIELDS, "rows": (_same, _number)}
    return _Form(kind.__name__.lower(), kind, tuple((name, *own[name]) for name in names))


_FORMS = {kind: _form(kind) for kind in (*Request.__args__, *Reply.__args__)}
_NAMES = {form.name: form for form in _FORMS.values()}

_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
