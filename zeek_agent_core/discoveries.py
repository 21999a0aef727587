"""Runs what finds tables at run time; keeps the catalogue and the database up to date."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from zeek_agent_core import plugins
from zeek_agent_core.errors import PluginError
from zeek_agent_core.plugins import Catalog, Offered, Provider
from zeek_agent_core.table import Discovery, Snapshot, Table

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a discovery that failed is started again: at first, and at most."""
SETTLING = 10.0
"""Seconds to wait for the first tables, at most."""


class Change(Protocol):
    """What offers tables and withdraws them."""

    def __call__(self, added: Sequence[Table], removed: Sequence[str]) -> Awaitable[None]:
        """Offer *added*, and *removed* no longer."""


class Discoveries:
    """All discoveries of an agent; `run` is the task of each."""

    def __init__(
        self,
        catalog: Catalog,
        blocked: Collection[str],
        change: Change,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        """Keep *catalog* up to date; after each *change* the *changed* tables are made known."""
        self._catalog = catalog
        self._blocked = blocked
        self._change = change
        self._changed = changed
        self._offered: dict[Discovery, dict[str, Snapshot]] = {}
        self._refused: set[str] = set()
        self._settled = {discovery: asyncio.Event() for discovery, _ in catalog.discoveries}

    async def run(self, discovery: Discovery, provider: Provider) -> None:
        """Let *discovery* watch until cancelled, whatever becomes of it."""
        pause = FIRST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await discovery.watch(partial(self._offer, discovery, provider))
                reason = "it ended"
            except (Exception, SystemExit) as error:
                reason = f"{type(error).__name__}: {error}"
            log.warning("discovery %s of %s: %s", discovery.name, provider, reason)
            await self._offer(discovery, provider, ())
            if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def settled(self) -> None:
        """Return once each discovery has made its first offer, or takes too long for it."""
        try:
            async with asyncio.timeout(SETTLING):
                for event in self._settled.values():
                    await event.wait()
        except TimeoutError:
            log.warning("tables that are found at run time take long to appear")

    def why_missing(self, table: str) -> str | None:
        """Return why *table* is not there, if a discovery knows; for any thread."""
        for discovery, _ in self._catalog.discoveries:
            reason = discovery.why_missing(table)
            if reason:
                return reason
        return None

    async def _offer(
        self, discovery: Discovery, provider: Provider, tables: Sequence[Snapshot]
    ) -> None:
        """Make *tables* all that *discovery* offers."""
        before = self._offered.get(discovery, {})
        now = {t.name: t for t in tables if self._is_welcome(t, provider, before)}
        added = [table for name, table in now.items() if before.get(name) is not table]
        removed = [name for name in before if name not in now]
        if added or removed:
            self._offered[discovery] = now
            for name in removed:
                del self._catalog.tables[name]
            self._catalog.tables.update({t.name: Offered(t, provider) for t in added})
            await self._change(added, removed)
            await self._changed()
        self._settled[discovery].set()

    def _is_welcome(self, table: Table, provider: Provider, own: Collection[str]) -> bool:
        """Return whether *table* can be offered; say why not, once."""
        try:
            plugins.check(table)
        except PluginError as error:
            return self._refuse(f"discovered table of {provider} is left out: {error}")
        if not isinstance(table, Snapshot):
            return self._refuse(f"discovered table {table.name} of {provider} is no snapshot")
        if table.name in self._blocked:
            return False
        rival = self._catalog.tables.get(table.name)
        if rival is None or table.name in own:
            return True
        return self._refuse(
            f"discovered table {table.name} of {provider} is left out: {rival.provider} provides "
            "a table of that name"
        )

    def _refuse(self, reason: str) -> bool:
        if reason not in self._refused:
            self._refused.add(reason)
            log.warning("%s", reason)
        return False
