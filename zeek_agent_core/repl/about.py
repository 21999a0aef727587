"""Commands that tell about the agent; each asks by SQL."""

from zeek_agent_core.errors import StatementError
from zeek_agent_core.query import ResultRow
from zeek_agent_core.repl import chart, plan, render
from zeek_agent_core.repl.commands import command, nearest, texts
from zeek_agent_core.repl.console import SPACED, Console
from zeek_agent_core.repl.schema import TABLES, KnownColumn, rows
from zeek_agent_core.repl.sources import named_tables

PLUGINS = (
    "SELECT plugin, provider, version, group_concat(name, ', ') AS tables "
    "FROM (SELECT * FROM zeek_agent_tables ORDER BY name) "
    "GROUP BY provider, plugin, version ORDER BY provider, plugin"
)
CONNECTIONS = "SELECT * FROM zeek_agent_connections"
STATUS = {
    "The agent": "SELECT hostname, id, os_name, uptime, broker AS zeek_transport FROM zeek_agent",
    "Connections": CONNECTIONS,
    "Active queries": "SELECT asker, subscription, interval, state, runs, rows, errors, cpu, sql "
    "FROM zeek_agent_queries ORDER BY asker, id",
    "Evented tables": "SELECT name, source, queries, buffered, dropped FROM zeek_agent_tables "
    "WHERE kind = 'evented' ORDER BY name",
    "Tables with errors or warnings": "SELECT name, errors, last_error, warnings, last_warning "
    "FROM zeek_agent_tables WHERE errors > 0 OR warnings > 0 ORDER BY name",
}


@command(".tables")
async def _tables(console: Console, _: str) -> None:
    """List the tables."""
    await console.show_list(texts("Table", "Description"), await rows(console.backend, TABLES))


@command(".schema", "TABLE")
async def _schema(console: Console, argument: str) -> None:
    """Show the columns and parameters of a table."""
    if len(argument.split()) > 1:
        raise StatementError("cannot parse table name; write .schema TABLE")
    tables = (await console.known()).tables
    table = tables.get(argument.strip('"').lower())
    if table is None:
        hint = nearest(argument.lower(), tables, most=3)
        raise StatementError(f"no such table: {argument}{hint}")
    described = [(c.name, c.type, c.description) for c in table.visible]
    lines = list(console.listed(texts("Column", "Type", "Description"), described))
    if table.parameters:
        lines += [""] if console.settings.mode in SPACED else []
        lines += console.listed(
            texts("Table Parameter", "Type", "Default", "Description"),
            [_parameter(column) for column in table.parameters],
        )
    await console.show_lines(lines)


def _parameter(column: KnownColumn) -> ResultRow:
    default = "required" if column.default is None else column.default
    return (column.name.lstrip("_"), column.type, default, column.description)


@command(".explain", "SQL")
async def _explain(console: Console, argument: str) -> None:
    """Tell in words how a statement runs, and what each table is told of its conditions."""
    found = await rows(console.backend, f"EXPLAIN QUERY PLAN {argument}")
    steps = [plan.Step(int(str(row[0])), int(str(row[1])), str(row[-1])) for row in found]
    names = {source.alias: source.table for source in named_tables(argument)}
    await console.show_lines(plan.in_words(steps, await console.known(), names))


@command(".status")
async def _status(console: Console, _: str) -> None:
    """Show the agent, its connections and active queries, fill and losses of event buffers."""
    tables = (await console.known()).tables
    settings, lines = console.settings, list[str]()
    for title, sql in STATUS.items():
        if sql == CONNECTIONS and "zeek_agent_connections" not in tables:
            continue
        async with console.backend.query(sql) as stream:
            columns = stream.columns
            found = [row async for batch in stream for row in batch]
        if settings.mode in SPACED:
            lines += [""] if lines else []
            lines.append(title if len(found) == 1 else f"{title}: {len(found) or 'none'}")
        if found:
            # Of many rows in lines one would see too few at once.
            is_cut = settings.mode == "auto" and len(found) > 1
            layout = render.listing if is_cut else render.MODES[settings.mode]
            lines += layout(columns, found, console.style())
    await console.show_lines(lines)


@command(".plugins")
async def _plugins(console: Console, _: str) -> None:
    """List the plugins and the tables they provide."""
    await console.query(PLUGINS)


@command(".chart", "[bar|line|spark] SQL")
async def _chart(console: Console, argument: str) -> None:
    """Draw the result of a statement: a bar for each label, a line, or a sparkline.

    The statement has two columns, a label and a number; a sparkline needs only the number.
    """
    first, _, rest = argument.partition(" ")
    kind, sql = (first, rest) if first in chart.KINDS else ("bar", argument)
    if not sql.strip():
        raise StatementError("write .chart [bar|line|spark] SQL")
    async with console.backend.query(sql) as stream:
        columns = stream.columns
        found = [row async for batch in stream for row in batch]
    style = console.style()
    lines = list(chart.KINDS[kind](columns, found, style, style.screen or 80))
    await console.show_lines(lines)
