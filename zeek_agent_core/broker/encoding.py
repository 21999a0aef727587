"""Pure: values and events to the JSON that Zeek's WebSocket servers read."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from zeek_agent_core.broker import data
from zeek_agent_core.broker.rules import OLDEST, Rules
from zeek_agent_core.broker.text import clean, moment_text, quoting
from zeek_agent_core.errors import ZeekError
from zeek_agent_core.values import Port

NONE = '{"@data-type":"none","data":{}}'
PROTOCOLS = frozenset({"tcp", "udp", "icmp"})
MOST_PORT = 65535


def cell(kind: str, payload: str) -> str:
    """Return one value whose *payload* is JSON already."""
    return f'{{"@data-type":"{kind}","data":{payload}}}'


def encode_value(value: data.Value, rules: Rules = OLDEST) -> str:
    """Return *value* as JSON text; raise `ZeekError` for what Zeek has no type for."""
    if value is None:
        return NONE
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise ZeekError(f"a value of type {type(value).__name__} cannot be sent")
    return encoder(value, rules)


def encode_subscriptions(topics: Sequence[str], rules: Rules = OLDEST) -> bytes:
    """Return the first frame: the topics to subscribe to."""
    quote = quoting(unicode_escapes=rules.unicode_escapes)
    return to_frame(f"[{','.join(map(quote, topics))}]", rules)


def encode_event(
    topic: str, name: str, arguments: Sequence[data.Value], rules: Rules = OLDEST
) -> bytes:
    """Return the frame for one event."""
    values = ",".join(encode_value(argument, rules) for argument in arguments)
    opening, closing = around_arguments(topic, name, rules)
    return to_frame(opening + values + closing, rules)


def around_arguments(topic: str, name: str, rules: Rules) -> tuple[str, str]:
    """Return what stands before and behind the arguments of an event."""
    quote = quoting(unicode_escapes=rules.unicode_escapes)
    format_and_kind = f"{cell('count', '1')},{cell('count', '1')}"
    opening = (
        f'{{"type":"data-message","topic":{quote(clean(topic))},"@data-type":"vector","data":['
        f'{format_and_kind},{{"@data-type":"vector","data":['
        f'{cell("string", quote(clean(name)))},{{"@data-type":"vector","data":['
    )
    return opening, "]}]}]}"


def to_frame(document: str, rules: Rules) -> bytes:
    """Return *document* as bytes, filled up with blanks where a server needs that."""
    return document.encode().ljust(rules.least_bytes)


def _real(value: float, _: Rules) -> str:
    return cell("real", repr(value)) if math.isfinite(value) else NONE


def _string(value: str, rules: Rules) -> str:
    return cell("string", quoting(unicode_escapes=rules.unicode_escapes)(clean(value)))


def _enum(value: str, rules: Rules) -> str:
    return cell("enum-value", quoting(unicode_escapes=rules.unicode_escapes)(clean(value)))


def _number(kind: str, least: int, most: int) -> Callable[[int, Rules], str]:
    def encode(value: int, _: Rules) -> str:
        return cell(kind, str(int(value))) if least <= value <= most else NONE

    return encode


def _timespan(value: int, _: Rules) -> str:
    is_exact = data.LEAST_INTEGER <= value <= data.MOST_INTEGER
    return cell("timespan", f'"{int(value)}ns"') if is_exact else NONE


def _timestamp(value: int, rules: Rules) -> str:
    shown = moment_text(
        int(value) // 1000, micro_digits=rules.micro_digits, utc_offset=rules.utc_offset
    )
    return NONE if shown is None else cell("timestamp", f'"{shown}"')


def _address(value: str, _: Rules) -> str:
    return address_cell(value)


@lru_cache(maxsize=4096)
def address_cell(value: str) -> str:
    """Return an address; none where *value* is none."""
    valid = data.address(value)
    return NONE if valid is None else cell("address", f'"{valid}"')


def _subnet(value: str, _: Rules) -> str:
    host, _slash, bits = value.partition("/")
    valid = data.address(host)
    most = 128 if valid and ":" in valid else 32
    is_length = bits.isascii() and bits.isdigit() and len(bits) <= len("128")
    if valid is None or not is_length or int(bits) > most:
        return NONE  # a wrong length would silently become ::/0
    return cell("subnet", f'"{valid}/{int(bits)}"')


def port_cell(number: int, protocol: str) -> str:
    """Return a port; none where the number cannot be one."""
    if not 0 <= number <= MOST_PORT:
        return NONE
    return cell("port", f'"{number}/{protocol if protocol in PROTOCOLS else "?"}"')


def _elements(values: Sequence[Any], rules: Rules) -> list[str]:
    return [encode_value(value, rules) for value in values]


def set_cell(elements: Sequence[str]) -> str:
    """Return a set of encoded *elements*: each once, those without a value left out."""
    unique = dict.fromkeys(element for element in elements if element != NONE)
    return cell("set", f"[{','.join(unique)}]")


def _table(pairs: Sequence[tuple[Any, Any]], rules: Rules) -> str:
    entries = (
        f'{{"key":{encode_value(key, rules)},"value":{encode_value(value, rules)}}}'
        for key, value in pairs
    )
    return cell("table", f"[{','.join(entries)}]")


def _vector(values: Sequence[Any], rules: Rules) -> str:
    return cell("vector", f"[{','.join(_elements(values, rules))}]")


_ENCODERS: dict[type, Callable[[Any, Rules], str]] = {
    bool: lambda value, _: cell("boolean", "true" if value else "false"),
    data.Count: _number("count", 0, data.MOST_COUNT),
    int: _number("integer", data.LEAST_INTEGER, data.MOST_INTEGER),
    float: _real,
    str: _string,
    data.Enum: _enum,
    data.Timespan: _timespan,
    data.Timestamp: _timestamp,
    data.Address: _address,
    data.Subnet: _subnet,
    Port: lambda port, _: port_cell(port.number, port.protocol),
    tuple: _vector,
    list: _vector,
    data.Set: lambda values, rules: set_cell(_elements(values, rules)),
    data.Table: _table,
}
