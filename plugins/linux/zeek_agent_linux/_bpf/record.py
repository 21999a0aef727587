"""The layout of a record, by which a program writes it and Python reads it."""

import struct
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

LETTERS = {"B": 1, "H": 2, "I": 4, "i": 4, "Q": 8, "q": 8}
WORD = 8


class Record:
    """Named fields, one after the other, each at a multiple of its size, or of 8.

    A field is a letter of `struct` or, for bytes, their number and `s`.
    """

    def __init__(self, **fields: str) -> None:
        """Lay out *fields* in order; the end is filled up to a multiple of 8."""
        self.places: dict[str, tuple[int, int]] = {}
        offset = 0
        for name, letter in fields.items():
            size = LETTERS.get(letter) or int(letter.removesuffix("s"))
            if offset % min(size, WORD):
                raise ValueError(f"field {name} lies across its boundary")
            self.places[name] = offset, size
            offset += size
        self.size = (offset + 7) & ~7
        padding = f"{self.size - offset}x" if self.size > offset else ""
        self.struct = struct.Struct("=" + "".join(fields.values()) + padding)
        self.names = tuple(fields)
        self._letters = fields

    def column(self, raw: bytes, field: str, letter: str = "") -> list[int]:
        """Return one field of all records in *raw*, much faster than by unpacking them.

        Another *letter* takes a part of the field, or what follows as well. Raises
        `ValueError` if *raw* does not consist of whole records.
        """
        values: list[int] = self.view(raw, field, letter).tolist()
        return values

    def view(self, raw: bytes, field: str, letter: str = "") -> memoryview:
        """Return the same, not copied yet."""
        self._check(raw)
        letter = letter or self._letters[field]
        offset, size = self.places[field][0], LETTERS[letter]
        whole: Any = memoryview(raw)
        view: memoryview = whole.cast(letter)[offset // size :: self.size // size]
        return view

    def letters(self, raw: bytes, field: str) -> bytes:
        """Return a field of one byte of all records in *raw*."""
        self._check(raw)
        return raw[self.places[field][0] :: self.size]

    def some(self, raw: bytes, *fields: str) -> Iterator[tuple[Any, ...]]:
        """Return these *fields* of each record, in the order in which they lie in it.

        Raises `ValueError` if *raw* does not consist of whole records.
        """
        self._check(raw)
        return self._picking(fields).iter_unpack(raw)

    def chosen(self, raw: bytes, positions: Iterable[int]) -> bytes:
        """Return the records at *positions*."""
        size = self.size
        return b"".join([raw[at * size : (at + 1) * size] for at in positions])

    def without(self, raw: bytes, field: str) -> bytes:
        """Return the records in which *field* is 0."""
        return self.chosen(raw, [at for at, value in enumerate(self.view(raw, field)) if not value])

    def parts(self, raw: bytes, most: int) -> Iterator[bytes]:
        """Return *raw* in parts of at most so many records, none of them empty."""
        step = most * self.size
        return (raw[at : at + step] for at in range(0, len(raw), step))

    def _check(self, raw: bytes) -> None:
        if len(raw) % self.size:
            raise ValueError("truncated record")

    @cache  # noqa: B019 - records are few, and live as long as the program
    def _picking(self, fields: tuple[str, ...]) -> struct.Struct:
        """Return the layout in which all but *fields* is padding."""
        letters, end = [], 0
        for field in fields:
            offset, size = self.places[field]
            letters += [f"{offset - end}x", self._letters[field]]
            end = offset + size
        return struct.Struct(f"={''.join(letters)}{self.size - end}x")
