"""Tells that a statement runs, how many rows there are so far, and for how long."""

import asyncio
from time import perf_counter
from types import TracebackType
from typing import Self

from zeek_agent_core.repl.cells import DIM, painted
from zeek_agent_core.repl.screen import Screen

PATIENCE = 0.5
"""Seconds after which a statement counts as long."""
TICK = 0.2


class Progress:
    """A line on the terminal that is gone before anything else is written."""

    def __init__(self, screen: Screen) -> None:
        """Show it on *screen*, if that is able to."""
        self.rows = 0
        self._screen = screen
        self._began = perf_counter()
        self._is_shown = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Begin to wait."""
        if self._screen.is_capable:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._tick)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the line."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_shown:
            self._screen.write("\r\x1b[K")

    def _tick(self) -> None:
        seconds = perf_counter() - self._began
        text = f"running: {self.rows:,} rows, {seconds:.1f} s (Ctrl-C cancels)"
        shown = painted(text, DIM) if self._screen.has_colours else text
        self._screen.write(f"\r{shown}\x1b[K")
        self._is_shown = True
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
