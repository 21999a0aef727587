"""Rows that a table has column by column."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from zeek_agent_core.values import Row

Values = Sequence[Any] | memoryview
"""The values of one column; a memoryview, of one dimension, has nothing but integers."""
Chunk = Mapping[str, Values]
"""Some rows: the values of each column, all of one length; a column that is absent is NULL."""

Maker = Callable[[Iterable[tuple[Any, ...]]], Iterator[dict[str, Any]]]


class ColumnRows:
    """Rows for `Snapshot.rows` to return, which are at hand column by column.

    They are rows like others. But where a query does no more than name columns,
    the core takes the columns themselves: for tables of thousands of rows that
    is several times faster than to make a mapping of each.
    """

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        """Have the rows of *chunks*, each of which has a column at least."""
        self.chunks = iter(chunks)
        """What has not been taken yet."""
        self._rows = self._made()

    def _made(self) -> Iterator[dict[str, Any]]:
        try:
            for chunk in self.chunks:
                columns = (v.tolist() if isinstance(v, memoryview) else v for v in chunk.values())
                yield from _maker(tuple(chunk))(zip(*columns, strict=True))
        finally:
            close = getattr(self.chunks, "close", None)
            if close is not None:
                close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Return the rows."""
        return self._rows

    def __next__(self) -> dict[str, Any]:
        """Return the next row."""
        return next(self._rows)


def column_chunk(rows: Iterable[Row], names: Iterable[str]) -> Chunk:
    """Return *rows* column by column, those columns that *names* says."""
    held = list(rows)
    return {name: [row.get(name) for row in held] for name in names}


@lru_cache(maxsize=256)  # who asks chooses the names
def _maker(names: tuple[str, ...]) -> Maker:
    """Return what makes mappings of tuples; one that is written out takes half the time."""
    values = [f"v{at}" for at in range(len(names))]
    items = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    code = f"lambda tuples: ({{{items}}} for {', '.join(values)}, in tuples)"
    made: Maker = eval(code, {})  # noqa: S307 - it has but quoted texts, and names from here
    return made
