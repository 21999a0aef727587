"""Runs a program for its output, which is read as it comes; it ends with its reader."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AT_ONCE = 1 << 18
"""Bytes read at a time."""
MOST = 1 << 26
"""Bytes that are read at most of a program that is to end."""
ERRORS = 4096
"""Bytes of what it complains about that are kept."""
GRACE = 0.5
"""Seconds after which a program that does not end is killed."""


def find(program: str) -> str:
    """Return where *program* is; raise `FileNotFoundError`."""
    found = shutil.which(program, path=PATH)
    if found is None:
        raise FileNotFoundError(2, "there is no program", program)
    return found


class Child:
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Read what *process* prints."""
        self._process = process
        self.pid = process.pid
        if process.stdout is None or process.stderr is None:
            raise ValueError("a program without pipes")
        self._output, self._errors = process.stdout, process.stderr

    async def read(self) -> bytes:
        """Return what it printed meanwhile; raise `OSError` once it has ended."""
        data = await self._output.read(AT_ONCE)
        if not data:
            raise OSError(await self._complaint())
        return data

    async def read_all(self) -> bytes:
        """Return all that it prints until it ends; raise `OSError` if it ends badly."""
        data = b""
        while more := await self._output.read(AT_ONCE):
            data += more
            if len(data) > MOST:
                raise OSError(f"it prints more than {MOST} bytes")
        if await self._process.wait():
            raise OSError(await self._complaint())
        return data

    async def _complaint(self) -> str:
        said = (await self._errors.read(ERRORS)).decode(errors="replace").strip()
        status = await self._process.wait()
        return f"it ended with status {status}{': ' if said else ''}{said}"


@asynccontextmanager
async def running(program: str, arguments: Sequence[str]) -> AsyncIterator[Child]:
    """Run *program*, found on the system's own path, with fixed *arguments* and no shell."""
    process = await asyncio.create_subprocess_exec(
        find(program),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": PATH, "LC_ALL": "C"},
        cwd="/",
        limit=AT_ONCE,
        start_new_session=True,
    )
    try:
        yield Child(process)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
