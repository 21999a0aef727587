"""Commands that begin with a dot, declared by decorator; help follows from them."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from zeek_agent_core.errors import StatementError
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.table import Column, Table
from zeek_agent_core.values import Type

Tables = Mapping[str, Table]


class Answer(NamedTuple):
    """A result as a statement would give it."""

    columns: tuple[ResultColumn, ...]
    rows: list[ResultRow]


Function = Callable[[Tables, str], Iterator[Answer]]


class Command(NamedTuple):
    """A declared command."""

    name: str
    argument: str
    summary: str
    function: Function


COMMANDS: dict[str, Command] = {}


def command(name: str, argument: str = "") -> Callable[[Function], Function]:
    """Declare a command; its docstring's first line is its help."""

    def declare(function: Function) -> Function:
        summary = (function.__doc__ or "").partition("\n")[0]
        COMMANDS[name] = Command(name, argument, summary, function)
        return function

    return declare


def run(tables: Tables, text: str) -> Iterator[Answer]:
    """Return the answers of the command *text*; raise `StatementError` if there is none."""
    name, *rest = text.strip().rstrip(";").split(None, 1)
    known = COMMANDS.get(name)
    if known is None:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else "; .help lists all"
        raise StatementError(f"unknown command: {name}{hint}")
    return known.function(tables, rest[0].strip() if rest else "")


def _texts(*names: str) -> tuple[ResultColumn, ...]:
    return tuple(ResultColumn(name, Type.TEXT) for name in names)


@command(".help")
def _help(_: Tables, __: str) -> Iterator[Answer]:
    """List the commands."""
    rows: list[ResultRow] = [
        (f"{c.name} {c.argument}".strip(), c.summary) for c in sorted(COMMANDS.values())
    ]
    yield Answer(_texts("Command", "Description"), rows)


@command(".tables")
def _tables(tables: Tables, _: str) -> Iterator[Answer]:
    """List the tables."""
    rows: list[ResultRow] = [(name, tables[name].summary()) for name in sorted(tables)]
    yield Answer(_texts("Table", "Description"), rows)


@command(".schema", "TABLE")
def _schema(tables: Tables, argument: str) -> Iterator[Answer]:
    """Show the columns and parameters of a table."""
    if not argument or len(argument.split()) > 1:
        raise StatementError("cannot parse table name; write .schema TABLE")
    table = tables.get(argument.strip('"').lower())
    if table is None:
        near = difflib.get_close_matches(argument.lower(), tables, n=3)
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        raise StatementError(f"no such table: {argument}{hint}")
    columns = [column for column in table.columns if not column.is_parameter]
    parameters = [column for column in table.columns if column.is_parameter]
    yield Answer(_texts("Column", "Type", "Description"), [_described(c) for c in columns])
    if parameters:
        yield Answer(
            _texts("Table Parameter", "Type", "Default", "Description"),
            [(*_described(c)[:2], _default(c), c.description) for c in parameters],
        )


def _described(column: Column) -> ResultRow:
    return (column.name.lstrip("_"), str(column.type), column.description)


def _default(column: Column) -> str:
    return "required" if column.is_required else str(column.default)
