"""Finds types, their members and functions in BTF, the kernel's description of itself.

Source: Documentation/bpf/btf.rst of the kernel. All numbers are in the byte
order of the machine.
"""

import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

VMLINUX = "/sys/kernel/btf/vmlinux"

MAGIC = 0xEB9F
HEADER = struct.Struct("=HBBIIIII")
TYPE = struct.Struct("=III")
"""Offset of the name; kind, flag and number of members; size, or the type referred to."""
MEMBER = struct.Struct("=III")
ARRAY = struct.Struct("=III")

INT, PTR, ARRAY_KIND, STRUCT, UNION = 1, 2, 3, 4, 5
TYPEDEF, FUNC, FUNC_PROTO = 8, 12, 13
MODIFIERS = frozenset({8, 9, 10, 11, 18})
"""Typedef, volatile, const, restrict and tags: names for another type."""
KINDS = 20
EXTRA = {1: 4, 3: 12, 14: 4, 17: 4}
"""Bytes that follow a type of some kinds."""
EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
"""Bytes that follow it for each of its members."""
POINTER_BYTES = 8
DEEPEST = 32
"""Types within types; real ones have a handful."""


class Member(NamedTuple):
    """Where something lies in a struct: offset and size in bytes."""

    offset: int
    size: int


class Btf:
    """The types of one kernel."""

    def __init__(self, data: bytes) -> None:
        """Index *data*, some 50 ms for a whole kernel; `ValueError` if it is not BTF."""
        if len(data) < HEADER.size:
            raise ValueError("truncated BTF header")
        magic, _, _, length, types, types_size, strings, strings_size = HEADER.unpack_from(data)
        if magic != MAGIC:
            raise ValueError("not BTF of this machine")
        self._data = data
        self._strings = length + strings
        self._end = self._strings + strings_size
        start = length + types
        if start + types_size > len(data) or self._end > len(data):
            raise ValueError("truncated BTF")
        self._offsets = array("I", [0])
        self._names = array("I", [0])
        self._index(start, start + types_size)

    def _index(self, offset: int, end: int) -> None:
        """Note where each type begins."""
        fixed = [TYPE.size + EXTRA.get(kind, 0) for kind in range(32)]
        each = [EACH.get(kind, 0) for kind in range(32)]
        append, named = self._offsets.append, self._names.append
        head, data = struct.Struct("=II").unpack_from, self._data
        while offset < end:
            if offset + TYPE.size > end:
                raise ValueError("truncated BTF type")
            append(offset)
            name, info = head(data, offset)
            named(name)
            kind = info >> 24 & 31
            if not 0 < kind < KINDS:
                raise ValueError(f"BTF type of unknown kind {kind}")
            offset += fixed[kind]
            if each[kind]:
                offset += (info & 0xFFFF) * each[kind]
        if offset != end:
            raise ValueError("truncated BTF type")

    def number(self, kind: int, name: str) -> int | None:
        """Return the number of the first type of a *kind* with a *name*, None if there is none."""
        for place in self._places(name):
            number = 0
            with suppress(ValueError):  # no further type has the name
                while True:
                    number = self._names.index(place, number + 1)
                    if self._type(number)[1] == kind:
                        return number
        return None

    def _places(self, name: str) -> Iterator[int]:
        """Yield offsets of *name* among the strings: usually one, and none in another name."""
        text = b"\0" + name.encode() + b"\0"
        at = self._data.find(text, self._strings, self._end)
        while at >= 0:
            yield at + 1 - self._strings
            at = self._data.find(text, at + 1, self._end)

    def _name(self, offset: int) -> str:
        start = self._strings + offset
        end = self._data.find(b"\0", start, self._end)
        if end < 0:
            raise ValueError("BTF name outside of the strings")
        return self._data[start:end].decode(errors="replace")

    def _type(self, number: int) -> tuple[int, int, int, int]:
        """Return offset behind the head, kind, number of members with flag, and size or type."""
        if not 0 < number < len(self._offsets):
            raise ValueError(f"no BTF type {number}")
        offset = self._offsets[number]
        _, info, rest = TYPE.unpack_from(self._data, offset)
        return offset + TYPE.size, info >> 24 & 31, info, rest

    def _stripped(self, number: int) -> int:
        """Return the type behind typedefs and qualifiers."""
        for _ in range(DEEPEST):
            _, kind, _, rest = self._type(number)
            if kind not in MODIFIERS:
                return number
            number = rest
        raise ValueError("BTF types refer to each other in a circle")

    def size(self, number: int, depth: int = 0) -> int:
        """Return the size of a type in bytes."""
        if depth > DEEPEST:
            raise ValueError("BTF types refer to each other in a circle")
        offset, kind, _, rest = self._type(self._stripped(number))
        if kind == PTR:
            return POINTER_BYTES
        if kind == ARRAY_KIND:
            element, _, count = ARRAY.unpack_from(self._data, offset)
            return self.size(element, depth + 1) * int(count)
        return rest

    def member(self, number: int, path: str) -> Member:
        """Return where the member at a dotted *path* of struct *number* lies.

        Members of anonymous structs count as the struct's own; of an array, the
        path goes on in its first element. Raises `KeyError` if there is none.
        """
        total = 0
        for part in path.split("."):
            found = self._find(number, part, 0)
            if found is None:
                raise KeyError(path)
            offset, number = found
            total += offset
        return Member(total, self.size(number))

    def _find(self, number: int, name: str, depth: int) -> tuple[int, int] | None:
        """Return offset and type of a member, looked for in anonymous members too."""
        if depth > DEEPEST:
            raise ValueError("BTF types refer to each other in a circle")
        offset, kind, info, _ = self._type(self._stripped(number))
        if kind == ARRAY_KIND:
            element, _, _ = ARRAY.unpack_from(self._data, offset)
            return self._find(element, name, depth + 1)
        if kind not in (STRUCT, UNION):
            return None
        for at in range(offset, offset + (info & 0xFFFF) * MEMBER.size, MEMBER.size):
            name_at, type_, where = MEMBER.unpack_from(self._data, at)
            if info >> 31:
                where &= 0xFFFFFF  # the upper bits are the size of a bit field
            if name_at and self._name(name_at) == name:
                return where // 8, type_
            if not name_at:
                inner = self._find(type_, name, depth + 1)
                if inner is not None:
                    return where // 8 + inner[0], inner[1]
        return None

    def arguments(self, number: int) -> int:
        """Return how many arguments a function, or a typedef of a pointer to one, takes."""
        for _ in range(DEEPEST):
            _, kind, info, rest = self._type(number)
            if kind == FUNC_PROTO:
                return info & 0xFFFF
            if kind not in MODIFIERS | {PTR, FUNC}:
                break
            number = rest
        raise ValueError(f"BTF type {number} is no function")
