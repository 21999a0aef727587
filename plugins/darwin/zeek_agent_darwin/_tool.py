"""A source of events that is a tool of the system."""

import errno
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import ClassVar

from zeek_agent_core.api import Row, Source
from zeek_agent_darwin._child import Child


class ToolSource(Source):
    """Runs a tool while events are wanted, and turns its lines into rows."""

    program: ClassVar[str]
    """Its path."""

    def arguments(self) -> Sequence[str]:
        """Return what the tool is told."""
        raise NotImplementedError

    def rows(self, lines: Sequence[bytes]) -> Sequence[Row]:
        """Return the rows of some lines; count what is lost."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `OSError` if there is no such tool."""
        path = self._path()
        if not os.access(path, os.X_OK):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of what the tool prints; it is ended with this generator."""
        child = Child([self._path(), *self.arguments()])
        oversize = 0
        async with aclosing(child.batches()) as batches:
            async for lines in batches:
                rows = self.rows(lines)
                if child.lines.oversize != oversize:
                    self.table.lose("oversize", child.lines.oversize - oversize)
                    oversize = child.lines.oversize
                yield rows

    def _path(self) -> str:
        return str(self.table.host.path(self.program))
