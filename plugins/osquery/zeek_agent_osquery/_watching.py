"""Watches osquery, and offers its tables as it comes, changes and goes."""

import asyncio
import logging
from functools import cache

from zeek_agent_core.api import Discovery, Host, Offer
from zeek_agent_osquery import _binary, _transport
from zeek_agent_osquery._catalog import Catalog, Remote, names
from zeek_agent_osquery._errors import OsqueryError
from zeek_agent_osquery._osquery import Osquery
from zeek_agent_osquery._settings import SECTION, SETTINGS
from zeek_agent_osquery._table import OsqueryTable, declare

log = logging.getLogger(__name__)

PING_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""How often the socket is looked at: whether there is one, and the same."""
FIRST_PAUSE = 1.0
"""Seconds before the next attempt to reach an osquery whose socket is there; it doubles."""


class OsqueryTables(Discovery):
    """The tables of the osquery that answers at `extensions_socket`."""

    name = SECTION
    settings = SETTINGS

    def __init__(self, host: Host) -> None:
        """Watch the osquery of *host*."""
        super().__init__(host)
        self.osquery = Osquery.of(host)
        self._catalog = Catalog(self.osquery)
        self._alarmed = asyncio.Event()
        self._seen: object = None
        self._offered: dict[str, tuple[Remote, OsqueryTable]] = {}
        self._said: str | None = ""

    async def watch(self, offer: Offer) -> None:
        """Offer the tables there are; none while osquery is away."""
        loop = asyncio.get_running_loop()

        def alarm() -> None:
            loop.call_soon_threadsafe(self._alarmed.set)

        self.osquery.alarm = alarm
        self.osquery.open()
        pause = FIRST_PAUSE
        try:
            while True:
                self._seen = _transport.identity(self.osquery.path)
                try:
                    tables = await asyncio.to_thread(self._look)
                except OsqueryError as error:
                    self.osquery.gone(str(error))
                    self._say(str(error))
                    await offer(())
                    await self._wait_for_another(pause)
                    pause = min(pause * 2, self.osquery.setting("retry_interval"))
                else:
                    self._say(None)
                    await offer(tables)
                    await self._while_it_answers()
                    pause = FIRST_PAUSE
        finally:
            self.osquery.alarm = lambda: None
            self.osquery.close()

    def why_missing(self, table: str) -> str | None:
        """Return that osquery is away, for tables that are its."""
        facts = self.osquery.facts
        is_ours = table in facts.names or table.startswith(self.osquery.setting("prefix"))
        if not is_ours or facts.is_reachable:
            return None
        return facts.trouble or "osquery has not been asked for its tables yet; try again"

    def _say(self, trouble: str | None) -> None:
        """Log that osquery is away, or there, when that is news."""
        if trouble == self._said:
            return
        self._said = trouble
        facts = self.osquery.facts
        if trouble is None:
            log.info("osquery %s offers %d tables", facts.version, facts.tables)
        else:
            log.warning("no tables of osquery: %s", trouble)

    async def _wait_for_another(self, pause: float) -> None:
        """Wait for *pause*, or until a socket other than the one seen is there."""
        loop = asyncio.get_running_loop()
        until = loop.time() + pause
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(LOOK_SECONDS, left))
            if _transport.identity(self.osquery.path) not in (None, self._seen):
                return

    async def _while_it_answers(self) -> None:
        """Return when it is time to look at the tables again, or osquery may be gone."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        until, ping = now + self.osquery.setting("refresh_interval"), now + PING_SECONDS
        while (left := until - loop.time()) > 0:
            if await self._is_alarmed(min(LOOK_SECONDS, left)):
                is_lost = self.osquery.facts.trouble is not None
                await asyncio.sleep(0 if is_lost else LOOK_SECONDS)  # others may follow
                self._alarmed.clear()
                return
            if _transport.identity(self.osquery.path) != self._seen:
                return
            if loop.time() >= ping:
                if not await asyncio.to_thread(self._answers):
                    return
                ping = loop.time() + PING_SECONDS

    async def _is_alarmed(self, seconds: float) -> bool:
        """Return whether something goes wrong within *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                return await self._alarmed.wait()
        except TimeoutError:
            return False

    def _answers(self) -> bool:
        """Return whether osquery answers."""
        try:
            with self.osquery.connected() as connection:
                status = self.osquery.call("ping", (), _binary.status, connection)
        except OsqueryError:
            return False
        return status.code == 0

    def _look(self) -> list[OsqueryTable]:
        """Return the tables that osquery has now; those known already are the same objects."""
        remotes = self._catalog.look()
        osquery = self.osquery
        taken = {table.name for table in self.host.agent.declared()} - self._offered.keys()
        prefix, plain = osquery.setting("prefix"), osquery.setting("plain_names")
        routes = {remote.name: remote.routes for remote in remotes}
        makers = cache(lambda name: declare(name, routes[name]))
        offered: dict[str, tuple[Remote, OsqueryTable]] = {}
        for name, remote in names(remotes, prefix, taken, plain=plain):
            known = self._offered.get(name)
            if known is not None and known[0] == remote:
                offered[name] = known
            elif (make := makers(remote.name)) is not None:
                offered[name] = (remote, make(name)(self.host, osquery))
        self._offered = offered
        osquery.facts.names |= offered.keys()
        osquery.facts.tables = len({remote.name for remote, _ in offered.values()})
        return [table for _, table in offered.values()]
