"""The schemas of tables as plain data, in the format that `zeek-agent -D` prints."""

from collections.abc import Iterable
from typing import Any

from zeek_agent_core.table import Column, Table


def schemas(tables: Iterable[Table | type[Table]]) -> dict[str, Any]:
    """Return the declarations of *tables*, ready for JSON."""
    return {"tables": {table.name: _table(table) for table in sorted(tables, key=_name)}}


def _name(table: Table | type[Table]) -> str:
    return table.name


def _table(table: Table | type[Table]) -> dict[str, Any]:
    return {
        "columns": [_column(column) for column in table.columns],
        "description": table.description(),
        "platforms": sorted(table.platforms),
        "summary": table.summary(),
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "default": None if column.default is None else str(column.default),
        "is_parameter": column.is_parameter,
        "name": column.name,
        "summary": column.description,
        "type": str(column.type),
    }
