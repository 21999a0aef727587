"""``zeek_agent_columns``: every column of every table, with its description."""

from collections.abc import Iterator

from zeek_agent_core.api import (
    EQ,
    PREFIX,
    RANGE,
    Column,
    Host,
    Pushdown,
    Row,
    Snapshot,
    Table,
    Type,
    Where,
    hookimpl,
)

WORDS = {EQ: "=, IN", RANGE: "<, >, BETWEEN", PREFIX: "LIKE, GLOB"}


class ZeekAgentColumns(Snapshot):
    """Every column and parameter of every table, as its table declares it."""

    name = "zeek_agent_columns"
    columns = (
        Column("table", Type.TEXT, "name of the table", pushdown=EQ),
        Column("position", Type.COUNT, "place of the column in its table, counted from 0"),
        Column("name", Type.TEXT, "name of the column; a parameter's begins with an underscore"),
        Column("type", Type.TEXT, "type of its values"),
        Column("element", Type.TEXT, "type of the elements of a set or vector"),
        Column("is_parameter", Type.BOOL, "whether it steers what the table produces"),
        Column("default", Type.TEXT, "value of a parameter that is not given; NULL if required"),
        Column("pushdown", Type.TEXT, "conditions that the table uses to do less work"),
        Column("description", Type.TEXT, "what its values are"),
    )
    examples = ("SELECT name, type, description FROM zeek_agent_columns WHERE \"table\" = 'users'",)

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the columns of the wanted tables."""
        wanted = where.values("table")
        for table in self.host.agent.declared():
            if wanted is None or table.name in wanted:
                yield from described(table)


def described(table: Table) -> Iterator[Row]:
    """Yield a row for each column of *table*."""
    for position, column in enumerate(table.columns):
        yield {
            "table": table.name,
            "position": position,
            "name": column.name,
            "type": str(column.type),
            "element": None if column.element is None else str(column.element),
            "is_parameter": column.is_parameter,
            "default": None if column.default is None else str(column.default),
            "pushdown": in_words(column.pushdown),
            "description": column.description,
        }


def in_words(pushdown: Pushdown) -> str | None:
    """Return the conditions of *pushdown* as SQL writes them; None if there are none."""
    return ", ".join(words for flag, words in WORDS.items() if flag in pushdown) or None


@hookimpl
def zeek_agent_tables(host: Host) -> list[ZeekAgentColumns]:
    """Offer the table everywhere."""
    return [ZeekAgentColumns(host)]
