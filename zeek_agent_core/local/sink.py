"""What takes the results of queries that run without a Zeek."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from zeek_agent_core.local.pack import LocalQuery
from zeek_agent_core.query import Change, Result, ResultColumn, ResultRow

CHUNK = 2000
"""Rows that are put into words, and written, at a time."""

WORDS = {Change.ADD: "new", Change.DELETE: "gone"}
"""What logs call a change, as Zeek's do."""


class Sink(Protocol):
    """Takes results and writes them; made for one loop, not for several threads.

    Nothing here waits for anything but the operating system's own write. A
    row costs one to five microseconds (see `bench/bench_outputs.py`), so
    100,000 rows at once hold the loop up for 0.1 to 0.5 seconds. Hand over
    large results as `in_parts` makes them, each a matter of about 10 ms, and
    let the loop run in between.
    """

    @property
    def lost(self) -> int:
        """Return how many rows could not be written."""

    def write(self, query: LocalQuery, result: Result) -> None:
        """Write all rows of *result*; what cannot be written is counted and reported."""

    def rotate(self) -> None:
        """Put away files whose time is over; to be called now and then."""

    def close(self) -> None:
        """Finish all files; closing twice is fine."""


def in_parts(result: Result, rows: int = CHUNK) -> Iterator[Result]:
    """Yield *result* as results of at most *rows* rows, in the order of its changes."""
    empty = replace(result, rows=(), deleted=(), added=())
    for chunk in chunks(result.rows, rows):
        yield replace(empty, rows=chunk)
    for chunk in chunks(result.deleted, rows):
        yield replace(empty, deleted=chunk)
    for chunk in chunks(result.added, rows):
        yield replace(empty, added=chunk)


def chunks(rows: Sequence[ResultRow], size: int = CHUNK) -> Iterator[Sequence[ResultRow]]:
    """Yield *rows* in pieces of at most *size*."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def pieces(result: Result) -> Iterator[tuple[Change | None, Sequence[ResultRow]]]:
    """Yield the rows of *result* in pieces that share the kind of change."""
    for change, rows in (
        (None, result.rows),
        (Change.DELETE, result.deleted),
        (Change.ADD, result.added),
    ):
        for chunk in chunks(rows):
            yield change, chunk


def distinct_names(columns: Sequence[ResultColumn]) -> list[str]:
    """Return the names of *columns*; one that comes again gets a number."""
    names: list[str] = []
    for column in columns:
        name, number = column.name, 1
        while name in names:
            number += 1
            name = f"{column.name}_{number}"
        names.append(name)
    return names
