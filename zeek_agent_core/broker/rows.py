"""Pure: rows of a query to frames, through functions made once per query.

The types of the columns are known when a query first yields rows. Everything
around the values is text made in advance; each column has one small function.
A value whose class is not the one its column declares, or whose column
declares none, is sent as what SQLite stored.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from json.encoder import encode_basestring
from typing import Any

from zeek_agent_core.broker import data
from zeek_agent_core.broker.actions import PublishRows
from zeek_agent_core.broker.encoding import (
    NONE,
    address_cell,
    around_arguments,
    cell,
    encode_value,
    port_cell,
    set_cell,
)
from zeek_agent_core.broker.rules import OLDEST, Rules
from zeek_agent_core.broker.text import clean, moment_text, quoting
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.values import PLAIN, SqlValue, Type, text

Cell = Callable[[SqlValue], str]
RowEncoder = Callable[[str, ResultRow], bytes]
"""Given what stands before the columns (see `row_prefix`) and a row, its frame."""

_SUFFIX = "]}" + around_arguments("", "", OLDEST)[1]
_PREFIX = '{"@data-type":"vector","data":['
_COUNT, _INTEGER, _STRING, _END = (
    '{"@data-type":"count","data":', '{"@data-type":"integer","data":',
    '{"@data-type":"string","data":', "}",
)  # fmt: skip


def row_prefix(
    topic: str,
    event: str,
    context: Sequence[data.Value],
    rules: Rules = OLDEST,
    *,
    is_spread: bool = False,
) -> str:
    """Return what stands before the columns in the frames of all rows of one context."""
    opening, _ = around_arguments(topic, event, rules)
    return f"{opening}{encode_value(tuple(context), rules)},{'' if is_spread else _PREFIX}"


def compile_row_encoder(
    columns: Sequence[ResultColumn], rules: Rules = OLDEST, *, is_spread: bool = False
) -> RowEncoder:
    """Return the function that makes frames of rows with *columns*.

    *is_spread* makes each column an argument of the event, as the first generation did.
    """
    if is_spread:
        return _compile_spread(columns, rules)
    cells = [_cell(column, rules) for column in columns]
    is_spelt_out = 0 < len(columns) <= _MOST_SPELT_OUT
    must_look = is_spelt_out and not rules.unicode_escapes
    least = rules.least_bytes

    def join(prefix: str, row: ResultRow) -> str:
        made = ",".join([cell(value) for cell, value in zip(cells, row, strict=True)])
        return f"{prefix}{made}{_SUFFIX}"

    whole = _spelt_out(columns, cells) if is_spelt_out else join

    def encode(prefix: str, row: ResultRow) -> bytes:
        document = whole(prefix, row)
        # One character is looked for much faster than four, and there is seldom one.
        if must_look and "\\" in document and "\\u00" in document:
            document = join(prefix, row)
        try:
            frame = document.encode()
        except UnicodeEncodeError:  # a table let undecodable text through
            cleaned = tuple(clean(v) if isinstance(v, str) else v for v in row)
            frame = join(prefix, cleaned).encode()
        return frame if len(frame) >= least else frame.ljust(least)

    return encode


def _compile_spread(columns: Sequence[ResultColumn], rules: Rules) -> RowEncoder:
    """Return the function that makes frames in which each column is an argument.

    So the first generation sent rows: text, whole numbers and fractions, and
    nothing that is missing, since Zeek takes no such arguments.
    """
    cells = [_argument(column, rules) for column in columns]
    ending = around_arguments("", "", rules)[1]

    def encode(prefix: str, row: ResultRow) -> bytes:
        made = ",".join([cell(value) for cell, value in zip(cells, row, strict=True)])
        return f"{prefix}{made}{ending}".encode().ljust(rules.least_bytes)

    return encode


_PER_SECOND = {Type.TIME: 10**6, Type.INTERVAL: 10**9}
_NUMBERS = frozenset({Type.COUNT, Type.INT, Type.BOOL, Type.TIME, Type.INTERVAL})


def _argument(column: ResultColumn, rules: Rules) -> Cell:
    unit = _PER_SECOND.get(column.type, 1) if column.type is not None else 1
    missing: SqlValue = -1 if column.type in _NUMBERS else -1.0 if column.type is Type.REAL else ""

    def encode(value: SqlValue) -> str:
        if isinstance(value, bytes):
            return encode_value(text(value), rules)
        if isinstance(value, str):
            return encode_value(clean(value), rules)
        if value is None:
            return encode_value(missing, rules)
        if column.type is Type.REAL:
            return encode_value(float(value), rules)
        return encode_value(value // unit if isinstance(value, int) else value, rules)

    return encode


class Frames:
    """Makes the frames of rows; keeps the encoders it has compiled."""

    def __init__(self, rules: Rules = OLDEST) -> None:
        """Write for a server with *rules*."""
        self.rules = rules
        self._compiled = lru_cache(maxsize=512)(partial(compile_row_encoder, rules=rules))

    def of(self, order: PublishRows) -> list[bytes]:
        """Return one frame for each row of *order*."""
        is_spread = order.is_spread
        prefix = row_prefix(order.topic, order.event, order.head(), self.rules, is_spread=is_spread)
        encode = self._compiled(order.columns, is_spread=is_spread)
        return [encode(prefix, row) for row in order.rows]


_MOST_SPELT_OUT = 64
_INLINE = {
    Type.COUNT: ("type({0}) is int and {0} >= 0", "count", "{0}"),
    Type.INT: ("type({0}) is int", "integer", "{0}"),
    Type.INTERVAL: ("type({0}) is int", "timespan", '"{0}ns"'),
    Type.TEXT: ("type({0}) is str", "string", "{{quote({0})}}"),
}
"""When a value can be put into the text around it at once: condition, kind, form."""


def _spelt_out(
    columns: Sequence[ResultColumn], cells: Sequence[Cell]
) -> Callable[[str, ResultRow], str]:
    r"""Return one function for a whole row, made from source.

    One function instead of one per column halves the time. The source is made
    of numbers and of the texts above only; nothing of the query enters it. It
    may write `\u00XX`, which not every server takes.
    """
    names: dict[str, Any] = {"quote": encode_basestring, "address": address_cell}
    parts = []
    for number, (column, encode) in enumerate(zip(columns, cells, strict=True)):
        value = f"v{number}"
        names[f"cell{number}"] = encode
        if column.type is Type.ADDRESS:
            short = f"address({value}) if type({value}) is str"
            parts.append(f"{{{short} else cell{number}({value})}}")
            continue
        inline = _INLINE.get(column.type) if column.type is not None else None
        if inline is None:
            parts.append(f"{{cell{number}({value})}}")
            continue
        condition, kind, form = inline
        shown = form.format(value) if "quote" in form else form.replace("{0}", f"{{{value}}}")
        literal = f'f\'{{{{"@data-type":"{kind}","data":{shown}}}}}\''
        condition = condition.format(value)
        parts.append(f"{{{literal} if {condition} else cell{number}({value})}}")
    values = "".join(f"v{number}, " for number in range(len(columns)))
    closing = _SUFFIX.replace("}", "}}")
    body = f"{{prefix}}{','.join(parts)}{closing}"
    exec(  # noqa: S102 - see the docstring
        f"def whole(prefix, row):\n    {values}= row\n    return f'''{body}'''\n", names
    )
    whole: Callable[[str, ResultRow], str] = names["whole"]
    return whole


def _cell(column: ResultColumn, rules: Rules) -> Cell:
    maker = _MAKERS.get(column.type) if column.type is not None else None
    stored = partial(_stored, rules)
    if maker is None:
        return stored
    return maker(column.element, rules, stored)


def _stored(rules: Rules, value: SqlValue) -> str:
    """Encode by the class in which SQLite holds the value."""
    return encode_value(text(value) if isinstance(value, bytes) else value, rules)


def _count(_element: Type | None, _rules: Rules, stored: Cell) -> Cell:
    def encode(value: SqlValue) -> str:
        if type(value) is int:
            return f"{_COUNT}{value}{_END}" if value >= 0 else NONE
        return stored(value)

    return encode


def _int(_element: Type | None, _rules: Rules, stored: Cell) -> Cell:
    return lambda value: f"{_INTEGER}{value}{_END}" if type(value) is int else stored(value)


def _text(_element: Type | None, rules: Rules, stored: Cell) -> Cell:
    quote = quoting(unicode_escapes=rules.unicode_escapes)
    return lambda value: f"{_STRING}{quote(value)}{_END}" if type(value) is str else stored(value)


def _enum(_element: Type | None, rules: Rules, stored: Cell) -> Cell:
    quote = quoting(unicode_escapes=rules.unicode_escapes)
    return lambda value: cell("enum-value", quote(value)) if type(value) is str else stored(value)


def _bool(_element: Type | None, _rules: Rules, stored: Cell) -> Cell:
    words = {0: cell("boolean", "false"), 1: cell("boolean", "true")}
    return lambda value: words.get(value) or words[1] if isinstance(value, int) else stored(value)


def _real(_element: Type | None, rules: Rules, stored: Cell) -> Cell:
    return lambda value: (
        encode_value(float(value), rules) if isinstance(value, int | float) else stored(value)
    )


def _interval(_element: Type | None, _rules: Rules, stored: Cell) -> Cell:
    return lambda value: (
        f'{{"@data-type":"timespan","data":"{value}ns"}}' if type(value) is int else stored(value)
    )


def _time(_element: Type | None, rules: Rules, stored: Cell) -> Cell:
    shown = partial(moment_text, micro_digits=rules.micro_digits, utc_offset=rules.utc_offset)

    def encode(value: SqlValue) -> str:
        if type(value) is not int:
            return stored(value)
        moment = shown(value)
        return NONE if moment is None else f'{{"@data-type":"timestamp","data":"{moment}"}}'

    return encode


def _address(_element: Type | None, _rules: Rules, stored: Cell) -> Cell:
    return lambda value: address_cell(value) if type(value) is str else stored(value)


def _structured(convert: Callable[[Any, Rules], str]) -> Callable[..., Cell]:
    """Return a maker for a type that is stored as JSON; other text is sent as text."""

    def maker(_element: Type | None, rules: Rules, stored: Cell) -> Cell:
        @lru_cache(maxsize=256)
        def converted(value: str) -> str:
            try:
                return convert(json.loads(value), rules)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                return stored(value)

        return lambda value: converted(value) if type(value) is str else stored(value)

    return maker


def _nested(kind: str, value: Any, rules: Rules) -> str:
    """Encode a part of a structured value, in the form that `values.to_sql` gave it."""
    if value is None:
        return NONE
    known = Type(kind)
    if known in _CONVERTERS:
        return _CONVERTERS[known](value, rules)
    if isinstance(value, bool) and known is not Type.BOOL:
        raise TypeError(f"{kind} expected")
    if not isinstance(value, int if known is Type.REAL else _NESTED_CLASSES.get(known, str)):
        value = float(value) if known is Type.REAL else _refuse(kind)
    return _cell(ResultColumn("", known), rules)(value)


def _refuse(kind: str) -> Any:
    raise TypeError(f"{kind} expected")


def _parts(form: Any, rules: Rules) -> list[str]:
    return [_nested(form["elem"], value, rules) for value in form["value"]]


def _vector_form(form: Any, rules: Rules) -> str:
    # Zeek takes a missing value in records only.
    return cell("vector", f"[{','.join(p for p in _parts(form, rules) if p != NONE)}]")


def _record_form(form: Any, rules: Rules) -> str:
    parts = (_nested(part["type"], part["value"], rules) for part in form)
    return cell("vector", f"[{','.join(parts)}]")


_CONVERTERS: dict[Type, Callable[[Any, Rules], str]] = {
    Type.PORT: lambda form, _: port_cell(int(form["port"]), str(form["proto"])),
    Type.SET: lambda form, rules: set_cell(_parts(form, rules)),
    Type.VECTOR: _vector_form,
    Type.RECORD: _record_form,
}
_NESTED_CLASSES = {**PLAIN, Type.BLOB: str, Type.BOOL: int, Type.REAL: float}
_MAKERS: dict[Type, Callable[[Type | None, Rules, Cell], Cell]] = {
    Type.ADDRESS: _address,
    Type.BOOL: _bool,
    Type.COUNT: _count,
    Type.ENUM: _enum,
    Type.INT: _int,
    Type.INTERVAL: _interval,
    Type.REAL: _real,
    Type.TEXT: _text,
    Type.TIME: _time,
    **{kind: _structured(convert) for kind, convert in _CONVERTERS.items()},
}
