"""``osquery``: whole statements that osquery runs itself."""

import json
from collections.abc import Iterator
from typing import Any

from zeek_agent_core.api import (
    Column,
    Host,
    Row,
    Snapshot,
    Type,
    Where,
    hookimpl,
)
from zeek_agent_osquery._settings import SECTION, SETTINGS, settings
from zeek_agent_osquery._values import CONVERTERS, NUMBERS, TYPES, BadValueError


class OsqueryQuery(Snapshot):
    """What osquery answers to a statement of its own, one row for each of its rows.

    There only if `allow_queries` is set, since a statement can read all that
    osquery can: tables that are left out here and files of any path included.
    Osquery has one name for each column, so give columns of a join that are
    called alike names of their own.
    """

    name = "osquery"
    columns = (
        Column("_sql", Type.TEXT, "the statement, in osquery's own SQL"),
        Column("number", Type.COUNT, "place of the row in osquery's answer, counted from 0"),
        Column("row", Type.TEXT, "the row as a JSON object, columns in their order"),
    )
    settings = SETTINGS
    settings_section = SECTION
    examples = (
        "SELECT row ->> 'version' AS version FROM osquery('SELECT version FROM osquery_info')",
    )
    scan_cost = 20_000.0

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield osquery's rows."""
        from zeek_agent_osquery._osquery import Osquery  # noqa: PLC0415 - not at every start
        from zeek_agent_osquery._question import answered  # noqa: PLC0415 - not at every start

        osquery, sql = Osquery.of(self.host), str(where.parameters["_sql"])
        most = osquery.setting("max_rows")
        columns = yield from answered(
            self.name, where, most, f"columns of {sql}", lambda: osquery.columns_of(sql)
        )
        kinds = {
            name: TYPES.get(kind, Type.TEXT) for column in columns for name, kind in column.items()
        }
        rows = yield from answered(self.name, where, most, sql, lambda: osquery.query(sql))
        for number, row in enumerate(rows):
            yield {"number": number, "row": as_json(row, kinds)}


def as_json(row: dict[str, str], kinds: dict[str, Type]) -> str:
    """Return *row* as JSON: columns in the order of *kinds*, numbers as numbers, none as null."""
    names = [*(name for name in kinds if name in row), *(row.keys() - kinds.keys())]
    return json.dumps(
        {name: _value(row[name], kinds.get(name, Type.TEXT)) for name in names},
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _value(value: str, kind: Type) -> Any:
    if kind not in NUMBERS:
        return value
    try:
        return CONVERTERS[kind](bytearray(value.encode()))
    except BadValueError:
        return value


@hookimpl
def zeek_agent_tables(host: Host) -> list[OsqueryQuery]:
    """Offer the table where the configuration allows it."""
    given = settings(host)
    return [OsqueryQuery(host)] if given["extensions_socket"] and given["allow_queries"] else []
