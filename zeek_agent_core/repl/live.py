"""Commands that go on until Ctrl-C: subscriptions, and a statement watched."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from time import perf_counter, strftime

from zeek_agent_core.errors import StatementError
from zeek_agent_core.query import Change, Result, ResultColumn, ResultRow, Subscription
from zeek_agent_core.repl import render
from zeek_agent_core.repl.cells import BOLD, GREEN, RED, REVERSE, cut, one_line, painted
from zeek_agent_core.repl.changes import changed_cells
from zeek_agent_core.repl.commands import command
from zeek_agent_core.repl.console import Console
from zeek_agent_core.repl.render import Grid
from zeek_agent_core.repl.screen import Screen, write_lines
from zeek_agent_core.values import Type

INTERVAL = timedelta(seconds=2)
MARKS = {Change.ADD: " + ", Change.DELETE: " - ", None: "   "}
COLOURS = {Change.ADD: GREEN, Change.DELETE: RED}
EXPECTED = {
    Type.ADDRESS: 15, Type.BOOL: 5, Type.COUNT: 6, Type.ENUM: 10, Type.INT: 6, Type.INTERVAL: 8,
    Type.REAL: 8, Type.TEXT: 16, Type.TIME: 19,
}  # fmt: skip
"""Widths of columns whose header is shown before there is a row."""
LEAST_SECONDS = 0.1

ENTER, LEAVE, HOME = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l", "\x1b[H"
"""Go to the second screen, without cursor and wrapping, and back; go to the upper left corner."""


@command(".diffs", "SQL")
async def _diffs(console: Console, sql: str) -> None:
    """Show what changes in a result, every 2 seconds."""
    await _follow(console, sql, Subscription.DIFFERENCES)


@command(".snapshot-plus-diffs", "SQL")
async def _snapshot_plus_diffs(console: Console, sql: str) -> None:
    """Show a result once, then what changes in it, every 2 seconds."""
    await _follow(console, sql, Subscription.SNAPSHOT_PLUS_DIFFERENCES)


@command(".events", "SQL")
async def _events(console: Console, sql: str) -> None:
    """Show new rows of a result, every 2 seconds."""
    await _follow(console, sql, Subscription.EVENTS)


@command(".snapshots", "SQL")
async def _snapshots(console: Console, sql: str) -> None:
    """Show a result anew every 2 seconds."""
    await _follow(console, sql, Subscription.SNAPSHOTS)


async def _follow(console: Console, sql: str, subscription: Subscription) -> None:
    """Show what a subscription yields, until cancelled."""
    follower = Follower(console, subscription)
    async with console.backend.subscribe(sql, subscription, INTERVAL) as results:
        async for result in results:
            async with console.results() as output:
                await write_lines(output, follower.lines(result))


class Follower:
    """Lays out results that come one after the other."""

    def __init__(self, console: Console, subscription: Subscription) -> None:
        """Lay out as the settings of *console* say."""
        self._console = console
        self._is_marked = subscription is not Subscription.SNAPSHOTS
        self._has_header = False
        self._widths: list[int] = []

    def lines(self, result: Result) -> Iterator[str]:
        """Yield the lines of one result; columns never get narrower."""
        mode = self._console.settings.mode
        if mode not in ("auto", "table"):
            yield from self._other(mode, result)
            return
        style = self._console.style()
        changes = [change for change, _ in result.changes()]
        if not self._has_header and not changes:
            self._widths = [EXPECTED.get(c.type or Type.NULL, 8) for c in result.columns]
        grid = Grid(result.columns, (row for _, row in result.changes()), style, self._widths)
        self._widths = grid.widths
        if not self._has_header and result.columns:
            self._has_header = True
            indent = "     " if self._is_marked else ""
            yield from (indent + line for line in grid.header())
        for change, line in zip(changes, grid.lines(), strict=True):
            mark = MARKS[change]
            if style.colours and change is not None:
                mark = painted(mark, COLOURS[change])
            yield f"{mark}  {line}".rstrip() if self._is_marked else line
        if not self._is_marked:
            yield ""

    def _other(self, mode: str, result: Result) -> Iterator[str]:
        """Yield a result in a mode whose rows need no alignment."""
        columns, rows = result.columns, [row for _, row in result.changes()]
        if self._is_marked:
            columns = (ResultColumn("change", Type.TEXT), *columns)
            rows = [(change and str(change), *row) for change, row in result.changes()]
        lines = render.MODES[mode](columns, rows, self._console.style())
        heads = {"csv": 1, "markdown": 2}.get(mode, 0)
        yield from islice(lines, heads if self._has_header else 0, None)
        self._has_header = True


@command(".watch", "SECONDS SQL")
async def _watch(console: Console, argument: str) -> None:
    """Run a statement every SECONDS and show its result in place, changes highlighted."""
    first, _, sql = argument.partition(" ")
    try:
        seconds = float(first)
    except ValueError:
        raise StatementError(f"'{first}' is not a number; write .watch SECONDS SQL") from None
    if not LEAST_SECONDS <= seconds < 86_400 or not sql.strip():  # noqa: PLR2004 - a day
        raise StatementError(f"write .watch SECONDS SQL, with {LEAST_SECONDS} seconds or more")
    if console.file is None and console.screen.is_capable:
        await _watch_in_place(console, seconds, sql)
        return
    while True:
        await console.query(sql)
        await asyncio.sleep(seconds)


async def _watch_in_place(console: Console, seconds: float, sql: str) -> None:
    """Redraw the terminal's second screen; leave the last result on the first."""
    screen, old = console.screen, None
    columns: Sequence[ResultColumn] = ()
    screen.write(ENTER)
    try:
        with _resized(screen) as resized:
            while True:
                began = perf_counter()
                columns, rows = await _collected(console, sql)
                took = perf_counter() - began
                marks: set[tuple[int, int]] = set() if old is None else changed_cells(old, rows)
                old = rows
                head = f"every {seconds:g} s, {len(rows):,} rows, {took * 1000:.1f} ms: {sql}"
                until = began + seconds
                while True:
                    _draw(console, head, columns, rows, marks)
                    resized.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(max(until - perf_counter(), 0)):
                            await resized.wait()
                            continue
                    break
    finally:
        screen.write(LEAVE)
        if old is not None:
            lines = list(render.listing(columns, old, console.style()))
            fitting = screen.size()[1] - 2
            screen.write("".join(f"{line}\n" for line in lines[:fitting]))


