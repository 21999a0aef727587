"""`zeek-agent -e`: runs statements one after the other, prints their results, ends."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TextIO

from zeek_agent_core.config import Config, socket_path
from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl import commands, render
from zeek_agent_core.repl.backend import Stream
from zeek_agent_core.repl.export import EXPORTERS


def statements(texts: Iterable[str], standard_input: TextIO) -> Iterator[str]:
    """Yield the statements of *texts*; `-` stands for those on *standard_input*."""
    for text in texts:
        if text.strip() == "-":
            yield from split(standard_input)
        else:
            yield text


def split(lines: Iterable[str]) -> Iterator[str]:
    """Yield statements and dot commands out of *lines*; `;` ends a statement."""
    import apsw  # noqa: PLC0415 - only for what standard input brings

    from zeek_agent_core.sql.statement import is_blank  # noqa: PLC0415 - imports apsw

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
    from zeek_agent_core import kernel  # noqa: PLC0415 - not where another agent is asked

    async with kernel.running(config, is_mock=is_mock) as agent:

        async def tables() -> commands.Tables:
            return agent.database.tables

        return await answer(agent.database.query, tables, texts, mode)


async def ask(config: Config, texts: list[str], mode: str) -> int:
    """Run *texts* on the agent that answers at the console socket; return the exit status."""
    from zeek_agent_core.remote.client import RemoteBackend  # noqa: PLC0415 - one of two uses
    from zeek_agent_core.repl import declared  # noqa: PLC0415 - one of two uses

    async with RemoteBackend(socket_path(config)) as agent:

        async def tables() -> commands.Tables:
            return await declared.tables(agent)

        return await answer(agent.query, tables, texts, mode)


async def answer(
    query: Callable[[str], AbstractAsyncContextManager[Stream]],
    tables: Callable[[], Awaitable[commands.Tables]],
    texts: list[str],
    mode: str,
) -> int:
    """Print what *texts* yield, with statements run by *query*; return the exit status."""
    printer = Printer(mode, sys.stdout.write)
    for statement in statements(texts, sys.stdin):
        try:
            if statement.lstrip().startswith("."):
                for columns, rows in commands.run(await tables(), statement):
                    printer.whole(columns, rows)
            else:
                async with query(statement) as stream:
                    await printer.stream(stream)
        except QueryError as error:
            sys.stdout.flush()
            print(f"error: {error}", file=sys.stderr)  # noqa: T201 - what is asked for
            return 1
        sys.stdout.flush()
    return 0


class Printer:
    """Writes one result after the other."""

    def __init__(self, mode: str, write: Callable[[str], object]) -> None:
        """Hand text in *mode* to *write*."""
        self._mode = mode
        self._write = write
        self._is_first = True

    def whole(self, columns: Sequence[ResultColumn], rows: Sequence[ResultRow]) -> None:
        """Write a result that is complete."""
        if not self._is_first and self._mode not in EXPORTERS:
            self._write("\n")
        self._is_first = False
        for line in render.MODES[self._mode](columns, rows):
            self._write(line + "\n")

    async def stream(self, stream: Stream) -> None:
        """Write a result as it comes, unless its mode has to see all rows first."""
        exporter = EXPORTERS.get(self._mode)
        if exporter is None:
            rows = [row async for batch in stream for row in batch]
            self.whole(stream.columns, rows)
            return
        self._is_first = False
        made = exporter(stream.columns)
        self._write(made.begin())
        async for batch in stream:
            self._write(made.rows(batch))
        self._write(made.end())
