"""Small tables for tests."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from zeek_agent_core.api import (
    EQ,
    NONE,
    PREFIX,
    RANGE,
    Column,
    ColumnRows,
    Evented,
    Host,
    Row,
    Snapshot,
    Table,
    Type,
    Where,
)

ALL = EQ | RANGE | PREFIX

FRUITS = (
    Column("name", Type.TEXT, "what it is called", pushdown=ALL),
    Column("weight", Type.COUNT, "weight, in grams", pushdown=EQ | RANGE),
    Column("color", Type.TEXT, "colour of the skin"),
)
FRUIT_ROWS = (
    {"name": "apple", "weight": 150, "color": "red"},
    {"name": "banana", "weight": 120, "color": "yellow"},
    {"name": "cherry", "weight": 8, "color": "red"},
    {"name": "date", "weight": 8},
)


def table(
    rows: Callable[[Where], Iterable[Any]] | Iterable[Any],
    name: str = "fruits",
    columns: Iterable[Column] = FRUITS,
) -> Table:
    """Return a snapshot table that yields *rows*, or what they return for a `Where`."""

    class Made(Snapshot):
        """A table made for a test."""

        def __init__(self) -> None:
            super().__init__(Host("/"))
            self.asked: list[Where] = []
            self.pulled = 0
            self.closed = 0

        def rows(self, where: Where) -> Iterator[Row]:
            self.asked.append(where)
            found = rows(where) if callable(rows) else rows
            return found if isinstance(found, ColumnRows) else self.counted(found)

        def counted(self, source: Iterable[Row]) -> Iterator[Row]:
            try:
                for row in source:
                    self.pulled += 1
                    yield row
            finally:
                self.closed += 1

    Made.name = name
    Made.columns = tuple(columns)
    return Made()


def fruits() -> Table:
    """Return a table of four fruits."""
    return table(FRUIT_ROWS)


def numbers(most: int | None = None, name: str = "numbers") -> Table:
    """Return a table that counts to *most*, or for ever."""

    def rows(_where: Where) -> Iterator[Row]:
        number = 0
        while most is None or number < most:
            yield {"number": number}
            number += 1

    return table(rows, name, (Column("number", Type.COUNT, "a number", pushdown=NONE),))


def echo(*parameters: Column) -> Table:
    """Return a table with one row that shows the arguments of its *parameters*."""

    def rows(where: Where) -> Iterator[Row]:
        yield {"shown": repr([where.parameters[column.name] for column in parameters])}

    shown = Column("shown", Type.TEXT, "the arguments")
    return table(rows, "echo", (shown, *parameters))


class Beats(Evented):
    """One row for each beat."""

    name = "beats_events"
    columns = (Column("number", Type.COUNT, "which one"),)
