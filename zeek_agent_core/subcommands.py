"""Commands that packs bring along, such as `zeek-agent osquery-extension`.

An entry point of the group `zeek_agent_commands` names a coroutine function. It
is given a function that runs a statement, on an agent of its own or, with `-r`,
on the one that runs, and the words behind its name; it returns the exit status.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import metadata

from zeek_agent_core.config import Config, socket_path
from zeek_agent_core.query import ResultRow
from zeek_agent_core.repl.backend import Backend

GROUP = "zeek_agent_commands"
_NAME = re.compile(r"[a-z]+(?:-[a-z]+)+\Z")

Ask = Callable[[str], Awaitable[list[ResultRow]]]
"""Runs a statement; raises `QueryError`."""


def split(arguments: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Return the arguments of the agent, the command among them, and what is its."""
    for at, word in enumerate(arguments):
        if _NAME.match(word) and metadata.entry_points(group=GROUP, name=word):
            return list(arguments[:at]), word, list(arguments[at + 1 :])
    return list(arguments), None, []


async def run(
    config: Config, name: str, arguments: list[str], *, is_remote: bool, is_mock: bool
) -> int:
    """Run the command *name*; return the exit status."""
    (entry, *_) = metadata.entry_points(group=GROUP, name=name)
    command = entry.load()
    if is_remote:
        from zeek_agent_core.remote.client import RemoteBackend  # noqa: PLC0415 - one of two uses

        async with RemoteBackend(socket_path(config)) as remote:
            return int(await command(partial(_rows, remote), arguments))
    from zeek_agent_core import kernel  # noqa: PLC0415 - not where another agent is asked
    from zeek_agent_core.repl.local import LocalBackend  # noqa: PLC0415 - one of two uses

    async with kernel.running(config, is_mock=is_mock) as agent:
        own = LocalBackend(agent, lambda: None)
        return int(await command(partial(_rows, own), arguments))


async def _rows(backend: Backend, sql: str) -> list[ResultRow]:
    rows: list[ResultRow] = []
    async with backend.query(sql) as stream:
        async for batch in stream:
            rows += batch
    return rows
