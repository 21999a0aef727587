"""What a console knows of an agent's tables; it asks for it by SQL."""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from zeek_agent_core.query import ResultRow
from zeek_agent_core.repl.backend import Backend

TABLES = "SELECT name, summary FROM zeek_agent_tables ORDER BY name"
COLUMNS = (
    'SELECT "table", name, type, is_parameter, "default", pushdown, description '
    'FROM zeek_agent_columns ORDER BY "table", position'
)


class KnownColumn(NamedTuple):
    """A column or parameter of a table."""

    name: str
    type: str = "text"
    is_parameter: bool = False
    default: str | None = None
    """What a parameter is that is not given; None where it must be."""
    pushdown: str | None = None
    """Conditions that the table uses, in words."""
    description: str = ""


class KnownTable(NamedTuple):
    """A table."""

    name: str
    summary: str = ""
    columns: tuple[KnownColumn, ...] = ()

    @property
    def parameters(self) -> tuple[KnownColumn, ...]:
        """Its parameters, in the order of its arguments."""
        return tuple(column for column in self.columns if column.is_parameter)

    @property
    def visible(self) -> tuple[KnownColumn, ...]:
        """The columns that `*` stands for."""
        return tuple(column for column in self.columns if not column.is_parameter)


class Schema(NamedTuple):
    """All tables of an agent."""

    tables: Mapping[str, KnownTable] = MappingProxyType({})


async def load(backend: Backend) -> Schema:
    """Return the tables of the agent behind *backend*."""
    columns: dict[str, list[KnownColumn]] = defaultdict(list)
    for row in await rows(backend, COLUMNS):
        columns[str(row[0])].append(_column(row))
    tables = {
        str(name): KnownTable(str(name), str(summary or ""), tuple(columns[str(name)]))
        for name, summary in await rows(backend, TABLES)
    }
    return Schema(tables)


async def rows(backend: Backend, sql: str) -> list[ResultRow]:
    """Return all rows of *sql*."""
    found: list[ResultRow] = []
    async with backend.query(sql) as stream:
        async for batch in stream:
            found += batch
    return found


def _column(row: ResultRow) -> KnownColumn:
    _, name, kind, is_parameter, default, pushdown, description = row
    return KnownColumn(
        name=str(name),
        type=str(kind),
        is_parameter=bool(is_parameter),
        default=None if default is None else str(default),
        pushdown=None if pushdown is None else str(pushdown),
        description=str(description or ""),
    )
