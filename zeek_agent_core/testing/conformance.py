"""The conformance kit: holds any table to what the agent and its users rely on.

One line in the tests of a pack::

    def test_users_conforms(host):
        check_table(Users(host("/")))
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping

from zeek_agent_core.table import Evented, Snapshot, Table
from zeek_agent_core.testing import _declaration, _events, _pushdown, _rows
from zeek_agent_core.testing._probe import Probe
from zeek_agent_core.values import Row, SqlValue


class ConformanceError(AssertionError):
    """A table breaks rules; the message lists all of them."""

    def __init__(self, table: str, findings: Iterable[str]) -> None:
        """Say what was found in *table*."""
        self.findings = tuple(findings)
        lines = "".join(f"\n  - {finding}" for finding in self.findings)
        super().__init__(f"table {table} does not conform:{lines}")


def check_table(
    table: Table,
    *,
    parameters: Mapping[str, SqlValue] | None = None,
    stable: Collection[str] | None = None,
    others: Iterable[Table] = (),
) -> None:
    """Raise `ConformanceError` unless *table* keeps the rules; reads it a few dozen times.

    *parameters* are arguments by name; those missing come from the table's
    examples. Comparisons look at the columns *stable* only, where the others
    change from one read to the next; not given, all but the table's `volatile`
    ones are compared. *others* are tables that the examples
    join with.
    """
    found = asyncio.run(
        findings(table, parameters=parameters, stable=stable, others=others), debug=False
    )
    if found:
        raise ConformanceError(getattr(table, "name", type(table).__name__), found)


async def findings(
    table: Table,
    *,
    parameters: Mapping[str, SqlValue] | None = None,
    stable: Collection[str] | None = None,
    others: Iterable[Table] = (),
) -> list[str]:
    """Return what `check_table` finds, from within an event loop."""
    found = _declaration.findings(table)
    if found:
        return found
    events: list[Row] = []
    if isinstance(table, Evented):
        events, found = await _events.collect(table)
        found += [f"event: {finding}" for finding in _rows.value_findings(table, events)]
    async with Probe(table, parameters or {}, stable, others, events) as probe:
        found += await _rows.example_findings(probe)
        found += await _rows.parameter_findings(probe)
        if any(column.mandatory for column in table.columns):
            return found  # only the examples say which conditions give rows
        if not found:
            found += await _rows.select_findings(probe)
        if not found and isinstance(table, Snapshot):
            found += await _rows.subset_findings(probe)
            found += await _rows.abandon_findings(probe)
            found += await _pushdown.findings(probe)
    return found
