"""The layout of a record, by which a program writes it and Python reads it."""

import struct
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

    def column(self, raw: bytes, field: str) -> list[int]:
        """Return one field of all records in *raw*, much faster than by unpacking them.

        Raises `ValueError` if *raw* does not consist of whole records.
        """
        if len(raw) % self.size:
            raise ValueError("truncated record")
        offset, size = self.places[field]
        whole: Any = memoryview(raw)
        values: list[int] = whole.cast(self._letters[field])[
            offset // size :: self.size // size
        ].tolist()
        return values
