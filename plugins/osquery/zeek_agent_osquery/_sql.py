"""Pure: what a query wants of a table, as the statement that osquery is sent."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from zeek_agent_core.api import Pattern, Where

WILDCARDS = {"LIKE": "%", "GLOB": "*"}


def select(
    table: str, columns: Mapping[str, str], where: Where, needed: Collection[str] = ()
) -> str | None:
    """Return the statement for what *where* wants of osquery's *table*.

    *columns* has osquery's name for each of ours; of those *needed* osquery has
    to see the conditions bare. None: no row can match.
    """
    if any(not values for values in where.allowed.values()):
        return None
    wanted = [quoted(columns[name]) for name in columns if name in where.columns]
    listed = ", ".join(dict.fromkeys(wanted)) or "1 AS one"
    conditions = [
        condition
        for name, target in columns.items()
        for condition in _conditions(name, quoted(target), where, has_null=name not in needed)
    ]
    text = f"SELECT {listed} FROM {quoted(table)}"  # noqa: S608 - all names are quoted
    return f"{text} WHERE {' AND '.join(conditions)}" if conditions else text


def is_given(name: str, where: Where) -> bool:
    """Return whether *where* says what column *name* is, by `=`, `IN` or `LIKE`."""
    allowed = where.allowed.get(name)
    if allowed is not None:
        return _listed(allowed) is not None
    patterns = where.patterns.get(name, ())
    return any(p.operator == "LIKE" and literal(p.text) is not None for p in patterns)


def quoted(name: str) -> str:
    """Return *name* as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str | None:
    """Return *value* as SQL; None where there is no way to write it."""
    if isinstance(value, str):
        return None if "\0" in value else "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return repr(int(value) if isinstance(value, bool) else value)


def _conditions(name: str, target: str, where: Where, *, has_null: bool) -> Iterator[str]:
    """Yield the conditions on column *name*; *has_null*: its empty texts may be NULL in osquery."""
    allowed = where.allowed.get(name)
    if allowed is not None:
        listed = _listed(allowed)
        if listed is not None:
            yield _or_null(target, listed, has_empty=has_null and "" in allowed)
    low, high = literal_of(where.lows, name), literal_of(where.highs, name)
    is_number = isinstance(where.highs.get(name, ""), int | float)
    has_empty = has_null and low in (None, "''") and not is_number
    if low is not None:
        yield _or_null(target, f">= {low}", has_empty=has_null and low == "''")
    if high is not None:
        yield _or_null(target, f"<= {high}", has_empty=has_empty)
    for pattern in where.patterns.get(name, ()):
        shown = literal(pattern.text)
        if shown is not None:
            condition = f"{pattern.operator} {shown}"
            has_empty = has_null and _matches_empty(pattern)
            yield _or_null(target, condition, has_empty=has_empty)


def literal_of(bounds: Mapping[str, Any], name: str) -> str | None:
    """Return the bound of *name* as SQL; None where there is none that can be written."""
    return literal(bounds[name]) if name in bounds else None


def _listed(values: Collection[Any]) -> str | None:
    """Return the right side of a condition for one or several *values*."""
    shown = sorted(map(str, map(literal, values))) if None not in map(literal, values) else None
    if shown is None:
        return None
    return f"= {shown[0]}" if len(shown) == 1 else f"IN ({', '.join(shown)})"


def _matches_empty(pattern: Pattern) -> bool:
    return not pattern.text.strip(WILDCARDS[pattern.operator])


def _or_null(target: str, condition: str, *, has_empty: bool) -> str:
    """Return the *condition* on *target*, extended where it holds for empty text.

    Osquery's answers have empty text for NULL, which in osquery fulfils nothing.
    """
    text = f"{target} {condition}"
    return f"({text} OR {target} IS NULL)" if has_empty else text
