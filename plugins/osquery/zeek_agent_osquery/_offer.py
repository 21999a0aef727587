"""Pure, but for asking: our tables as osquery is told of them, and what it asks as our SQL."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from zeek_agent_core.api import Type, text
from zeek_agent_osquery._sql import literal, quoted
from zeek_agent_osquery._table import Option

Ask = Callable[[str], Awaitable[list[tuple[Any, ...]]]]
"""Runs a statement on our agent."""

PREFIX = "zeek_"
"""Before our names, so that osquery's own tables keep theirs."""

TYPES: Mapping[str, str] = {
    Type.BOOL: "INTEGER",
    Type.COUNT: "BIGINT",
    Type.INT: "BIGINT",
    Type.INTERVAL: "BIGINT",
    Type.TIME: "BIGINT",
    Type.REAL: "DOUBLE",
    Type.BLOB: "BLOB",
}
"""Osquery's types; all others are text."""

OPERATORS: Mapping[int, str] = {
    2: "=", 4: ">", 8: "<=", 16: "<", 32: ">=", 65: "LIKE", 66: "GLOB",
}  # fmt: skip
"""Osquery's constraints that are passed on, as they are numbered in its requests."""

TABLES = "SELECT name FROM zeek_agent_tables WHERE provider IS NOT 'zeek-agent-osquery'"
COLUMNS = (
    'SELECT "table", name, type, is_parameter, "default" FROM zeek_agent_columns '
    'ORDER BY "table", position'
)


class OwnColumn(NamedTuple):
    """A column of a table of ours."""

    name: str
    type: str
    is_parameter: bool
    is_required: bool

    @property
    def route(self) -> dict[str, str]:
        """What osquery is told of it."""
        option = Option(0)
        if self.is_parameter:
            option = Option.HIDDEN | (Option.REQUIRED if self.is_required else Option.ADDITIONAL)
        kind = TYPES.get(self.type, "TEXT")
        return {"id": "column", "name": self.name, "type": kind, "op": str(int(option))}


class Offered(NamedTuple):
    """A table of ours."""

    name: str
    columns: tuple[OwnColumn, ...]

    @property
    def routes(self) -> list[dict[str, str]]:
        """What osquery is told of its columns."""
        return [column.route for column in self.columns]


async def offered(ask: Ask) -> dict[str, Offered]:
    """Return our tables by the names that osquery gets; those that are osquery's are not ours."""
    names = {name for (name,) in await ask(TABLES)}
    columns: dict[str, list[OwnColumn]] = {}
    for table, name, kind, is_parameter, default in await ask(COLUMNS):
        if table in names:
            column = OwnColumn(
                name, kind, bool(is_parameter), bool(is_parameter) and default is None
            )
            columns.setdefault(table, []).append(column)
    return {osquery_name(t): Offered(t, tuple(listed)) for t, listed in columns.items()}


def osquery_name(table: str) -> str:
    """Return what osquery calls *table*."""
    return table if table.startswith(PREFIX) else PREFIX + table


def statement(table: Offered, context: str) -> tuple[str, list[str]]:
    """Return the statement for a request of osquery's, and the names of its columns.

    *context* is JSON, empty for none.

    Raises `ValueError` for a context that makes no sense.
    """
    wanted = json.loads(context) if context else {}
    if not isinstance(wanted, dict):
        raise ValueError("the context is no object")  # noqa: TRY004 - of the text, not of a caller
    used = set(wanted.get("colsUsed") or [column.name for column in table.columns])
    known = {column.name: column for column in table.columns}
    names = [name for name in known if name in used] or [table.columns[0].name]
    conditions = [
        condition
        for constraint in wanted.get("constraints", [])
        if (column := known.get(constraint.get("name"))) is not None
        for condition in _conditions(column, constraint.get("list") or [])
    ]
    listed = ", ".join(map(quoted, names))
    sql = f"SELECT {listed} FROM {quoted(table.name)}"  # noqa: S608 - all is quoted
    return (f"{sql} WHERE {' AND '.join(conditions)}" if conditions else sql), names


def _conditions(column: OwnColumn, constraints: Any) -> list[str]:
    """Return the constraints of one column that can be passed on; osquery checks them all again."""
    found = []
    for constraint in constraints if isinstance(constraints, list) else []:
        operator = OPERATORS.get(int(constraint.get("op", 0)))
        value = _typed(column, str(constraint.get("expr", "")))
        shown = None if value is None else literal(value)
        if operator is None or shown is None or (column.is_parameter and operator != "="):
            continue
        found.append(f"{quoted(column.name)} {operator} {shown}")
    return found


def _typed(column: OwnColumn, value: str) -> Any:
    """Return *value* as the column has it; None where it can have none such."""
    kind = TYPES.get(column.type, "TEXT")
    try:
        if kind == "DOUBLE":
            return float(value)
        return int(value) if kind in ("INTEGER", "BIGINT") else value
    except ValueError:
        return None


def texts(names: list[str], row: tuple[Any, ...]) -> dict[str, str]:
    """Return a row as osquery takes it: text, nothing for NULL."""
    return {
        name: text(value) if isinstance(value, bytes) else str(value)
        for name, value in zip(names, row, strict=True)
        if value is not None
    }
