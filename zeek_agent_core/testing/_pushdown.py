"""A query whose conditions reach the table gives the rows of one whose do not."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from zeek_agent_core.errors import QueryError
from zeek_agent_core.table import EQ, NONE, PREFIX, RANGE, Column
from zeek_agent_core.testing._probe import Probe, differ, literal, quoted
from zeek_agent_core.values import SqlValue, sql_type

Condition = Callable[[str], str]
"""Given the name of a column, or an expression that hides it, a condition."""

SAMPLES = 3
ABSENT: Sequence[SqlValue] = (-7, "no such value", None)


async def findings(probe: Probe) -> list[str]:
    """Return the conditions that give other rows when the table hears of them."""
    try:
        rows = await probe.execute(probe.select(probe.columns))
    except QueryError as error:
        return [f"reading all of it fails: {error}"]
    found = []
    pushed = [column for column in probe.table.columns if column.pushdown is not NONE]
    for column in pushed:
        position = probe.columns.index(column.name)
        for condition in _conditions(column, _samples([row[position] for row in rows])):
            found += await _compare(probe, column.name, condition)
    for first, second in pairwise(pushed):
        for row in rows[:1]:
            values = [row[probe.columns.index(column.name)] for column in (first, second)]
            found += await _compare_pair(probe, first, second, values)
    return found


async def _compare(probe: Probe, column: str, condition: Condition) -> list[str]:
    told = condition(quoted(column))
    return await _compare_texts(probe, told, condition("+" + quoted(column)))


async def _compare_pair(
    probe: Probe, first: Column, second: Column, values: Sequence[SqlValue]
) -> list[str]:
    """Compare both columns at once, joined by ``AND`` and by ``OR``."""
    found = []
    for word in ("AND", "OR"):
        told, hidden = (
            f" {word} ".join(
                f"{sign}{quoted(column.name)} = {literal(value)}"
                for column, value in zip((first, second), values, strict=True)
            )
            for sign in ("", "+")
        )
        found += await _compare_texts(probe, told, hidden)
    return found


async def _compare_texts(probe: Probe, told: str, hidden: str) -> list[str]:
    """Return how the rows differ; a unary plus hides a condition from the table."""
    outcome = await differ(
        partial(probe.bag, probe.stable, hidden), partial(probe.bag, probe.stable, told)
    )
    return (
        [f"WHERE {told} gives other rows with pushdown than without: {outcome}"] if outcome else []
    )


def _samples(values: Sequence[SqlValue]) -> list[SqlValue]:
    """Return a few distinct values, from the whole range."""
    distinct = sorted(set(values) - {None}, key=repr)
    step = max(len(distinct) // SAMPLES, 1)
    return distinct[::step][:SAMPLES]


def _conditions(column: Column, values: Sequence[SqlValue]) -> Iterator[Condition]:
    is_text = sql_type(column.type) == "TEXT"
    for value in (*values, *ABSENT):
        operators = ["="] if column.pushdown & EQ else []
        if column.pushdown & RANGE and not (isinstance(value, int) and is_text):
            operators += ["<", "<=", ">", ">="]  # the plus would change what is compared
        for operator in operators:
            yield _matches(operator, literal(value))
        if column.pushdown & PREFIX and isinstance(value, str):
            yield from _patterns(value)
    listed = ", ".join(map(literal, (*values, *ABSENT)))
    if column.pushdown & EQ:
        yield _matches("IN", f"({listed})")
    if column.pushdown & RANGE and values:
        for low, high in ((values[0], values[-1]), (values[-1], values[0])):
            yield _matches("BETWEEN", f"{literal(low)} AND {literal(high)}")


def _patterns(value: str) -> Iterator[Condition]:
    """Yield patterns that the text *value* matches, whole and by its beginning."""
    for length in sorted({1, len(value) // 2 + 1, len(value)}):
        head = value[:length]
        liked = head.translate({ord("%"): "_"})
        globbed = head.translate({ord(letter): "?" for letter in "*?["})
        tail = "%" if length < len(value) else ""
        for pattern in (f"{liked}%", f"{liked.swapcase()}%", f"{liked}{tail}"):
            yield _matches("LIKE", literal(pattern))
        yield _matches("GLOB", literal(f"{globbed}*"))


def _matches(operator: str, operand: str) -> Condition:
    return lambda column: f"{column} {operator} {operand}"
