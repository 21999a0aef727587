"""`zeek-agent -e`: runs statements one after the other, prints their results, ends."""

import sys

from zeek_agent_core.config import Config, socket_path
from zeek_agent_core.errors import AgentError
from zeek_agent_core.repl.backend import Backend
from zeek_agent_core.repl.commands import execute
from zeek_agent_core.repl.console import Console, Settings
from zeek_agent_core.repl.screen import Screen
from zeek_agent_core.repl.script import split, statements

__all__ = ["answer", "ask", "run", "split", "statements"]


async def run(config: Config, texts: list[str], mode: str, *, is_mock: bool = False) -> int:
    """Run *texts* on a fresh agent; return the exit status: 1 once one of them fails."""
    from zeek_agent_core import kernel  # noqa: PLC0415 - not where another agent is asked
    from zeek_agent_core.repl.local import LocalBackend  # noqa: PLC0415 - one of two uses

    async with kernel.running(config, is_mock=is_mock) as agent:
        if not is_mock:
            await agent.discoveries.settled()
        return await answer(LocalBackend(agent, lambda: None), texts, mode)


async def ask(config: Config, texts: list[str], mode: str) -> int:
    """Run *texts* on the agent that answers at the console socket; return the exit status."""
    from zeek_agent_core.remote.client import RemoteBackend  # noqa: PLC0415 - one of two uses

    async with RemoteBackend(socket_path(config)) as agent:
        return await answer(agent, texts, mode)


async def answer(backend: Backend, texts: list[str], mode: str) -> int:
    """Print what *texts* yield on *backend*; return the exit status."""
    console = Console(backend, Screen(), Settings(mode), is_talk=False)
    for statement in statements(texts, sys.stdin):
        try:
            await execute(console, statement)
        except AgentError as error:
            console.screen.complain(str(error))
            return 1
        if console.is_leaving:
            break
    console.close_file()
    return 0
