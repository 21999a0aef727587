"""Runs an evented table as the core does, for tests."""

import asyncio
import contextlib

from zeek_agent_core.host import AgentFacts, Host


def made(kind, root="/", state=None, **settings):
    """Return a table of *kind* with *settings*, on a host whose agent keeps its *state*."""
    return kind(Host(root, {kind.name: settings}, AgentFacts(state=state)))


class Listener:
    """Holds the rows of a table; use as ``async with``."""

    def __init__(self, table, *, reads=True):
        self.table = table
        self.rows = []
        self.reads = reads

    async def __aenter__(self):  # noqa: D105
        self.task = asyncio.create_task(self._listen())
        await self.until(lambda: self.table.source)
        return self

    async def _listen(self):
        async with contextlib.aclosing(self.table.events()) as events:
            async for rows in events:
                self.rows += rows
                if self.reads:
                    self.table.was_read(len(self.rows))

    async def __aexit__(self, *_):  # noqa: D105
        self.task.cancel()
        await asyncio.wait([self.task])

    async def until(self, condition, seconds=20):
        """Wait for *condition*, briefly."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    if self.task.done():
                        self.task.result()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"it does not come; there are {self.rows[-20:]}") from None

    async def count(self, number):
        """Wait for so many rows and return them."""
        await self.until(lambda: len(self.rows) >= number)
        return self.rows

    def values(self, name):
        """Return one column."""
        return [row.get(name) for row in self.rows]
