"""`-D`: the schemas of tables as JSON, for documentation and other programs."""

import json
from collections.abc import Iterable
from typing import Any

from zeek_agent_core.table import Column, Table


def schemas(tables: Iterable[Table]) -> str:
    """Return the schemas of *tables* as JSON text, in the older agent's layout."""
    described = {table.name: _table(table) for table in tables}
    return json.dumps({"tables": described}, indent=4, sort_keys=True, ensure_ascii=False)


def _table(table: Table) -> dict[str, Any]:
    return {
        "columns": [_column(column) for column in table.columns],
        "description": table.description(),
        "platforms": list(table.platforms),
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
