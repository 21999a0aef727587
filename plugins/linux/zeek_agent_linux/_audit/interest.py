"""Pure: which system calls a table wants, and the audit rules for them."""

from collections.abc import Collection, Mapping
from itertools import product
from typing import NamedTuple

from zeek_agent_core.api import Where
from zeek_agent_linux._audit.rules import (
    DIR,
    EQUAL,
    EUID,
    NOT_EQUAL,
    PID,
    UID,
    Rule,
    Term,
    rules_for,
)

MOST_VALUES = 8
"""Conditions with more values are left to SQLite: each takes rules of its own."""
FIELDS = {"pid": PID, "uid": UID, "euid": EUID}
"""Fields of rules by the columns that have them."""


class Interest(NamedTuple):
    """System calls, and conditions of which one must hold."""

    calls: frozenset[str]
    alternatives: tuple[tuple[Term, ...], ...] = ((),)

    def rules(self, arches: Collection[str]) -> frozenset[Rule]:
        """Return the audit rules on a host that runs programs of *arches*."""
        return rules_for(arches, self.calls, self.alternatives)


def interest_in(
    calls: Collection[str],
    wanted: Where,
    *,
    but_pid: int | None = None,
    directories: Collection[str] = (),
    fields: Mapping[str, int] = FIELDS,
) -> Interest:
    """Return the interest in *calls* of queries that want *wanted* of a table.

    Calls of the process *but_pid* are left out, and those on files outside of
    *directories*, if there are any. *fields* are those of the table's columns.
    """
    names = wanted.values("syscall")
    if names is not None:
        named = {"creat" if name == "create" else name for name in names}
        calls = frozenset(calls) & named
    groups: list[list[Term]] = [_narrowest(wanted, fields)]
    if directories:
        groups.append([(DIR, EQUAL, path.rstrip("/") or "/") for path in directories])
    if but_pid is not None:
        groups.append([(PID, NOT_EQUAL, but_pid)])
    given = [group for group in groups if group]
    return Interest(frozenset(calls), tuple(product(*given)))


def _narrowest(wanted: Where, fields: Mapping[str, int]) -> list[Term]:
    """Return the condition on who makes the call that has the fewest values; one of them holds."""
    best: list[Term] = []
    for column, field in fields.items():
        values = wanted.values(column)
        if values is None or not 0 < len(values) <= MOST_VALUES:
            continue
        if all(isinstance(value, int) and 0 <= value < 1 << 32 for value in values):
            terms: list[Term] = [(field, EQUAL, value) for value in sorted(values)]
            best = terms if not best or len(terms) < len(best) else best
    return best
