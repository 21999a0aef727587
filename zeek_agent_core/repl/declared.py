"""The tables of an agent as it tells of them by SQL, for commands that show them."""

from collections import defaultdict
from dataclasses import dataclass
from typing import cast

from zeek_agent_core.query import ResultRow
from zeek_agent_core.repl.backend import Backend
from zeek_agent_core.repl.commands import Tables
from zeek_agent_core.table import Column
from zeek_agent_core.values import Type

NAMES = "SELECT name, summary FROM zeek_agent_tables"
COLUMNS = (
    'SELECT "table", name, type, description, "default" FROM zeek_agent_columns '
    'ORDER BY "table", position'
)


@dataclass(frozen=True, slots=True)
class Declared:
    """A table of another process."""

    name: str
    about: str
    columns: tuple[Column, ...]

    def summary(self) -> str:
        """Return what its rows are."""
        return self.about


async def tables(backend: Backend) -> Tables:
    """Return the tables of the agent behind *backend*."""
    columns: dict[str, list[Column]] = defaultdict(list)
    for table, name, kind, description, default in await _rows(backend, COLUMNS):
        column = Column(str(name), Type(str(kind)), str(description), default=_text(default))
        columns[str(table)].append(column)
    found = {
        str(name): Declared(str(name), str(about), tuple(columns[str(name)]))
        for name, about in await _rows(backend, NAMES)
    }
    return cast("Tables", found)  # as far as commands look at them


async def _rows(backend: Backend, sql: str) -> list[ResultRow]:
    async with backend.query(sql) as stream:
        return [row async for batch in stream for row in batch]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
