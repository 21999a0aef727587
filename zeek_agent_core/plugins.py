"""Finds, loads and checks plugins; knows who provides which table.

pluggy's own loader stops at the first plugin that fails to import and skips a
second entry point of the same name in silence, so the entry points are walked
here one by one.
"""

import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

import pluggy

from zeek_agent_core import hookspecs
from zeek_agent_core.errors import PluginError
from zeek_agent_core.host import Host
from zeek_agent_core.table import Discovery, Evented, Snapshot, Table

log = logging.getLogger(__name__)

TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
COLUMN_NAME = re.compile(r"_?[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Provider:
    """Who provides a table: an entry point of a distribution."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        """Return for example ``linux_users (zeek-agent-linux 3.0.0)``."""
        return f"{self.plugin} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class Offered:
    """A table and who provides it."""

    table: Table
    provider: Provider


@dataclass(frozen=True, slots=True)
class Catalog:
    """All tables found, and what went wrong while finding them."""

    tables: dict[str, Offered]
    failures: tuple[str, ...]
    discoveries: tuple[tuple[Discovery, Provider], ...] = ()
    """What finds more of them while the agent runs, and who provides it."""


def find(host: Host, blocked: Collection[str] = ()) -> Catalog:
    """Load every plugin of the environment that *blocked* does not name.

    *blocked* holds names of plugins, distributions or tables. Never raises
    for a plugin's sake: each failure is logged and listed, the rest goes on.
    """
    failures: list[str] = []
    loaded: list[tuple[Provider, object]] = []
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for entry in _entry_points():
        provider = _provider(entry)
        if provider.plugin in blocked or provider.distribution in blocked:
            log.debug("plugin %s is blocked", provider)
            continue
        try:
            module = entry.load()
            manager.register(module, name=f"{provider.distribution}:{provider.plugin}")
        except (Exception, SystemExit) as error:
            failures.append(f"cannot load plugin {provider}: {type(error).__name__}: {error}")
            continue
        loaded.append((provider, module))
    failures += _pending(manager)
    tables, refused = _collect(manager, loaded, host, blocked)
    failures += refused
    discoveries, refused = _discoveries(manager, loaded, host)
    failures += refused
    for failure in failures:
        log.error("%s", failure)
    return Catalog(tables, tuple(failures), tuple(discoveries))


def _entry_points() -> list[metadata.EntryPoint]:
    """Return the entry points, each once, in a stable order."""
    unique = {
        (entry.name, entry.value, _distribution(entry)[0]): entry
        for entry in metadata.entry_points(group=hookspecs.PROJECT)
    }
    return [unique[key] for key in sorted(unique)]


def _distribution(entry: metadata.EntryPoint) -> tuple[str, str]:
    return ("unknown", "0") if entry.dist is None else _name_and_version(entry.dist)


@lru_cache
def _name_and_version(dist: metadata.Distribution) -> tuple[str, str]:
    """Read the metadata of a distribution once, however many plugins it has."""
    return dist.metadata["Name"] or "unknown", dist.version


def _provider(entry: metadata.EntryPoint) -> Provider:
    return Provider(entry.name, *_distribution(entry))


def _pending(manager: pluggy.PluginManager) -> list[str]:
    """Return a message for each implementation of a hook that does not exist."""
    hooks = [hook for hook in vars(manager.hook).values() if isinstance(hook, pluggy.HookCaller)]
    return [
        f"plugin {found.plugin_name} has an unknown hook {hook.name}"
        for hook in hooks
        if not hook.has_spec()
        for found in hook.get_hookimpls()
        if not found.optionalhook
    ]


def _collect(
    manager: pluggy.PluginManager,
    loaded: Iterable[tuple[Provider, object]],
    host: Host,
    blocked: Collection[str],
) -> tuple[dict[str, Offered], list[str]]:
    """Ask every plugin for its tables; refuse all but the first of one name."""
    tables: dict[str, Offered] = {}
    refused: list[str] = []
    for provider, module in loaded:
        try:
            offered = _answers(manager, "zeek_agent_tables", module, host)
        except (Exception, SystemExit) as error:
            refused.append(f"plugin {provider} failed: {type(error).__name__}: {error}")
            continue
        for table in offered:
            reason = _objection(table, tables, provider)
            if reason:
                refused.append(reason)
            elif table.name not in blocked:
                tables[table.name] = Offered(table, provider)
    return tables, refused


def _discoveries(
    manager: pluggy.PluginManager, loaded: Iterable[tuple[Provider, object]], host: Host
) -> tuple[list[tuple[Discovery, Provider]], list[str]]:
    """Ask every plugin for its discoveries."""
    found: list[tuple[Discovery, Provider]] = []
    refused: list[str] = []
    for provider, module in loaded:
        try:
            made = _answers(manager, "zeek_agent_discoveries", module, host)
        except (Exception, SystemExit) as error:
            refused.append(f"plugin {provider} failed: {type(error).__name__}: {error}")
            continue
        found += [(discovery, provider) for discovery in made]
    return found, refused


def _answers(manager: pluggy.PluginManager, hook: str, module: object, host: Host) -> list[Any]:
    """Return what one *module* answers to *hook*."""
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    answers = manager.subset_hook_caller(hook, others)(host=host)
    return [item for answer in answers for item in answer]


def _objection(table: Table, tables: dict[str, Offered], provider: Provider) -> str | None:
    """Return why *table* cannot be offered, if so."""
    try:
        check(table)
    except PluginError as error:
        return f"plugin {provider}: {error}"
    rival = tables.get(table.name)
    if rival is None:
        return None
    return (
        f"table {table.name} of {provider} is refused: {rival.provider} provides a table of "
        "that name; block one of the two in [plugins] of the configuration"
    )


def check(table: Table) -> None:
    """Raise `PluginError` unless the declaration of *table* can be offered."""
    if not isinstance(table, Snapshot | Evented):
        raise PluginError(f"{type(table).__name__} is neither a Snapshot nor an Evented table")
    name = getattr(table, "name", "")
    if not TABLE_NAME.match(name):
        raise PluginError(f"table name {name!r} is not lower case letters, digits, underscores")
    names = [name for column in table.columns for name in (column.name, *column.aliases)]
    if not names:
        raise PluginError(f"table {name} has no columns")
    for column in names:
        if not COLUMN_NAME.match(column):
            raise PluginError(f"table {name} has an impossible column name {column!r}")
        if names.count(column) > 1:
            raise PluginError(f"table {name} has two columns {column}")
