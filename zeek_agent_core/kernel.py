"""The one module that knows all parts: opens them in order, connects them, closes them."""

import asyncio
import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from zeek_agent_core import config as settings
from zeek_agent_core import identity, plugins
from zeek_agent_core.broker.policy import Policy
from zeek_agent_core.config import Config
from zeek_agent_core.config_keys import check_table_settings
from zeek_agent_core.discoveries import Discoveries
from zeek_agent_core.events import Events, Spawn
from zeek_agent_core.host import AgentFacts, Host
from zeek_agent_core.plugins import Catalog
from zeek_agent_core.schedule.parts import Execute, Installed, Positions, Prepare
from zeek_agent_core.schedule.scheduler import Scheduler
from zeek_agent_core.schedule.timetable import phase
from zeek_agent_core.sources import Sourced
from zeek_agent_core.sql.database import Database, Rows
from zeek_agent_core.table import Evented, Table
from zeek_agent_core.values import Row

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Agent:
    """An agent whose parts are open and connected."""

    config: Config
    host: Host
    catalog: Catalog
    database: Database
    events: Events
    scheduler: Scheduler
    spawn: Spawn
    """Starts a named task that ends with the agent."""
    discoveries: Discoveries
    listeners: list[Callable[[], object]] = field(default_factory=list)
    """Called when tables have come or gone."""


class Tasks:
    """All tasks of an agent; each may fail alone, all end with the agent.

    Not a `TaskGroup`, which wraps what goes wrong in its body, and gives up
    all tasks when one fails.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a named task."""
        task = asyncio.get_running_loop().create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began
        return task

    @staticmethod
    async def _guarded(work: Coroutine[Any, Any, None], name: str) -> None:
        """Leave the trace of a failure in the log."""
        try:
            await work
        except Exception:
            log.exception("task %s failed", name)

    async def aclose(self) -> None:
        """Cancel all tasks and wait for their ends."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running(config: Config, *, is_mock: bool = False) -> AsyncIterator[Agent]:
    """Open an agent; all its parts close, in reverse order, when the context ends."""
    host = Host(settings=config.tables, agent=facts(config), uses_bpf=config.linux.bpf)
    catalog = plugins.find(host, config.blocked)
    check_settings(config, catalog)
    tables = offered(catalog, is_mock=is_mock)
    evented = [table for table in tables if isinstance(table, Evented)]
    listeners: list[Callable[[], object]] = []

    async def offer(added: Iterable[Table], removed: Iterable[str]) -> None:
        await database.change(added, removed)

    async def changed() -> None:
        await scheduler.tables_changed()
        for listener in listeners:
            listener()

    discoveries = Discoveries(catalog, config.blocked, offer, changed)
    async with AsyncExitStack() as parts:
        tasks = Tasks()
        events = Events(evented, tasks.spawn)
        database = await parts.enter_async_context(
            Database(
                tables,
                limits=config.limits,
                events=events.rows,
                why_missing=discoveries.why_missing,
            )
        )
        parts.push_async_callback(tasks.aclose)
        scheduler = Scheduler(
            execute=_executor(database),
            execute_guarded=_guarded_executor(database, Policy(config.policy)),
            prepare=_preparer(database),
            events=events,
            spawn=tasks.spawn,
            tables=database.tables.keys(),
            phase=phase(host.agent.id),
        )
        parts.callback(scheduler.close)
        host.agent.tables = lambda: table_rows(catalog, database, events)
        host.agent.queries = lambda: query_rows(scheduler.installed.values())
        host.agent.declared = lambda: list(database.tables.values())
        tasks.spawn(scheduler.run(), "scheduler")
        if not is_mock:
            for discovery, provider in catalog.discoveries:
                tasks.spawn(discoveries.run(discovery, provider), f"discovery {discovery.name}")
        gc.freeze()  # what is loaded now stays; no need to look at it again and again
        gc.enable()
        yield Agent(
            config,
            host,
            catalog,
            database,
            events,
            scheduler,
            tasks.spawn,
            discoveries,
            listeners,
        )


def facts(config: Config) -> AgentFacts:
    """Return who the agent is, with an id from the configuration or the state directory."""
    state = settings.state_directory(config)
    agent_id = config.agent_id or identity.agent_id(state)
    instance = identity.new_instance_id()
    return AgentFacts(id=agent_id, instance=instance, started=time.time(), state=state)


def sections(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Return the sections of `[tables]` that the tables of *catalog* read, with all defaults."""
    known: dict[str, dict[str, Any]] = {}
    configured = [entry.table for entry in catalog.tables.values()]
    for part in (*configured, *(discovery for discovery, _ in catalog.discoveries)):
        known.setdefault(part.section(), {}).update(part.settings)
    return known


