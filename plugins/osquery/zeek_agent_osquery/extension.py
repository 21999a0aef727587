"""``zeek-agent osquery-extension``: our tables in osquery, and so in osqueryi and Fleet.

The process registers with osquery, serves its tables, and ends when osquery
does. It takes the arguments that osquery gives to extensions.
"""

import argparse
import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from zeek_agent_core.api import Host
from zeek_agent_osquery import _binary
from zeek_agent_osquery._errors import OsqueryError
from zeek_agent_osquery._offer import Ask, Offered, offered, statement, texts
from zeek_agent_osquery._osquery import Osquery

log = logging.getLogger(__name__)

DEFAULT = r"\\.\pipe\osquery.em" if sys.platform == "win32" else "/var/osquery/osquery.em"
ANSWER_SECONDS = 60.0
"""How long a table may take before osquery is told that it failed."""


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the *arguments* say; the names are those that osquery gives."""
    parser = argparse.ArgumentParser(
        prog="zeek-agent osquery-extension", description="Offer the agent's tables to osquery."
    )
    parser.add_argument("--socket", default=DEFAULT, help="osquery's extension socket")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for osquery")
    parser.add_argument("--interval", type=float, default=3.0, help="seconds between two pings")
    parser.add_argument("--verbose", action="store_true", help="accepted, as osquery may give it")
    return parser.parse_args(list(arguments))


async def run(ask: Ask, arguments: Sequence[str]) -> int:
    """Offer the tables to osquery until it ends, or a signal comes; return the exit status."""
    options = parsed(arguments)
    try:
        from zeek_agent_osquery import _serving  # noqa: PLC0415 - an extra
    except ImportError as error:
        log.error(  # noqa: TRY400 - the trace says no more
            "%s: osquery-extension needs the package osquery; "
            "run: pip install 'zeek-agent-osquery[extension]'",
            error,
        )
        return 1
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, ended.set)

    def answer(table: Offered, context: str) -> list[dict[str, str]]:
        sql, names = statement(table, context)
        rows = asyncio.run_coroutine_threadsafe(_collected(ask, sql), loop).result()
        return [texts(names, row) for row in rows]

    tables = await offered(ask)
    handler = _serving.Handler(tables, answer, partial(loop.call_soon_threadsafe, ended.set))
    ping = _pinging(options.socket, options.timeout)
    register = partial(_serving.register, options.socket, options.timeout, handler)
    try:
        await asyncio.to_thread(ping)  # which looks whose socket it is
        uuid = await asyncio.to_thread(register)
    except OsqueryError as error:
        log.error("%s", error)  # noqa: TRY400 - the trace says no more
        return 1
    try:
        server = _serving.serving(f"{options.socket}.{uuid}", handler)
        threading.Thread(target=server.serve, daemon=True).start()
        try:
            log.warning("%d tables are offered to osquery at %s", len(tables), options.socket)
            await _until_gone(ping, options.interval, ended)
        finally:
            server.close()
    finally:
        await asyncio.to_thread(_serving.deregister, options.socket, options.timeout, uuid)
    return 0


async def _collected(ask: Ask, sql: str) -> list[tuple[object, ...]]:
    async with asyncio.timeout(ANSWER_SECONDS):
        return await ask(sql)


def _pinging(path: str, seconds: float) -> Callable[[], None]:
    """Return what raises `OsqueryError` unless osquery answers at *path* and can be trusted."""
    settings = {"extensions_socket": path, "timeout": seconds}
    osquery = Osquery(Host(settings={"osquery": settings}))

    def ping() -> None:
        with osquery.connected() as connection:
            osquery.call("ping", (), _binary.status, connection)

    return ping


async def _until_gone(ping: Callable[[], None], interval: float, ended: asyncio.Event) -> None:
    """Return when osquery does not answer any more, or *ended* is set."""
    while not ended.is_set():
        try:
            await asyncio.to_thread(ping)
        except OsqueryError as error:
            log.warning("osquery is gone: %s", error)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(interval):
                await ended.wait()
