"""What can be told from a table's declaration alone."""

from collections.abc import Iterator

from zeek_agent_core import plugins
from zeek_agent_core.errors import PluginError
from zeek_agent_core.table import NONE, Column, Evented, Snapshot, Table
from zeek_agent_core.values import PLAIN, SqlValue, Type

PLATFORMS = ("linux", "darwin", "windows")
BASES = (Table, Snapshot, Evented)
ELEMENTS = (Type.SET, Type.VECTOR)


def findings(table: Table) -> list[str]:
    """Return what is wrong with the declaration of *table*."""
    try:
        plugins.check(table)
    except (PluginError, AttributeError, TypeError) as error:
        return [f"it cannot be offered: {error}"]
    found = [*_name(table), *_description(table), *_platforms(table)]
    for column in table.columns:
        found += [f"column {column.name}: {reason}" for reason in _column(column)]
    if isinstance(table, Evented):
        found += _evented(table)
    return found


def _name(table: Table) -> Iterator[str]:
    is_marked = table.name.endswith("_events")
    if isinstance(table, Evented) and not is_marked:
        yield f"the name of an evented table ends in `_events`, {table.name} does not"
    if isinstance(table, Snapshot) and is_marked:
        yield "only evented tables have names that end in `_events`"
    if "__" in table.name or table.name.endswith("_"):
        yield f"the name {table.name} is not snake case"


def _description(table: Table) -> Iterator[str]:
    description = table.description()
    if not description or description in {base.description() for base in BASES}:
        yield "the class has no docstring, which is the description that users read"
    elif not table.summary().endswith("."):
        yield f"the summary does not end with a full stop: {table.summary()!r}"


def _platforms(table: Table) -> Iterator[str]:
    unknown = sorted(set(table.platforms) - set(PLATFORMS))
    if unknown:
        yield f"unknown platforms: {', '.join(unknown)}"
    if not table.platforms:
        yield "it names no platform"


def _column(column: Column) -> Iterator[str]:
    description = column.description
    if not description.strip():
        yield "it has no description"
    elif description != description.strip() or "\n" in description:
        yield "its description is not a single line without blanks around it"
    if "__" in column.name or column.name.endswith("_"):
        yield "its name is not snake case"
    if column.type is Type.NULL:
        yield "null is no type of a column"
    if column.element is not None and column.type not in ELEMENTS:
        yield f"a {column.type} has no elements"
    if column.mandatory and column.pushdown is NONE:
        yield "a condition on it is mandatory, and does not reach the table for lack of pushdown"
    if column.is_parameter:
        yield from _parameter(column)
    elif column.default is not None:
        yield "only parameters have a default"


def _parameter(column: Column) -> Iterator[str]:
    if column.type not in PLAIN:
        yield f"a parameter cannot be a {column.type}"
    elif column.default is not None and not _fits(column.type, column.default):
        yield f"the default {column.default!r} is no {column.type}"
    if column.pushdown is not NONE:
        yield "a parameter always reaches the table and takes no pushdown"


def _fits(kind: Type, value: SqlValue) -> bool:
    plain = PLAIN[kind]
    return isinstance(value, plain) or (plain in (bool, float) and isinstance(value, int))


def _evented(table: Evented) -> Iterator[str]:
    for column in table.columns:
        if column.name == "time" and column.type is not Type.TIME:
            yield "column time: it says when the event happened and is of type time"
        if column.is_parameter:
            yield f"column {column.name}: an evented table takes no parameters"
    if table.retention.total_seconds() <= 0:
        yield "the retention is not positive"
    if table.capacity <= 0:
        yield "the capacity is not positive"
