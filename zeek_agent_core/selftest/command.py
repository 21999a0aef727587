"""Runs the self-test: every table once, then deeds that must appear in them."""

import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from zeek_agent_core import __version__, kernel, logs, plugins
from zeek_agent_core import config as settings
from zeek_agent_core.arguments import Parser
from zeek_agent_core.config import Config, LogConfig
from zeek_agent_core.errors import QueryError
from zeek_agent_core.host import Host
from zeek_agent_core.kernel import Agent
from zeek_agent_core.query import Query, Result, Subscription
from zeek_agent_core.selftest.deeds import Deed, deeds
from zeek_agent_core.selftest.report import Finding, Outcome, has_failed, render
from zeek_agent_core.sources import Sourced
from zeek_agent_core.table import Evented, Table

SETTLE_SECONDS = 6.0
"""How long evented tables may take to find their sources."""
APPEAR_SECONDS = 15.0
"""How long a deed may take to appear."""
ROWS = 100_000


class Watcher:
    """Keeps queries going and remembers, for each, its rows as mappings."""

    def __init__(self) -> None:
        """Begin with none."""
        self._predicates: dict[str, Callable[[Mapping[str, Any]], bool]] = {}
        self.rows: dict[str, int] = {}
        """How many rows each query has given."""
        self.seen: dict[str, asyncio.Event] = {}
        self.errors: dict[str, str] = {}

    def expect(self, query_id: str, is_seen: Callable[[Mapping[str, Any]], bool]) -> asyncio.Event:
        """Return what is set once a query gives a row that *is_seen* takes."""
        self._predicates[query_id] = is_seen
        self.seen[query_id] = asyncio.Event()
        return self.seen[query_id]

    def result(self, query: Query, result: Result) -> None:
        """Look through the rows of one run."""
        names = [column.name for column in result.columns]
        self.rows[query.id] = self.rows.get(query.id, 0) + len(result)
        is_seen = self._predicates.get(query.id)
        if is_seen is None:
            return
        for _, row in result.changes():
            if is_seen(dict(zip(names, row, strict=True))):
                self.seen[query.id].set()
                return

    def failed(self, query: Query, error: QueryError) -> None:
        """Remember why."""
        self.errors[query.id] = str(error)

    def lost(self, query: Query, text: str) -> None:
        """Leave it to the table's own counters."""

    def done(self, query: Query, *, is_cancelled: bool) -> None:
        """Nothing is expected of it any more."""


def main(arguments: Sequence[str]) -> int:
    """Run the self-test as *arguments* say; return 1 if anything failed."""
    made = Parser(prog="zeek-agent selftest", description="Try all tables on this host.")
    made.add_argument("-c", "--config", metavar="FILE", type=Path, help="configuration file")
    made.add_argument("--output", metavar="FILE", type=Path, help="write the report to a file")
    options = made.parse_args(arguments)
    config = settings.load(options.config)
    logs.set_up(LogConfig(level="error", type="stderr"))
    with private(config) as (config, directory):
        text, status = asyncio.run(run(config, directory))
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    print(text, end="")
    return status


@contextmanager
def private(config: Config) -> Iterator[tuple[Config, Path]]:
    """Return *config* with directories of its own, and one for files; all go in the end.

    The agent that may run on this host is not disturbed.
    """
    with tempfile.TemporaryDirectory(prefix="zeek-agent-selftest-") as name:
        home = Path(name).resolve()
        files = home / "files"
        files.mkdir()
        watched = {**config.tables.get("files_events", {}), "paths": [f"{files}/*"]}
        tables = {**config.tables, "files_events": watched}
        yield replace(config, state_dir=home / "state", run_dir=home, tables=tables), files


async def run(config: Config, directory: Path) -> tuple[str, int]:
    """Return the report and the exit status."""
    if not _knows(config, "files_events", "paths"):
        tables = {name: keys for name, keys in config.tables.items() if name != "files_events"}
        config = replace(config, tables=tables)
    async with kernel.running(config) as agent:
        tables = dict(sorted(agent.database.tables.items()))
        say("reading every table")
        read = [await read_once(agent, t) for t in tables.values() if not isinstance(t, Evented)]
        evented = [table for table in tables.values() if isinstance(table, Evented)]
        watcher = Watcher()
        say("starting every evented table")
        await hold(agent, evented, watcher)
        done = [await try_deed(agent, watcher, deed) for deed in deeds(directory)]
        held = [told(agent, table, watcher) for table in evented]
        failures = [Finding(text, Outcome.FAILED) for text in agent.catalog.failures]
    parts = [("Tables", read), ("Evented tables", held), ("What was done, and seen", done)]
    if failures:
        parts.insert(0, ("Plugins", failures))
    return render(facts(len(tables)), parts), int(has_failed(parts))


