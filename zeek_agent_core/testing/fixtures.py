"""A pytest plugin for authors of tables: the fixtures `host`, `tables` and `sql`.

It is found by pytest itself once the core is installed. Nothing of the agent
is imported before a test asks for a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from zeek_agent_core.host import Host
    from zeek_agent_core.table import Table
    from zeek_agent_core.values import Row


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Callable[..., Host]:
    """Return a maker of hosts: ``host(root, **settings)``.

    A relative *root* is looked for beside the test's file; without one it is
    the running machine.
    """
    from zeek_agent_core.host import Host  # noqa: PLC0415 - see the module's docstring

    def make(root: str | Path = "/", **settings: Any) -> Host:
        return Host(request.path.parent / root, settings)

    return make


@pytest.fixture
def tables() -> Sequence[Table]:
    """Return the tables that `sql` offers; override it in the tests of a table."""
    return ()


@pytest.fixture
def sql(request: pytest.FixtureRequest) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a function that runs a statement and returns its rows.

    ``sql(statement, *tables, events={})`` reads the given tables, or those of
    the fixture `tables`; *events* are the rows that evented tables hold.
    """
    import asyncio  # noqa: PLC0415 - see the module's docstring

    from zeek_agent_core.sql.database import Database  # noqa: PLC0415

    def run(
        statement: str, *tables: Table, events: Mapping[str, Sequence[Row]] | None = None
    ) -> list[tuple[Any, ...]]:
        held = events or {}

        def rows(table: str, after: int, upto: int | None) -> Iterator[Row]:
            return iter(held.get(table, ())[after:upto])

        async def execute() -> list[tuple[Any, ...]]:
            offered = tables or request.getfixturevalue("tables")
            async with Database(offered, events=rows) as database:
                return (await database.execute(statement)).rows

        return asyncio.run(execute(), debug=False)

    return run
