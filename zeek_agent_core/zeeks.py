"""Joins an agent to the Zeeks of its configuration."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeek_agent_core.broker.actions import Action
from zeek_agent_core.broker.audit import Auditor
from zeek_agent_core.broker.policy import Policy
from zeek_agent_core.broker.record import Record
from zeek_agent_core.config import state_directory
from zeek_agent_core.kernel import Agent
from zeek_agent_core.query import Query

if TYPE_CHECKING:
    from zeek_agent_core.broker.joining import Facts
    from zeek_agent_core.broker.link import Permit

STATEMENT = "SELECT * FROM zeek_agent"


@asynccontextmanager
async def joined(agent: Agent, broke: Callable[[], None] | None = None) -> AsyncIterator[None]:
    """Stay joined to the Zeeks of the configuration; say goodbye in the end.

    *broke* is called each time a connection is lost that was up.
    """
    config = agent.config
    if not config.zeek.destination:
        yield
        return
    from zeek_agent_core.broker import joining  # noqa: PLC0415 - takes 30 ms

    facts = agent.host.agent
    facts.transport = joining.VERSION
    with ExitStack() as held:
        zeeks = joining.Joining(
            config.zeek,
            facts.id,
            agent.host.platform,
            facts=_facts(agent),
            queries=agent.scheduler,
            permit=_permit(agent),
            audit=_audit(agent, held),
            broke=broke,
        )
        facts.connections = lambda: [link.row() for link in zeeks.links]
        agent.listeners.append(zeeks.facts_changed)
        agent.spawn(zeeks.run(), "joining Zeek")
        try:
            yield
        finally:
            await zeeks.close()


def _facts(agent: Agent) -> "Facts":
    async def row() -> dict[str, Any]:
        found = await agent.database.execute(STATEMENT)
        return dict(zip((column.name for column in found.columns), found.rows[0], strict=True))

    return row


def _permit(agent: Agent) -> "Permit | None":
    """Return the function that says why the policy refuses a query."""
    policy = Policy(agent.config.policy)
    if policy.is_open:
        return None

    async def permit(query: Query) -> str | None:
        offered = agent.database.tables.keys()
        if not query.requires_tables <= offered or query.if_missing_tables & offered:
            tables: frozenset[str] = frozenset()  # it waits; its tables are checked as it runs
        else:
            tables = (await agent.database.prepare(query.sql)).tables
        return policy.check(tables, query.interval).refusal

    return permit


def _audit(agent: Agent, held: ExitStack) -> Callable[[str, Iterable[Action]], None] | None:
    """Return the function that records orders, by destination."""
    config = agent.config.audit
    if config.level == "off":
        return None
    path = Path(config.path) if config.path else state_directory(agent.config) / "audit.log"
    record = held.enter_context(Record(path))

    def audit(name: str, orders: Iterable[Action]) -> None:
        record.write(Auditor(config.level, name).lines(orders, time.time_ns()))

    return audit
