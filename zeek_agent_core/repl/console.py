"""What a console holds: an agent to ask, settings, and where results go."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, TextIO

from zeek_agent_core.errors import OutputError
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl import schema
from zeek_agent_core.repl.backend import Backend, Stream
from zeek_agent_core.repl.cells import DIM, Style, lines_of, painted
from zeek_agent_core.repl.progress import Progress
from zeek_agent_core.repl.schema import Schema
from zeek_agent_core.repl.screen import Screen, open_file, write, write_lines

if TYPE_CHECKING:
    from zeek_agent_core.repl.export import Exporter

SPACED = frozenset({"auto", "table", "line", "markdown"})
"""Modes for people, which have an empty line between two results."""


@dataclass(slots=True)
class Settings:
    """What commands can change."""

    mode: str = "table"
    null: str | None = None
    is_exact: bool = True
    is_timed: bool = False
    is_paged: bool = False
    widths: tuple[int, ...] = ()
    keys: str = "emacs"


class File(NamedTuple):
    """A file that results go to."""

    path: str
    stream: TextIO
    is_once: bool


@dataclass(slots=True)
class Console:
    """Runs statements on an agent and shows what they yield."""

    backend: Backend
    screen: Screen
    settings: Settings = field(default_factory=Settings)
    is_interactive: bool = False
    """Whether a user sits at a terminal."""
    is_talk: bool = True
    """Whether more statements are read until somebody leaves."""
    history: Callable[[], Sequence[str]] = tuple
    schema: Schema = field(default_factory=Schema)
    file: File | None = None
    queued: deque[str] = field(default_factory=deque)
    """Statements that run before any more are read."""
    is_leaving: bool = False
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the user can type."""
    _is_first: bool = True

    async def known(self) -> Schema:
        """Return the tables that the agent has now."""
        self.schema = await schema.load(self.backend)
        return self.schema

    def style(self) -> Style:
        """Return how results look now, where they go now."""
        settings, is_screen = self.settings, self.file is None
        return Style(
            null=settings.null,
            is_exact=settings.is_exact,
            colours=is_screen and self.screen.has_colours,
            widths=settings.widths,
            screen=self.screen.size()[0] if is_screen and self.screen.is_terminal else None,
        )

    async def query(self, sql: str) -> None:
        """Run one statement and show its rows."""
        began = perf_counter()
        from zeek_agent_core.repl.export import EXPORTERS, Shown  # noqa: PLC0415 - after the prompt

        exporter = EXPORTERS.get(self.settings.mode)
        if self._is_paged or self.settings.null is not None:
            exporter = None
        columns: tuple[ResultColumn, ...] = ()
        rows: list[ResultRow] = []
        with Progress(self.screen) as progress:
            async with self.backend.query(sql) as stream:
                columns = stream.columns
                if exporter is not None:
                    made = exporter(columns)
                    if self.file is None and self.screen.is_terminal:
                        made = Shown(made, self.settings.mode)
                    async with self.results() as output:
                        await _export(made, stream, output, progress)
                else:
                    async for batch in stream:
                        rows += batch
                        progress.rows = len(rows)
        seconds = perf_counter() - began
        if exporter is None:
            await self.show(columns, rows)
        self.tell_time(progress.rows, seconds)

    @property
    def _is_paged(self) -> bool:
        return self.settings.is_paged and self.file is None and self.screen.is_capable

    async def show(self, columns: Sequence[ResultColumn], rows: Iterable[ResultRow]) -> None:
        """Show a result in the current mode."""
        from zeek_agent_core.repl import render  # noqa: PLC0415 - after the prompt

        await self.show_lines(render.MODES[self.settings.mode](columns, rows, self.style()))

    async def show_list(self, columns: Sequence[ResultColumn], rows: Iterable[ResultRow]) -> None:
        """Show rows of names and descriptions; on a narrow screen the end of those is cut."""
        await self.show_lines(self.listed(columns, rows))

    def listed(self, columns: Sequence[ResultColumn], rows: Iterable[ResultRow]) -> Iterable[str]:
        """Return the lines of such a list in the current mode."""
        from zeek_agent_core.repl import render  # noqa: PLC0415 - after the prompt

        mode = self.settings.mode
        layout = render.listing if mode == "auto" else render.MODES[mode]
        return layout(columns, rows, self.style())

    async def show_lines(self, lines: Iterable[str]) -> None:
        """Show text where results go, through a pager if it is long."""
        if self._is_paged:
            self._separate(self.screen.output)
            await self.screen.lines(lines, is_paged=True)
            return
        async with self.results() as output:
            await write_lines(output, iter(lines))

    @asynccontextmanager
    async def results(self) -> AsyncIterator[TextIO]:
        """Give the stream that results go to; a file's trouble becomes an `OutputError`."""
        file = self.file
        if file is None:
            self._separate(self.screen.output)
            yield self.screen.output
            return
        try:
            yield file.stream
            file.stream.flush()
        except OSError as error:
            self.close_file()
            raise OutputError(f"cannot write {file.path}: {error.strerror}") from error
        if file.is_once:
            self.close_file()

    def _separate(self, output: TextIO) -> None:
        """Put an empty line between two results of a script."""
        is_first, self._is_first = self._is_first, False
        if not is_first and not self.is_interactive and self.settings.mode in SPACED:
            write(output, "\n")

    def open_file(self, path: str, *, is_once: bool) -> None:
        """Send results to the file *path*, all or only the next."""
        self.close_file()
        self.file = File(path, open_file(path), is_once)

    def close_file(self) -> None:
        """Send results to the screen again."""
        file, self.file = self.file, None
        if file is not None:
            try:
                file.stream.close()
            except OSError as error:
                raise OutputError(f"cannot write {file.path}: {error.strerror}") from error

    def tell_time(self, rows: int, seconds: float) -> None:
        """Tell how much there was and how long it took, if that is wanted."""
        if self.settings.is_timed:
            took = f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
            self.remark(f"{rows:,} row{'' if rows == 1 else 's'}, {took}")

    def remark(self, text: str) -> None:
        """Write a word to the user, apart from the results."""
        text = lines_of(text)
        shown = painted(text, DIM) if self.screen.has_colours else text
        self.screen.write(f"{shown}\n")


async def _export(made: "Exporter", stream: Stream, output: TextIO, progress: Progress) -> None:
    """Write the rows as they come."""
    write(output, made.begin())
    async for batch in stream:
        progress.rows += len(batch)
        write(output, made.rows(batch))
    write(output, made.end())
    output.flush()
