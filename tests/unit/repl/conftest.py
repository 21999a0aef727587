"""A console on an agent of this process, for tests."""

import io
from contextlib import asynccontextmanager

import pytest

from zeek_agent_core import kernel
from zeek_agent_core.config import Config
from zeek_agent_core.repl.commands import declared, execute
from zeek_agent_core.repl.console import Console, Settings
from zeek_agent_core.repl.local import LocalBackend
from zeek_agent_core.repl.screen import Screen

declared()


class Talk:
    """A console whose output is kept as text."""

    def __init__(self, backend, mode):
        self.output, self.errors = io.StringIO(), io.StringIO()
        screen = Screen(self.output, self.errors, {})
        self.console = Console(backend, screen, Settings(mode))

    async def __call__(self, *texts):
        """Run *texts*; return what that has written."""
        self.output.seek(0)
        self.output.truncate()
        for text in texts:
            await execute(self.console, text)
        return self.output.getvalue()


@pytest.fixture
def talk(tmp_path):
    """Return a context that gives a `Talk`."""

    @asynccontextmanager
    async def opened(mode="table"):
        async with kernel.running(Config(state_dir=tmp_path)) as agent:
            ended = []
            talk = Talk(LocalBackend(agent, lambda: ended.append(True)), mode)
            talk.ended = ended
            yield talk

    return opened
