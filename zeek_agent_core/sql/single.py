"""Which statements want the same of one table in every run.

What such a statement wanted in one run is all it will ever want, so an evented
table need not collect the rest. When in doubt, a statement is not among them.
"""

import re

import apsw

from zeek_agent_core.sql.run import Run

MOST = 256
"""Statements that are remembered."""

_NESTED = re.compile(r"\b(?:with|values)\b", re.IGNORECASE)
_SELECT = re.compile(r"\bselect\b", re.IGNORECASE)

DETERMINISTIC = 0x800
"""`SQLITE_DETERMINISTIC`; https://www.sqlite.org/c3ref/c_deterministic.html"""
DATES = re.compile(r"date|time|datetime|julianday|strftime|unixepoch|timediff|current_.*")
"""Functions that SQLite takes for constant within a statement, yet know the present moment."""


def constant_functions(connection: apsw.Connection) -> frozenset[str]:
    """Return the names of functions whose value depends on their arguments alone."""
    names, varying = set(), set()
    for name, flags in connection.execute("SELECT name, flags FROM pragma_function_list"):
        names.add(name)
        if not flags & DETERMINISTIC or DATES.fullmatch(name):
            varying.add(name)
    return frozenset(names - varying)


class Singles:
    """Knows for statements whether they are such; used by the connection's thread."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Explain statements on *connection*, which has no authorizer yet."""
        self._connection = connection
        self._constant = constant_functions(connection)
        self._known: dict[str, bool] = {}

    def is_single(self, run: Run) -> bool:
        """Return whether the statement of *run*, just compiled, scans one table once."""
        known = self._known.get(run.sql)
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[run.sql] = self._judged(run)
        return known

    def _judged(self, run: Run) -> bool:
        if len(run.tables) != 1 or run.is_recursive or not run.functions <= self._constant:
            return False
        if len(_SELECT.findall(run.sql)) != 1 or _NESTED.search(run.sql):
            return False
        steps = self._connection.execute(f"EXPLAIN {run.sql}", can_cache=False)
        return [step[1] for step in steps].count("VFilter") == 1
