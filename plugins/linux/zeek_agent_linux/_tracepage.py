"""Formats of trace events, and pages of the kernel's trace buffer: pure.

Sources: Documentation/trace/events.rst and ftrace.rst, include/linux/ring_buffer.h,
kernel/trace/ring_buffer.c. Where a field lies differs between kernels, so it is
taken from the format file of the event, and the head of a page from `header_page`.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

IN_INTERRUPT = 0x18
"""Bits of `common_flags` of an event that happened in an interrupt, hard or soft."""

_FIELD = re.compile(
    r"^\s*field:(?P<kind>[^;]*?)\s*(?P<name>\w+)(?:\[\w*\])?;"
    r"\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);\s*signed:(?P<signed>[01]);",
    re.MULTILINE,
)
_ID = re.compile(r"^ID: (\d+)$", re.MULTILINE)
_NUMBERS = {1: "b", 2: "h", 4: "i", 8: "q"}

_PADDING, _EXTENSION, _STAMP = 29, 30, 31
_LENGTH_BITS = 0xFFFFF
_MISSED, _MISSED_COUNT = 1 << 31, 1 << 30
_WORD = struct.Struct("=I")
_KIND = struct.Struct("=H")


class Field(NamedTuple):
    """Where a field lies in a record."""

    offset: int
    size: int
    is_signed: bool
    is_array: bool
    """Whether it is taken as bytes."""
    is_reference: bool
    """Whether it says where in the record the value is, and how long."""


class Format(NamedTuple):
    """What the records of a kind look like."""

    kind: int
    fields: Mapping[str, Field]


Event = tuple[int, int, tuple[Any, ...]]
"""A record that was read: time in nanoseconds of the buffer's clock, kind, values.

The values are those of the fields that were asked for: numbers, and bytes for
arrays and text.
"""


def parse_format(text: str) -> Format:
    """Return the format in the file `format` of an event; `ValueError` if it cannot be read."""
    number = _ID.search(text)
    if number is None:
        raise ValueError("a trace format without an ID")
    return Format(int(number[1]), parse_fields(text))


def parse_fields(text: str) -> dict[str, Field]:
    """Return the fields in a file `format`, or `header_page`."""
    fields = {}
    for found in _FIELD.finditer(text):
        size, kind = int(found["size"]), found["kind"]
        is_reference = kind.startswith("__data_loc")
        line = found[0]
        is_array = not is_reference and ("[" in line or size not in _NUMBERS)
        fields[found["name"]] = Field(
            int(found["offset"]), size, found["signed"] == "1", is_array, is_reference
        )
    return fields


class Decoder:
    """Reads some fields of the records of one kind."""

    def __init__(self, record: Format, names: Sequence[str]) -> None:
        """Read the fields *names*, in that order; `ValueError` if one is missing or strange."""
        missing = [name for name in names if name not in record.fields]
        if missing:
            raise ValueError(f"trace event without the field {missing[0]}")
        fields = [record.fields[name] for name in names]
        order = sorted(range(len(fields)), key=lambda index: fields[index].offset)
        layout, end = "=", 0
        for index in order:
            field = fields[index]
            if field.offset < end:
                raise ValueError("trace event whose fields overlap")
            layout += f"{field.offset - end}x{_letter(field)}"
            end = field.offset + field.size
        self._layout = struct.Struct(layout)
        self.size = end
        self._places = [order.index(index) for index in range(len(fields))]
        self._in_order = self._places == list(range(len(fields)))
        self._references = [index for index, field in enumerate(fields) if field.is_reference]

    def decode(self, page: bytes, offset: int, end: int) -> tuple[Any, ...]:
        """Return the fields of the record from *offset* to *end*."""
        values: tuple[Any, ...] = self._layout.unpack_from(page, offset)
        if not self._in_order:
            values = tuple([values[place] for place in self._places])
        if not self._references:
            return values
        resolved = list(values)
        for index in self._references:
            place = resolved[index]
            start = offset + (place & 0xFFFF)
            stop = min(start + (place >> 16 & 0xFFFF), end)
            resolved[index] = page[start:stop].partition(b"\0")[0]
        return tuple(resolved)


def _letter(field: Field) -> str:
    if field.is_array:
        return f"{field.size}s"
    letter = "I" if field.is_reference else _NUMBERS[field.size]
    return letter if field.is_signed else letter.upper()


class PageReader:
    """Reads pages of a buffer of one machine."""

    def __init__(self, header_page: str, decoders: Mapping[int, Decoder]) -> None:
        """Take the head as in *header_page*; of records without a decoder tell nothing."""
        fields = parse_fields(header_page)
        if not {"timestamp", "commit", "data"} <= fields.keys():
            raise ValueError("a trace page without timestamp, commit or data")
        self._time = fields["timestamp"].offset
        self._commit = fields["commit"].offset
        self._data = fields["data"].offset
        self._decoders = decoders

    def read(self, page: bytes, events: list[Event]) -> int | None:
        """Add what is on *page* to *events*; return how many events were lost before it.

        None means some, of unknown number. Raises `ValueError` if the page does
        not hold together.
        """
        if len(page) < self._data:
            raise ValueError("truncated trace page")
        (time,) = struct.unpack_from("=Q", page, self._time)
        (commit,) = _WORD.unpack_from(page, self._commit)
        end = self._data + (commit & _LENGTH_BITS)
        if end > len(page):
            raise ValueError("truncated trace page")
        self._walk(page, time, end, events)
        if not commit & _MISSED:
            return 0
        if not commit & _MISSED_COUNT or end + 8 > len(page):
            return None
        count: int = struct.unpack_from("=Q", page, end)[0]
        return count

    def _walk(self, page: bytes, time: int, end: int, events: list[Event]) -> None:
        word, position, decoders = _WORD.unpack_from, self._data, self._decoders
        append, kind_of = events.append, _KIND.unpack_from
        while position + 8 <= end:
            (head,) = word(page, position)
            position += 4
            length = head & 31
            if length >= _PADDING:
                time, position = _special(head, word(page, position)[0], time, position, end)
                continue
            time += head >> 5
            start = position
            if length:
                position += 4 * length
            else:  # longer than that: a word tells, itself included
                start += 4
                position += word(page, position)[0]
            if not start + 2 <= position <= end:
                raise ValueError("truncated trace record")
            (kind,) = kind_of(page, start)
            decoder = decoders.get(kind)
            if decoder is not None:
                if position - start < decoder.size:
                    raise ValueError("truncated trace record")
                append((time, kind, decoder.decode(page, start, position)))


def _special(head: int, word: int, time: int, position: int, end: int) -> tuple[int, int]:
    """Return time and position behind what is no record; *word* stands at *position*."""
    length, delta = head & 31, head >> 5
    if length == _PADDING:
        # Without a delta there is nothing else on the page.
        return time + delta, position + word if delta else end
    value = (word << 27) + delta
    if length == _EXTENSION:
        return time + value, position + 4
    return value | time & 0xF8 << 56, position + 4  # the five highest bits are not told
