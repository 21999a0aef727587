"""Pure: a plan and the values SQLite gives for it, to what a table is told."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from zeek_agent_core.errors import ParameterError
from zeek_agent_core.sql.run import Run
from zeek_agent_core.table import Column, Pattern, Prefix, Table, Where
from zeek_agent_core.values import PLAIN, SqlValue, sql_type, to_sql

LAST_BIT = 63
"""SQLite tells of the first 63 columns one by one, of all later ones together."""


class Term(NamedTuple):
    """One condition that SQLite hands to the table."""

    column: int
    operator: str
    is_list: bool


@functools.lru_cache(maxsize=1024)
def _plan(text: str) -> tuple[tuple[int, ...], tuple[Term, ...]]:
    used, terms = json.loads(text)
    return tuple(used), tuple(Term(*term) for term in terms)


class Layout:
    """Column facts of a table, by position, looked up once."""

    def __init__(self, table: Table) -> None:
        """Read the declaration of *table*."""
        again = (column for column in table.columns for _ in column.aliases)
        self.columns = (*table.columns, *again)
        """The columns as SQLite counts them: behind all come those that have aliases."""
        self.names = tuple(column.name for column in self.columns)
        self.known = frozenset(self.names)
        self.fields: tuple[tuple[str, Any], ...] = tuple(
            (column.name, PLAIN.get(column.type)) for column in self.columns
        )
        self.defaults = {c.name: c.default for c in table.columns if c.is_parameter}

    def where(self, text: str, arguments: Sequence[Any], run: Run) -> Where:
        """Return what the query wants, from the plan and the values SQLite gives."""
        used, terms = _plan(text)
        parameters: dict[str, Any] = dict(self.defaults)
        allowed: dict[str, Any] = {}
        lows: dict[str, Any] = {}
        highs: dict[str, Any] = {}
        prefixes: dict[str, Prefix] = {}
        patterns: dict[str, tuple[Pattern, ...]] = {}
        for term, argument in zip(terms, arguments, strict=True):
            column = self.columns[term.column]
            if column.is_parameter:
                parameters[column.name] = _parameter(column, argument)
            elif term.operator == "=":
                _narrow(allowed, column, argument if term.is_list else (argument,))
            elif term.operator in (">", ">="):
                _bound(lows, column, argument, max)
            elif term.operator in ("<", "<="):
                _bound(highs, column, argument, min)
            elif isinstance(argument, str):
                pattern = Pattern(term.operator.upper(), argument)
                patterns[column.name] = (*patterns.get(column.name, ()), pattern)
                _prefix(prefixes, column, argument, ignore_case=term.operator == "like")
        names = frozenset(self.names[at] for at in used if at < len(self.names))
        if LAST_BIT in used:
            names |= frozenset(self.names[LAST_BIT:])
        return Where(
            names,
            parameters,
            allowed,
            lows,
            highs,
            prefixes,
            patterns,
            kept=run.kept,
            may_wait=run.may_wait,
        )


def _parameter(column: Column, value: SqlValue) -> SqlValue:
    """Return the argument of a parameter, or refuse its type."""
    plain = PLAIN.get(column.type)
    if isinstance(value, bytes) and plain is str:
        return to_sql(column.type, value)
    if isinstance(value, int) and plain in (bool, float):
        return to_sql(column.type, value)
    if value is None or (plain is not None and not isinstance(value, plain)):
        given = "NULL" if value is None else type(value).__name__
        raise ParameterError(f"table parameter '{column.name}' takes {column.type}, not {given}")
    return value


def _comparable(column: Column, value: SqlValue) -> SqlValue:
    """Return *value* as the column would hold it; None if no such value can be equal."""
    affinity = sql_type(column.type)
    if affinity in ("INTEGER", "REAL") and isinstance(value, str | float):
        try:
            number = float(value) if isinstance(value, float) else _number(value)
        except ValueError:
            return None
        return int(number) if isinstance(number, float) and number.is_integer() else number
    return value


def _number(value: str) -> int | float:
    try:
        return int(value)
    except ValueError:
        return float(value)


def _narrow(allowed: dict[str, Any], column: Column, values: Any) -> None:
    if sql_type(column.type) == "TEXT" and any(isinstance(v, int | float) for v in values):
        return  # whether '05' equals 5 depends on where the 5 comes from: left to SQLite
    wanted = {_comparable(column, value) for value in values} - {None}
    known = allowed.get(column.name)
    allowed[column.name] = frozenset(wanted if known is None else wanted & known)


_COMPARABLE: Mapping[str, tuple[type, ...]] = {
    "INTEGER": (int, float),
    "REAL": (int, float),
    "TEXT": (str,),
    "BLOB": (bytes,),
}


def _bound(
    bounds: dict[str, Any], column: Column, value: SqlValue, tighter: Callable[..., Any]
) -> None:
    """Keep a limit of the kind of the column; others are left to SQLite."""
    if isinstance(value, _COMPARABLE[sql_type(column.type)]):
        known = bounds.get(column.name)
        bounds[column.name] = value if known is None else tighter(known, value)


def _prefix(
    prefixes: dict[str, Prefix], column: Column, pattern: str, *, ignore_case: bool
) -> None:
    special = "%_" if ignore_case else "*?["
    end = next((i for i, letter in enumerate(pattern) if letter in special), len(pattern))
    if end:
        prefixes[column.name] = Prefix(pattern[:end], ignore_case)
