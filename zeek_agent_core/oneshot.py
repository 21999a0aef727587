"""`zeek-agent -e`: runs statements one after the other, prints their results, ends."""

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

import apsw

from zeek_agent_core import kernel
from zeek_agent_core.config import Config
from zeek_agent_core.errors import QueryError
from zeek_agent_core.kernel import Agent
from zeek_agent_core.repl import commands, render
from zeek_agent_core.sql.statement import is_blank


def statements(texts: Iterable[str], standard_input: TextIO) -> Iterator[str]:
    """Yield the statements of *texts*; `-` stands for those on *standard_input*."""
    for text in texts:
        if text.strip() == "-":
            yield from split(standard_input)
        else:
            yield text


def split(lines: Iterable[str]) -> Iterator[str]:
    """Yield statements and dot commands out of *lines*; `;` ends a statement."""
    pending = ""
    for line in lines:
        if is_blank(pending) and line.lstrip().startswith("."):
            pending = ""
            yield line.strip()
            continue
        for piece in line.splitlines(keepends=True):
            *ended, rest = piece.split(";")
            for part in ended:
                pending += part + ";"
                if apsw.complete(pending):
                    if not is_blank(pending):
                        yield pending.strip()
                    pending = ""
            pending += rest
    if not is_blank(pending):
        yield pending.strip()


async def run(config: Config, texts: list[str], mode: str, *, is_mock: bool = False) -> int:
    """Run *texts* on a fresh agent; return the exit status: 1 once one of them fails."""
    async with kernel.running(config, is_mock=is_mock) as agent:
        is_first = True
        for statement in statements(texts, sys.stdin):
            try:
                is_first = await _print(agent, statement, mode, is_first=is_first)
            except QueryError as error:
                print(f"error: {error}", file=sys.stderr)  # noqa: T201 - what is asked for
                return 1
    return 0


async def _print(agent: Agent, statement: str, mode: str, *, is_first: bool) -> bool:
    """Print what *statement* yields."""
    write = sys.stdout.write
    if statement.lstrip().startswith("."):
        answers: Iterable[commands.Answer] = commands.run(agent.database.tables, statement)
    else:
        result = await agent.database.execute(statement)
        answers = [commands.Answer(result.columns, result.rows)]
    for columns, rows in answers:
        if not is_first and mode in ("table", "line", "markdown"):
            write("\n")
        is_first = False
        for line in render.MODES[mode](columns, rows):
            write(line + "\n")
    sys.stdout.flush()
    return is_first