async def _collected(console: Console, sql: str) -> tuple[Sequence[ResultColumn], list[ResultRow]]:
    async with console.backend.query(sql) as stream:
        return stream.columns, [row async for batch in stream for row in batch]


def _draw(
    console: Console,
    head: str,
    columns: Sequence[ResultColumn],
    rows: Sequence[ResultRow],
    marks: set[tuple[int, int]],
) -> None:
    """Draw as much of a result as the screen holds."""
    across, down = console.screen.size()
    style = console.style()
    room = max(down - 6, 1)
    grid = Grid(columns, rows[:room], style)
    grid.fit(across)

    def paint(row: int, column: int, text: str) -> str:
        return painted(text, REVERSE) if (row, column) in marks else text

    lines = [painted(cut(f"{strftime('%H:%M:%S')} {one_line(head)}", across), BOLD), ""]
    lines += [*grid.header(), *grid.lines(paint)]
    if len(rows) > room:
        lines.append(f"... {len(rows) - room:,} more rows")
    console.screen.write(HOME + "\n".join(f"\x1b[K{line}" for line in lines) + "\n\x1b[J")


@contextmanager
def _resized(screen: Screen) -> Iterator[asyncio.Event]:
    """Give an event that is set when the terminal changes its size."""
    event = asyncio.Event()
    number = getattr(signal, "SIGWINCH", None)
    if number is None or not screen.is_terminal:
        yield event
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        loop.remove_signal_handler(number)
