"""What `--check-config` and `-T` do: say whether the agent is fit to run here."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from zeek_agent_core import kernel
from zeek_agent_core.broker import joining
from zeek_agent_core.broker.policy import Policy
from zeek_agent_core.config import PACK_SECTIONS, Config
from zeek_agent_core.config_keys import unknown_variables
from zeek_agent_core.errors import QueryError, TableError
from zeek_agent_core.local.pack import configured_pack
from zeek_agent_core.sources import Sourced
from zeek_agent_core.sql.database import Database

ATTEMPTS = 3
"""How often a table may be disturbed by what happens on the host while it is checked."""


async def configuration(config: Config) -> int:
    """Print what the configuration amounts to; return 1 if one of its queries cannot run."""
    print(f"configuration: {config.path or 'defaults, no file'}")
    status = 0
    if config.log.path and not Path(config.log.path).parent.is_dir():
        print(f"[log] path: directory {Path(config.log.path).parent} does not exist; it is made")
    for name, hint in unknown_variables(os.environ):
        print(f"environment: {name} sets nothing{hint}")
    entries = configured_pack(config)
    for destination in joining.check(config.zeek):
        print(f"[zeek] destination: {destination}")
    async with kernel.running(config) as agent:
        for failure in agent.catalog.failures:
            print(failure)
            status = 1
        await agent.discoveries.settled()
        available = set(agent.database.tables)
        for name in sorted(set(config.tables) - kernel.sections(agent.catalog).keys()):
            shown = name if name in PACK_SECTIONS else f"tables.{name}"
            print(f"[{shown}]: there is no such table here")
            status = 1
        for entry in entries:
            query = entry.query
            if not query.requires_tables <= available or query.if_missing_tables & available:
                print(f"query {query.id}: waits for the tables it requires")
                continue
            try:
                await agent.database.prepare(query.sql)
            except QueryError as error:
                print(f"query {query.id}: {error}")
                status = 1
        print(f"{len(available)} tables, {len(entries)} queries in local mode")
    print("the configuration can be used" if status == 0 else "the configuration has errors")
    return status


async def policy(config: Config, statements: Sequence[str]) -> int:
    """Print what Zeek would get for each of *statements*; return 1 if one would be refused."""
    rules = Policy(config.policy)
    status = 0
    async with kernel.running(config) as agent:
        await agent.discoveries.settled()
        for sql in statements:
            refusal, shown = await _judged(agent.database, rules, sql)
            print(f"refused: {refusal}" if refusal else f"allowed: {shown}")
            status |= refusal is not None
    return status


async def _judged(database: Database, rules: Policy, sql: str) -> tuple[str | None, str]:
    """Return why *sql* is refused, or what it would return; it is run to know."""
    try:
        facts = await database.prepare(sql)
        decision = rules.check(facts.tables)
        if decision.refusal:
            return decision.refusal, ""
        limits = rules.limits(database.limits)
        result = await database.execute(sql, limits=limits, guard=rules.guard)
    except QueryError as error:
        return str(error), ""
    return None, "; ".join((f"{len(result.rows)} rows now", *decision.notes))


async def has_source(table: Sourced) -> bool:
    """Return whether any source of an evented table can work on this host, as configured."""
    for kind in table.sources:
        with suppress(OSError, TableError):
            await asyncio.to_thread(kind(table).check)
            return True
    return False


async def tables(config: Config) -> int:
    """Check every table on this host with the conformance kit; return 1 if one fails."""
    from zeek_agent_core.testing import conformance  # noqa: PLC0415 - for -T only

    status = 0
    async with kernel.running(config) as agent:
        tables = dict(sorted(agent.database.tables.items()))  # none that is yet to be discovered
        for name, table in tables.items():
            if isinstance(table, Sourced) and not await has_source(table):
                print(f"{name}: not checked, no source of it works here")
                continue
            others = [other for other in tables.values() if other is not table]
            for _ in range(ATTEMPTS):
                findings = await conformance.findings(table, others=others)
                if not findings:
                    break
            print(f"{name}: {'passed' if not findings else 'FAILED'}")
            for finding in findings:
                print(f"    {finding}")
                status = 1
    return status
