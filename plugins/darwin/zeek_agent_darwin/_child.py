"""Runs a tool of the system that prints a line for each event."""

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Sequence

CHUNK = 256 << 10
LONGEST_LINE = 4 << 20
"""Longer lines are left out and counted."""
PATIENCE = 0.4
"""Seconds that a tool has to end when it is asked to."""
REASON_LINES = 5


class Lines:
    """Cuts what comes in pieces into lines, of bounded length."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        """Leave out lines of more than *longest* bytes."""
        self._longest = longest
        self._tail = b""
        self._is_skipping = False
        self.oversize = 0
        """Lines that were left out."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that *chunk* ends, without newline; empty ones are left out."""
        lines = chunk.split(b"\n")
        if self._is_skipping:
            if len(lines) == 1:
                return []
            self._is_skipping = False
            del lines[0]
        else:
            lines[0] = self._tail + lines[0]
        self._tail = lines.pop()
        if len(self._tail) > self._longest:
            self._tail, self._is_skipping = b"", True
            self.oversize += 1
        whole = [line for line in lines if line and len(line) <= self._longest]
        self.oversize += sum(len(line) > self._longest for line in lines)
        return whole


class Child:
    """A running tool; its output is read only as fast as it is used."""

    def __init__(self, arguments: Sequence[str], lines: Lines | None = None) -> None:
        """Run *arguments*: the first is the path of the program; no shell is involved."""
        self._arguments = arguments
        self._complaints: deque[str] = deque(maxlen=REASON_LINES)
        self.lines = lines or Lines()

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        """Yield lines as they come; raise `OSError` when the tool ends.

        The tool is ended with this generator.
        """
        child = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=CHUNK, process_group=0
        )
        listening = asyncio.create_task(self._listen(child), name="errors of a tool")
        try:
            assert child.stdout is not None  # noqa: S101 - for mypy
            while chunk := await child.stdout.read(CHUNK):
                yield self.lines.feed(chunk)
            status = await child.wait()
            await asyncio.wait([listening], timeout=PATIENCE)
            raise OSError(self._reason(status))
        finally:
            listening.cancel()
            await end(child)

    async def _listen(self, child: Process) -> None:
        assert child.stderr is not None  # noqa: S101 - for mypy
        lines = Lines(CHUNK)
        while chunk := await child.stderr.read(CHUNK):
            for line in lines.feed(chunk):
                self._complaints.append(line.decode(errors="replace").strip()[:300])

    def _reason(self, status: int) -> str:
        name = os.path.basename(self._arguments[0])  # noqa: PTH119 - a name, not a file
        said = "; ".join(line for line in self._complaints if line)
        return f"{name} ended with status {status}" + (f": {said}" if said else "")


async def end(child: Process) -> None:
    """End a child, with force if it does not within a moment, and let go of it."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await child.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    child._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
