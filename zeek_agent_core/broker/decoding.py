r"""Pure: frames from Zeek to messages.

Zeek does not always write JSON: `\v` stands for a vertical tab, other control
characters and bytes that are not UTF-8 stand as they are, reals may be `inf`
or `nan`. All of that is read. What is still wrong raises `DecodeError`.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from zeek_agent_core.broker import data
from zeek_agent_core.broker.rules import OLDEST, Rules
from zeek_agent_core.broker.text import clean
from zeek_agent_core.broker.transport import Event
from zeek_agent_core.errors import DecodeError
from zeek_agent_core.values import EPOCH, Port

MOST_BYTES = 16 << 20
MOST_DEPTH = 128
"""The depth at which Broker's own parser gives up."""
NETWORK_TIME = 1
"""Metadata of an event: the moment it was sent."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The server has taken the subscriptions."""

    endpoint: str
    version: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The server refused something; it rarely says what."""

    code: str
    context: str

    def __str__(self) -> str:
        """Return both parts, for the log."""
        return f"{self.code} ({self.context})" if self.context else self.code


Message = Ack | Complaint | Event

_SKIPPED = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[^"\[\]{}]++', re.DOTALL)
_LENIENT = re.compile(r'"(?:[^"\\]++|\\.)*+"?|-?\b(?:nan|inf)\b', re.DOTALL | re.IGNORECASE)
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(.))', re.DOTALL)
_WORDS = {"nan": "NaN", "inf": "Infinity", "-nan": "NaN", "-inf": "-Infinity"}


def decode_frame(raw: bytes, rules: Rules = OLDEST) -> Message:
    """Return the message in a frame; raise `DecodeError` if there is none."""
    message = _parsed(raw)
    if not isinstance(message, dict):
        raise DecodeError("a message must be a JSON object")
    kind = message.get("type", "data-message")
    if kind == "ack":
        return Ack(_text(message, "endpoint"), _text(message, "version"))
    if kind == "error":
        context = message.get("context", message.get("message", ""))  # `message` in Zeek 7.2
        return Complaint(_text(message, "code"), clean(str(context)))
    if kind == "data-message":
        return _event(_text(message, "topic"), decode_value(message, rules), rules)
    raise DecodeError(f"unknown type of message: {str(kind)[:40]!r}")


def _text(message: dict[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise DecodeError(f"a message lacks its {key}")
    return clean(value)


def _parsed(raw: bytes) -> Any:
    if len(raw) > MOST_BYTES:
        raise DecodeError(f"a message of {len(raw)} bytes is too large")
    _check_depth(raw)
    document = raw.decode("utf-8", "surrogateescape")
    try:
        return json.loads(document, strict=False)
    except ValueError:
        pass
    try:
        return json.loads(_LENIENT.sub(_mended, document), strict=False)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"a message is not JSON: {error}") from None


def _check_depth(raw: bytes) -> None:
    depth = 0
    for bracket in _SKIPPED.sub(b"", raw):
        if bracket in b"[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise DecodeError(f"a message is nested deeper than {MOST_DEPTH}")
        elif bracket in b"]}":
            depth -= 1


def _mended(match: re.Match[str]) -> str:
    token = match[0]
    if not token.startswith('"'):
        return _WORDS[token.lower()]
    return _ESCAPE.sub(_mended_escape, token)


def _mended_escape(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[0]
    return "\\u000b" if match[2] == "v" else "\\\\" + match[2]


def _event(topic: str, value: data.Value, rules: Rules) -> Event:
    match value:
        case (data.Count(1), data.Count(1), (str() as name, tuple() as arguments, *metadata), *_):
            return Event(topic, name, arguments, _sent(metadata, rules))
    raise DecodeError("a message is no event")


def _sent(metadata: list[Any], rules: Rules) -> int | None:
    for entry in metadata[0] if metadata and isinstance(metadata[0], tuple) else ():
        match entry:
            case (data.Count(), data.Timestamp() as moment) if entry[0] == NETWORK_TIME:
                return int(moment) + rules.utc_offset * data.NANO  # read as UTC
    return None


def decode_value(value: Any, rules: Rules = OLDEST) -> data.Value:
    """Return one value, given as an object with `@data-type` and `data`."""
    if not isinstance(value, dict):
        raise DecodeError("a value must be a JSON object")
    kind = value.get("@data-type")
    decoder = _DECODERS.get(kind) if isinstance(kind, str) else None
    if decoder is None:
        raise DecodeError(f"unknown type of value: {str(kind)[:40]!r}")
    content = value.get("data")
    try:
        return decoder(content, rules)
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"{str(content)[:60]!r} is no {kind}") from None


def _none(_content: Any, _: Rules) -> None:
    return None


def _boolean(content: Any, _: Rules) -> bool:
    if not isinstance(content, bool):
        raise TypeError(content)
    return content


def _whole(content: Any, least: int, most: int) -> int:
    if type(content) is not int or not least <= content <= most:
        raise TypeError(content)
    return content


def _real(content: Any, _: Rules) -> float:
    if type(content) not in (int, float):
        raise TypeError(content)
    return float(content)


_TIMESPAN = re.compile(
    r"([+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?)([a-z]+)"
)
_UNITS = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": data.NANO, "min": 60 * data.NANO,
    "h": 3600 * data.NANO, "d": 86_400 * data.NANO,
}  # fmt: skip


def _timespan(content: Any, _: Rules) -> data.Timespan:
    match = _TIMESPAN.fullmatch(content)
    unit = _UNITS[match[2]] if match and match[2] in _UNITS else None
    if match is None or unit is None:
        raise ValueError(content)
    if abs(float(match[1])) * unit > 2 * data.MOST_INTEGER:  # before an exponent is spelt out
        raise ValueError(content)
    nanoseconds = round(Decimal(match[1]) * unit)
    return data.Timespan(_whole(nanoseconds, data.LEAST_INTEGER, data.MOST_INTEGER))


_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)


def _timestamp(content: Any, rules: Rules) -> data.Timestamp:
    match = _TIMESTAMP.fullmatch(content)
    if match is None:
        raise ValueError(content)
    day, clock, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    since = moment - EPOCH
    seconds = since.days * 86_400 + since.seconds - _zone_offset(zone, rules)
    return data.Timestamp(seconds * data.NANO + int((fraction or "0").ljust(9, "0")))


def _zone_offset(zone: str | None, rules: Rules) -> int:
    if zone is None:
        return rules.utc_offset
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _address(content: Any, _: Rules) -> data.Address:
    return data.Address(ipaddress.ip_address(_string(content, OLDEST)))


def _subnet(content: Any, _: Rules) -> data.Subnet:
    return data.Subnet(ipaddress.ip_network(_string(content, OLDEST), strict=False))


def _port(content: Any, _: Rules) -> Port:
    number, _slash, protocol = _string(content, OLDEST).partition("/")
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) < 65536):  # noqa: PLR2004 - 16 bits
        raise ValueError(content)
    return Port(int(number), protocol if protocol in ("tcp", "udp", "icmp") else "unknown")


def _string(content: Any, _: Rules) -> str:
    if not isinstance(content, str):
        raise TypeError(content)
    return clean(content)


def _items(content: Any, rules: Rules) -> list[Any]:
    if not isinstance(content, list):
        raise TypeError(content)
    return [decode_value(item, rules) for item in content]


def _table(content: Any, rules: Rules) -> data.Table:
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise TypeError(content)
    return data.Table(
        (decode_value(item.get("key"), rules), decode_value(item.get("value"), rules))
        for item in content
    )


_DECODERS: dict[str, Callable[[Any, Rules], Any]] = {
    "none": _none,
    "boolean": _boolean,
    "count": lambda content, _: data.Count(_whole(content, 0, data.MOST_COUNT)),
    "integer": lambda content, _: _whole(content, data.LEAST_INTEGER, data.MOST_INTEGER),
    "real": _real,
    "string": _string,
    "enum-value": lambda content, rules: data.Enum(_string(content, rules)),
    "timespan": _timespan,
    "timestamp": _timestamp,
    "address": _address,
    "subnet": _subnet,
    "port": _port,
    "vector": lambda content, rules: tuple(_items(content, rules)),
    "set": lambda content, rules: data.Set(_items(content, rules)),
    "table": _table,
}
