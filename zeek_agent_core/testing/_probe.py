"""A table under test in a database of its own, with comparisons that allow for change."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import apsw

from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import ResultRow
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Evented, Snapshot, Table, Where
from zeek_agent_core.values import Row, SqlValue

ATTEMPTS = 5
PAUSE_SECONDS = 0.02

Bag = Counter[ResultRow]
Reader = Callable[[], Awaitable[Bag]]


class Watched(Snapshot):
    """A snapshot table seen through glass: remembers what it was asked."""

    def __init__(self, table: Snapshot) -> None:
        """Pass everything on to *table*."""
        super().__init__(table.host)
        self.inner = table
        self.asked: list[Where] = []

    def rows(self, where: Where) -> Iterator[Row]:
        """Pass the rows on."""
        self.asked.append(where)
        return self.inner.rows(where)


def watch(table: Snapshot) -> Watched:
    """Return *table* with its questions remembered, under the same name."""
    declared = {"name": table.name, "columns": table.columns, "__doc__": table.description()}
    watched: Watched = type("Watched", (Watched,), declared)(table)
    return watched


class Probe:
    """Runs statements on one table; use as ``async with``."""

    def __init__(
        self,
        table: Table,
        parameters: Mapping[str, SqlValue],
        stable: Collection[str] | None,
        others: Iterable[Table],
        events: Iterable[Row],
    ) -> None:
        """Prepare to test *table*; *events* are the rows of an evented one."""
        self.table = table
        self.offered = watch(table) if isinstance(table, Snapshot) else table
        self.parameters = dict(parameters)
        shown = [column.name for column in table.columns if not column.is_parameter]
        self.columns = tuple(shown)
        steady = set(shown) - table.volatile if stable is None else stable
        self.stable = tuple(name for name in shown if name in steady)
        self._others = list(others)
        self._events = list(events)
        self._stack = AsyncExitStack()
        self.database: Database

    async def __aenter__(self) -> Self:
        """Open the database."""
        tables = [self.offered, *self._others]
        self.database = await self._stack.enter_async_context(
            Database(tables, events=self._event_rows)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database."""
        await self._stack.aclose()

    def _event_rows(self, table: str, _after: int, _upto: int | None) -> Iterator[Row]:
        is_ours = isinstance(self.table, Evented) and table == self.table.name
        return iter(self._events if is_ours else ())

    async def execute(self, sql: str) -> list[ResultRow]:
        """Return the rows of *sql*."""
        return (await self.database.execute(sql)).rows

    async def bag(self, columns: Iterable[str], condition: str = "") -> Bag:
        """Return the rows of the table as a multiset."""
        return Counter(await self.execute(self.select(columns, condition)))

    def select(self, columns: Iterable[str], condition: str = "") -> str:
        """Return a statement that reads *columns* where *condition*, parameters given."""
        conditions = [f"{quoted(name)} = {literal(v)}" for name, v in self.parameters.items()]
        if condition:
            conditions.append(f"({condition})")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        names = ", ".join(map(quoted, columns))
        return f"SELECT {names} FROM {quoted(self.table.name)}{where}"  # noqa: S608 - quoted

    def take_parameters(self) -> None:
        """Fill in the arguments that the examples used and the caller did not give."""
        required = {column.name for column in self.table.columns if column.is_required}
        if isinstance(self.offered, Watched):
            for where in self.offered.asked:
                for name in required & set(where.parameters):
                    self.parameters.setdefault(name, where.parameters[name])


async def differ(expected: Reader, actual: Reader) -> str | None:
    """Return how *actual* differs from *expected*, unless the table changed meanwhile.

    A difference counts when *expected* reads the same before and after.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        before, seen = await expected(), await actual()
        if seen == before:
            return None
        after = await expected()
        if seen == after:
            return None
        if before == after:
            return difference(before, seen)
    return "the rows never held still; name the columns that do (stable=...)"


def difference(expected: Bag, actual: Bag) -> str:
    """Return a short description of how two multisets differ."""
    parts = []
    for word, bag in (("missing", expected - actual), ("surplus", actual - expected)):
        if bag:
            parts.append(f"{bag.total()} rows {word}, such as {shortened(next(iter(bag)))}")
    return "; ".join(parts)


def shortened(value: Any, most: int = 120) -> str:
    """Return the text of *value*, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def quoted(name: str) -> str:
    """Return *name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: SqlValue) -> str:
    """Return *value* as an SQL literal."""
    return apsw.format_sql_value(value)


async def attempt(sql: str, probe: Probe) -> str | None:
    """Run *sql*; return its error, if it has one."""
    try:
        await probe.execute(sql)
    except QueryError as error:
        return f"{shortened(sql)} fails: {error}"
    return None