def check_settings(config: Config, catalog: Catalog) -> None:
    """Raise `ConfigError` for a setting that no table knows; other hosts' tables may be named."""
    known = sections(catalog)
    for section, given in config.tables.items():
        if section in known:
            is_own = section in settings.PACK_SECTIONS
            check_table_settings(section, given, known[section], is_own=is_own)
        elif section in settings.PACK_SECTIONS:
            message = "section [%s] has no effect: pack zeek-agent-%s is not there, or not set up"
            log.warning(message, section, section)
    for entry in catalog.tables.values():
        if isinstance(entry.table, Sourced):
            entry.table.check_settings()


def offered(catalog: Catalog, *, is_mock: bool = False) -> list[Table]:
    """Return the tables of *catalog*, in mock mode all but those about the agent replaced."""
    tables = [entry.table for entry in catalog.tables.values()]
    if not is_mock:
        return tables
    from zeek_agent_core.mock import mock  # noqa: PLC0415 - for tests only

    return [table if table.name.startswith("zeek_agent") else mock(table) for table in tables]


def _executor(database: Database) -> Execute:
    async def execute(sql: str, positions: Positions) -> Rows:
        return await database.execute(sql, positions=positions)

    return execute


def _guarded_executor(database: Database, policy: Policy) -> Execute:
    if policy.is_open:
        return _executor(database)
    limits = policy.limits(database.limits)

    async def execute(sql: str, positions: Positions) -> Rows:
        return await database.execute(sql, positions=positions, limits=limits, guard=policy.guard)

    return execute


def _preparer(database: Database) -> Prepare:
    async def prepare(sql: str) -> frozenset[str]:
        return (await database.prepare(sql)).tables

    return prepare


def table_rows(catalog: Catalog, database: Database, events: Events) -> Iterator[Row]:
    """Yield the rows of `zeek_agent_tables`; safe in the database's thread."""
    for name, table in sorted(database.tables.items()):
        entry = catalog.tables.get(name)
        stats = database.stats[name]
        row: dict[str, Any] = {
            "name": name,
            "kind": "evented" if isinstance(table, Evented) else "snapshot",
            "summary": table.summary(),
            "source": table.source,
            "runs": stats.runs,
            "rows": stats.rows,
            "duration": stats.duration,
            "errors": stats.errors,
            "last_error": stats.error,
            "warnings": table.warnings,
            "last_warning": table.last_warning,
        }
        if entry is not None:
            provider = entry.provider
            row["plugin"], row["version"] = provider.plugin, provider.version
            row["provider"] = provider.distribution
        collector = events.collectors.get(name)
        if collector is not None:
            losses = collector.losses
            row["buffered"], row["dropped"] = len(collector.buffer), sum(losses.values())
            row["losses"] = json.dumps(losses)
            row["queries"] = collector.users
            row["last_error"] = collector.error or stats.error
        yield row


def query_rows(installed: Iterable[Installed]) -> Iterator[Row]:
    """Yield the rows of `zeek_agent_queries`; safe in the database's thread."""
    for entry in list(installed):
        query = entry.query
        state = "running" if entry.is_running else "scheduled"
        yield {
            "id": query.id,
            "asker": query.asker,
            "sql": query.sql,
            "subscription": query.subscription,
            "interval": query.interval,
            "tables": entry.tables,
            "state": "waiting" if entry.is_waiting else state,
            "runs": entry.runs,
            "rows": entry.rows,
            "errors": entry.errors,
            "last_error": entry.last_error,
            "overruns": entry.overruns,
            "cpu": entry.cpu,
        }
