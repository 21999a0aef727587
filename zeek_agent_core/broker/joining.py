"""Makes a link for each destination of the configuration."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from websockets.version import version as websockets_version

from zeek_agent_core.broker import destination
from zeek_agent_core.broker.actions import Action
from zeek_agent_core.broker.backoff import Backoff
from zeek_agent_core.broker.destination import Destination, Endpoint, Scheme
from zeek_agent_core.broker.link import Link, Permit, Queries
from zeek_agent_core.broker.messages import AgentHello
from zeek_agent_core.broker.pace import Pace
from zeek_agent_core.broker.session import Session, SessionOptions
from zeek_agent_core.broker.tls import Mode, TlsSettings, make_context, mode_for
from zeek_agent_core.broker.transport import Transport
from zeek_agent_core.broker.websocket import WebSocket
from zeek_agent_core.config import ZeekConfig
from zeek_agent_core.errors import ConfigError

log = logging.getLogger(__name__)

VERSION = f"WebSocket (websockets {websockets_version})"

Facts = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns the row of the table `zeek_agent`."""


def tls_settings(config: ZeekConfig) -> TlsSettings:
    """Return what *config* says about TLS; raise `ConfigError` if it says two things."""
    mode = None if config.tls is None else Mode(config.tls)
    if config.ssl_disable:
        if mode not in (None, Mode.OFF):
            raise ConfigError(f'zeek.ssl_disable = true contradicts zeek.tls = "{mode}"')
        mode = Mode.OFF
    return TlsSettings(
        mode,
        config.ssl_cafile,
        config.ssl_capath,
        config.ssl_certificate,
        config.ssl_keyfile,
        config.ssl_passphrase,
    )


def check(config: ZeekConfig) -> tuple[Destination, ...]:
    """Return the destinations of *config*; raise `ConfigError` for what cannot be used."""
    settings = tls_settings(config)
    found = destination.parse_all(config.destination)
    for one in found:
        for endpoint in one.endpoints:
            if endpoint.scheme is not Scheme.NATIVE:
                make_context(mode_for(endpoint, settings), settings)
    return found


class Joining:
    """All links of an agent; `run` is their task, `close` their goodbye."""

    def __init__(
        self,
        config: ZeekConfig,
        agent_id: str,
        platform: str,
        *,
        facts: Facts,
        queries: Queries,
        permit: Permit | None = None,
        audit: Callable[[str, Sequence[Action]], None] | None = None,
        broke: Callable[[], None] | None = None,
    ) -> None:
        """Join the Zeeks of *config* as *agent_id*; see `Link` for the rest."""
        self._settings = tls_settings(config)
        self._agent_id = agent_id
        self._facts = facts
        self._hello = AgentHello(agent_id, "")
        self._changed = asyncio.Event()
        self._interval = config.hello_interval
        self.links = [
            Link(
                one,
                Session(self._options(config, one, platform), lambda: self._hello),
                queries,
                self._connect,
                backoff=Backoff(config.reconnect_interval),
                permit=permit,
                audit=None if audit is None else partial(audit, str(one)),
                broke=broke,
            )
            for one in check(config)
        ]

    def _options(self, config: ZeekConfig, one: Destination, platform: str) -> SessionOptions:
        return SessionOptions(
            str(one),
            self._agent_id,
            platform,
            config.groups,
            hello_interval=config.hello_interval,
            timeout=config.timeout,
            spread=config.reconnect_spread,
        )

    def _connect(self, endpoint: Endpoint, pace: Pace) -> Transport:
        if endpoint.scheme is Scheme.NATIVE:
            from zeek_agent_core.broker.bindings import Peering  # noqa: PLC0415 - rarely wanted

            return Peering(endpoint, self._settings)
        return WebSocket(endpoint, self._settings, agent_id=self._agent_id, pace=pace)

    async def run(self) -> None:
        """Stay joined everywhere until cancelled."""
        await self._refresh()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_fresh(), name="facts for hellos")
            for link in self.links:
                tasks.create_task(link.run(), name=f"Zeek at {link.destination}")

    def facts_changed(self) -> None:
        """Say hello anew: what it tells has changed."""
        self._changed.set()

    async def close(self) -> None:
        """Say goodbye to all Zeeks; `run` is to be cancelled after it."""
        await asyncio.gather(*(link.close() for link in self.links))

    async def _keep_fresh(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval / 2):
                    await self._changed.wait()
            has_changed = self._changed.is_set()
            self._changed.clear()
            await self._refresh()
            if has_changed:
                for link in self.links:
                    link.hasten_hello()

    async def _refresh(self) -> None:
        try:
            self._hello = hello_of(await self._facts())
        except Exception:
            log.exception("cannot find out who this agent is")


def hello_of(row: Mapping[str, Any]) -> AgentHello:
    """Return the hello that a row of `zeek_agent` makes."""
    uptime = row.get("uptime")
    return AgentHello(
        row["id"],
        row["instance"],
        row.get("hostname"),
        _elements(row.get("addresses")),
        row.get("platform"),
        row.get("os_name"),
        row.get("kernel_name"),
        row.get("kernel_version"),
        row.get("kernel_arch"),
        row.get("agent_version"),
        row.get("broker"),
        None if uptime is None else timedelta(microseconds=uptime // 1000),
        _elements(row.get("tables")) or (),
    )


def _elements(stored: str | None) -> tuple[str, ...] | None:
    """Return the elements of a set as SQLite holds it."""
    import json  # noqa: PLC0415 - for this only

    return None if stored is None else tuple(json.loads(stored)["value"])
