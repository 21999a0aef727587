"""Pure: SQLite's query plan in words, above all what each table is told of the conditions."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from zeek_agent_core.repl.schema import KnownColumn, KnownTable, Schema

SCAN = re.compile(r"SCAN (?P<name>\S+) VIRTUAL TABLE INDEX \d+:(?P<plan>\[.*\])(?P<rest>.*)\Z")

_WORDS = (
    (re.compile(r"USE TEMP B-TREE FOR (?:LAST TERM OF )?ORDER BY"), "sort the rows (ORDER BY)"),
    (re.compile(r"USE TEMP B-TREE FOR GROUP BY"), "sort the rows to group them (GROUP BY)"),
    (re.compile(r"USE TEMP B-TREE FOR DISTINCT"), "keep each row once (DISTINCT)"),
    (re.compile(r"USE TEMP B-TREE FOR (.*)"), r"keep rows in memory for \1"),
    (re.compile(r"CORRELATED (\w+) SUBQUERY (\d+)"), r"for each row, run subquery \2 (\1)"),
    (re.compile(r"(\w+) SUBQUERY (\d+)"), r"run subquery \2 (\1)"),
    (re.compile(r"MATERIALIZE (.*)"), r"compute \1 once and keep it in memory"),
    (re.compile(r"CO-ROUTINE (.*)"), r"compute \1 row by row"),
    (re.compile(r"COMPOUND QUERY"), "combine several queries"),
    (re.compile(r"LEFT-MOST SUBQUERY"), "the first of them"),
    (re.compile(r"(UNION|UNION ALL|EXCEPT|INTERSECT)( USING TEMP B-TREE)?"), r"then \1"),
    (re.compile(r"SCAN CONSTANT ROW"), "make a single row"),
    (re.compile(r"SCAN (\d+) CONSTANT ROWS"), r"make \1 rows"),
    (
        re.compile(r"SEARCH (\S+) USING AUTOMATIC.*INDEX \((.*)\).*"),
        r"look up \1 by \2, in an index made for this query",
    ),
    (re.compile(r"SCAN (\S+)"), r"read all of \1"),
)  # fmt: skip


class Step(NamedTuple):
    """One row of `EXPLAIN QUERY PLAN`."""

    id: int
    parent: int
    detail: str


def in_words(steps: Iterable[Step], schema: Schema, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each step, indented as they depend on each other.

    *names* tell the table of each alias that the statement uses.
    """
    depths = {0: -1}
    for step in steps:
        depth = depths[step.id] = depths.get(step.parent, -1) + 1
        first, *more = _lines(step.detail, schema, names)
        yield "  " * depth + first
        yield from ("  " * depth + line for line in more)


def _lines(detail: str, schema: Schema, names: Mapping[str, str]) -> list[str]:
    match = SCAN.match(detail)
    if match is None:
        for pattern, words in _WORDS:
            if pattern.fullmatch(detail):
                return [pattern.sub(words, detail)]
        return [detail]
    name = match["name"]
    table = schema.tables.get(names.get(name.lower(), name.lower()))
    try:
        used, terms = json.loads(match["plan"])
        return _scan(name, table, used, terms)
    except (ValueError, TypeError, IndexError):
        return [detail]


def _scan(
    name: str, table: KnownTable | None, used: Sequence[int], terms: Sequence[Sequence[object]]
) -> list[str]:
    if table is None:
        return [f"read {name}"]
    called = table.name if name.lower() == table.name else f"{table.name} as {name}"
    given = [_term(table.columns, *term) for term in terms]
    head = f"read {called} where {' and '.join(given)}" if given else f"read all rows of {called}"
    shown = [table.columns[place].name for place in used if place < len(table.columns)]
    columns = ", ".join(column for column in shown if not column.startswith("_"))
    lines = [head, f"    columns it is asked for: {columns or 'none, only how many rows'}"]
    told = {table.columns[int(str(term[0]))].name for term in terms}
    possible = [
        f"{c.name} ({c.pushdown})" for c in table.columns if c.pushdown and c.name not in told
    ]
    if possible:
        lines.append(f"    conditions that would save it work: {', '.join(possible)}")
    return lines


def _term(
    columns: Sequence[KnownColumn], position: object, operator: object, is_list: object
) -> str:
    column = columns[int(str(position))]
    name = column.name.lstrip("_") if column.is_parameter else column.name
    if is_list:
        return f"{name} is one of a list"
    words = {"like": "LIKE ...", "glob": "GLOB ..."}.get(str(operator), f"{operator} ...")
    return f"{name} {words}"