def _knows(config: Config, section: str, key: str) -> bool:
    catalog = plugins.find(Host(settings=config.tables), config.blocked)
    return key in kernel.sections(catalog).get(section, {})


def say(text: str) -> None:
    """Show on a terminal what is going on."""
    if sys.stderr.isatty():
        print(f"{text} ...", file=sys.stderr)


def facts(tables: int) -> list[tuple[str, str]]:
    """Return what a reader of the report must know of the host; nothing that names it."""
    is_root = "yes" if hasattr(os, "geteuid") and os.geteuid() == 0 else "no"
    return [
        ("agent", f"{__version__}, {tables} tables"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("version", platform.version()),
        ("python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("root", is_root if sys.platform != "win32" else "unknown"),
    ]


def statement(table: Table) -> str | None:
    """Return a statement that reads *table* once; None if it has a parameter and no example."""
    if not any(column.is_required for column in table.columns):
        return f"SELECT * FROM {table.name} LIMIT {ROWS}"  # noqa: S608 - a checked name
    return next(iter(table.examples), None)


async def read_once(agent: Agent, table: Table) -> Finding:
    """Read a snapshot table."""
    sql = statement(table)
    if sql is None:
        return Finding(table.name, Outcome.SKIPPED, "it needs arguments, and has no example")
    began = time.monotonic()
    try:
        found = await agent.database.execute(sql)
    except QueryError as error:
        return Finding(table.name, Outcome.FAILED, str(error))
    took = (time.monotonic() - began) * 1000
    source = f", from {table.source}" if table.source else ""
    warnings = f", {table.warnings} warnings: {table.last_warning}" if table.warnings else ""
    detail = f"{len(found.rows)} rows in {took:.1f} ms{source}{warnings}"
    return Finding(table.name, Outcome.PASSED, detail)


async def hold(agent: Agent, tables: Sequence[Evented], watcher: Watcher) -> None:
    """Start all *tables* and wait until their sources are found, or not."""
    for table in tables:
        await watch(agent, watcher, table.name, f"SELECT * FROM {table.name}")  # noqa: S608
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        await asyncio.sleep(0.1)
        sourced = [table for table in tables if isinstance(table, Sourced)]
        if all(t.source or agent.events.collectors[t.name].error for t in sourced):
            return


async def watch(agent: Agent, watcher: Watcher, query_id: str, sql: str) -> None:
    """Run *sql* again and again, with all rows or all new events."""
    evented = agent.events.collectors.keys() & (await agent.database.prepare(sql)).tables
    subscription = Subscription.EVENTS if evented else Subscription.SNAPSHOTS
    interval = timedelta(seconds=0.5)
    await agent.scheduler.install(
        Query(query_id, sql, interval, subscription, asker="selftest"), watcher
    )


def told(agent: Agent, table: Evented, watcher: Watcher) -> Finding:
    """Return how an evented table fared while the deeds were done."""
    collector = agent.events.collectors[table.name]
    error = collector.error or watcher.errors.get(table.name)
    if error and isinstance(table, Sourced) and table.source is None:
        return Finding(table.name, Outcome.SKIPPED, f"no source works here: {error}")
    if error:
        return Finding(table.name, Outcome.FAILED, error)
    source = f", from {table.source}" if table.source else ""
    lost = f", lost {sum(collector.losses.values())}" if collector.losses else ""
    rows = watcher.rows.get(table.name, 0)
    return Finding(table.name, Outcome.PASSED, f"{rows} events{source}{lost}")


async def try_deed(agent: Agent, watcher: Watcher, deed: Deed) -> Finding:
    """Do something and wait for it to appear."""
    subject = f"{deed.name}: {deed.table}"
    say(subject)
    if deed.table not in agent.database.tables:
        return Finding(subject, Outcome.SKIPPED, "this host does not offer the table")
    if deed.obstacle:
        return Finding(subject, Outcome.SKIPPED, deed.obstacle)
    query_id = f"deed {subject}"
    appeared = watcher.expect(query_id, lambda _: False)
    try:
        await watch(agent, watcher, query_id, deed.sql)
        await asyncio.sleep(0)
        began = time.monotonic()
        with deed.act() as is_seen:
            appeared = watcher.expect(query_id, is_seen)
            async with asyncio.timeout(APPEAR_SECONDS):
                await appeared.wait()
    except TimeoutError:
        reason = watcher.errors.get(query_id) or f"not seen within {APPEAR_SECONDS:.0f} s"
        return Finding(subject, Outcome.FAILED, reason)
    except (OSError, QueryError) as error:
        return Finding(subject, Outcome.FAILED, str(error))
    finally:
        agent.scheduler.cancel(query_id)
    return Finding(subject, Outcome.PASSED, f"after {time.monotonic() - began:.1f} s")
