"""The agent as a process that runs until it is told to end."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from zeek_agent_core import __version__, kernel, lock, logs, zeeks
from zeek_agent_core.config import Config, socket_path, state_directory
from zeek_agent_core.errors import AgentError, RemoteError
from zeek_agent_core.kernel import Agent
from zeek_agent_core.local.outputs import make_sink
from zeek_agent_core.local.pack import configured_pack
from zeek_agent_core.local.rotate import Rotation
from zeek_agent_core.local.runner import Runner
from zeek_agent_core.local.sink import Sink
from zeek_agent_core.notify import Notifier
from zeek_agent_core.remote.server import serving
from zeek_agent_core.repl import shell
from zeek_agent_core.repl.local import LocalBackend

log = logging.getLogger(__name__)

Reload = Callable[[], Config]


async def run(
    config: Config,
    *,
    is_local: bool,
    is_interactive: bool,
    is_mock: bool,
    ends_on_disconnect: bool,
    reload: Reload,
    ended: asyncio.Event | None = None,
) -> int:
    """Run an agent until *ended* is set or a signal or its console ends it.

    SIGHUP reads the configuration again.
    """
    status = 0
    ended = ended or asyncio.Event()
    notifier = Notifier()
    asked = asyncio.Event()
    with ExitStack() as held:
        held.enter_context(_signals(ended, asked))
        if not is_local:
            remedy = "end it, ask it with -r, or set state-dir to another directory"
            held.enter_context(lock.held(state_directory(config), "state directory", remedy))
        async with kernel.running(config, is_mock=is_mock) as agent, AsyncExitStack() as served:
            _announce(agent, is_mock=is_mock)
            await _serve_consoles(served, agent, ended)
            runner = None
            if is_local:
                sink = held.enter_context(_sink(agent))
                runner = Runner(agent.scheduler, sink, ended.set)
                await runner.update(configured_pack(config))
                agent.spawn(runner.keep_rotating(), "rotation")
            agent.spawn(_keep_reloading(asked, reload, runner, notifier), "reload")
            agent.spawn(notifier.keep_alive(), "signs of life")
            notifier.ready(_summary(agent))
            async with zeeks.joined(agent, ended.set if ends_on_disconnect else None):
                if is_interactive:
                    backend = LocalBackend(agent, ended.set, ended)
                    state, keys = state_directory(config), config.console.keys
                    status = await shell.run(backend, state_directory=state, keys=keys)
                else:
                    await ended.wait()
                log.info("ending")
                notifier.stopping()
    log.info("process terminated")
    return status


@contextmanager
def _signals(ended: asyncio.Event, asked: asyncio.Event) -> Iterator[None]:
    """Set *ended* on SIGINT and SIGTERM, *asked* on SIGHUP."""
    loop = asyncio.get_running_loop()
    events = {signal.SIGINT: ended, signal.SIGTERM: ended}
    if hasattr(signal, "SIGHUP"):
        events[signal.SIGHUP] = asked
    for number, event in events.items():
        try:
            loop.add_signal_handler(number, event.set)
        except NotImplementedError:  # Windows; Ctrl-C arrives as KeyboardInterrupt
            yield
            return
    try:
        yield
    finally:
        for number in events:
            loop.remove_signal_handler(number)


async def _serve_consoles(served: AsyncExitStack, agent: Agent, ended: asyncio.Event) -> None:
    """Open the console socket as long as *served*; the agent can do without."""
    backend = LocalBackend(agent, ended.set, ended)
    path = socket_path(agent.config)
    try:
        await served.enter_async_context(serving(backend, path, agent.spawn))
    except RemoteError as error:
        log.warning("no consoles for this agent: %s", error)
    else:
        log.info("consoles connect to %s", path)


def _announce(agent: Agent, *, is_mock: bool) -> None:
    log.info(_summary(agent))
    if agent.config.path is not None:
        log.info("configuration of %s", agent.config.path)
    if not is_mock and hasattr(os, "geteuid") and os.geteuid() != 0:
        log.warning("not running as root: information may be incomplete")


def _summary(agent: Agent) -> str:
    return f"Zeek Agent v{__version__} with {len(agent.database.tables)} tables"


@contextmanager
def _sink(agent: Agent) -> Iterator[Sink]:
    """Return where local mode writes, alone in its directory."""
    local = agent.config.local
    kind = local.output
    if kind is None:
        kind = "zeek" if local.log_dir else "pretty" if sys.stdout.isatty() else "json"
    directory = Path(local.log_dir or ".") if local.log_dir or kind == "zeek" else None
    with ExitStack() as held:
        if directory is not None:
            remedy = "give this one another --log-dir"
            held.enter_context(lock.held(directory, "log directory", remedy))
        rotation = Rotation(
            max_bytes=local.rotate_bytes,
            every=timedelta(seconds=local.rotate_seconds) if local.rotate_seconds else None,
            keep=local.keep,
        )
        sink = make_sink(
            kind,
            hid=agent.host.agent.id,
            host=socket.gethostname(),
            directory=directory,
            stream=sys.stdout,
            rotation=rotation,
        )
        held.callback(sink.close)
        yield sink


async def _keep_reloading(
    asked: asyncio.Event, reload: Reload, runner: Runner | None, notifier: Notifier
) -> None:
    """Read the configuration again whenever *asked* is set."""
    while True:
        await asked.wait()
        asked.clear()
        notifier.reloading()
        await _reload(reload, runner)
        notifier.tell(READY=1)


async def _reload(reload: Reload, runner: Runner | None) -> None:
    try:
        config = reload()
        entries = configured_pack(config)
        log_config = config.log
        if runner is not None and log_config.type in (None, "stdout"):
            log_config = replace(log_config, type="stderr")
        logs.set_up(log_config)
    except AgentError as error:
        log.error("configuration not read again: %s", error)  # noqa: TRY400 - no trace
        return
    if runner is not None:
        await runner.update(entries)
    log.info("configuration read again; plugins, limits and paths need a restart")
