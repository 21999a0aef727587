"""Tables that return made-up rows, always the same: for tests against a Zeek.

The values are those of the C++ agent's mock mode, since tests of Zeek packages
rely on them: built from the number of the row and of the column.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zeek_agent_core.table import Column, Snapshot, Table, Where
from zeek_agent_core.values import Port, Row, Type

TEXTS = (Type.TEXT, Type.BLOB, Type.ENUM)
ROWS = 5
EVENT_ROWS = 3
FIRST_TIME = 1646252056
SECOND_US, SECOND_NS = 1_000_000, 1_000_000_000


def _letter(number: int, first: str = "a") -> str:
    return chr(ord(first) + number % 65)


def value(column: Column, seed: int, position: int) -> Any:
    """Return the value of *column*, at *position* of the full schema, in row *seed*."""
    kind = column.type
    if kind in (Type.INT, Type.COUNT):
        return 100 * (seed + 1) + position
    if kind in TEXTS:
        text = f"{kind}_{_letter(seed)}_{_letter(position)}"
        return text.encode() if kind is Type.BLOB else text
    if kind in (Type.SET, Type.VECTOR) and column.element not in (None, *TEXTS):
        element = Column(column.name, column.element or Type.TEXT, "")
        return [value(element, seed, position + step) for step in range(3)]
    return _MAKERS[kind](seed, position)


def _elements(seed: int, position: int) -> list[str]:
    return [f"elem_{_letter(seed)}_{_letter(position, first)}" for first in "MNR"]


_MAKERS: Mapping[Type, Callable[[int, int], Any]] = {
    Type.INTERVAL: lambda i, j: (10 * (i + 1) + j) * SECOND_NS,
    Type.REAL: lambda i, j: (i + 1) * 10 + (j + 1) / 10,
    Type.BOOL: lambda i, _: bool(i % 2),
    Type.TIME: lambda i, j: (FIRST_TIME + 100 * (i + 1) + j) * SECOND_US,
    Type.ADDRESS: lambda i, j: f"192.168.1.{(i + j) % 255 + 1}",
    Type.PORT: lambda i, j: Port(
        (10_000 * (i + 1) + j) % 65_536, "icmp" if j % 4 == 1 else "unknown"
    ),
    Type.NULL: lambda _i, _j: None,
    Type.SET: _elements,
    Type.VECTOR: _elements,
    Type.RECORD: lambda i, j: [(Type.TEXT, text) for text in _elements(i, j)],
}


def mock(table: Table) -> Table:
    """Return a stand-in for *table* with the same declaration."""
    is_evented = not isinstance(table, Snapshot)

    class Mock(Snapshot):
        __doc__ = type(table).description()
        name = table.name
        columns = table.columns
        platforms = table.platforms
        examples = table.examples
        next_seed = 0

        def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - the interface
            seeds = range(ROWS)
            if is_evented:
                seeds = range(self.next_seed, self.next_seed + EVENT_ROWS)
                self.next_seed += EVENT_ROWS - 1
            for seed in seeds:
                yield {
                    column.name: value(column, seed, position)
                    for position, column in enumerate(self.columns)
                    if not column.is_parameter
                }

    return Mock(table.host)
