"""The console socket as a Windows named pipe.

Only its owner, administrators and the system may write to a pipe that is made
with the default security; others could open it for reading at most, and a
server sends nothing to who has not said hello. The first instance of a pipe is
asked for, so the name of a living agent is never taken over.
https://learn.microsoft.com/windows/win32/ipc/named-pipe-security-and-access-rights
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from zeek_agent_core.errors import RemoteError

Factory = Callable[[], Any]
"""Makes an `asyncio.Protocol`; typeshed wants a subclass of it for no reason."""

if sys.platform == "win32":

    @asynccontextmanager
    async def listening(path: Path, factory: Factory) -> AsyncIterator[None]:
        """Accept connections at the pipe *path*; raise `RemoteError` if it is taken."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asyncio.ProactorEventLoop)  # noqa: S101 - the only one with pipes
        try:
            servers = await loop.start_serving_pipe(factory, str(path))
        except PermissionError as error:
            raise RemoteError(f"another agent answers at {path}") from error
        except OSError as error:
            raise RemoteError(f"cannot open {path}: {error.strerror}") from error
        try:
            yield
        finally:
            for server in servers:
                server.close()

    async def connect(path: Path, factory: Factory) -> asyncio.Transport:
        """Connect to the agent at the pipe *path*."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asyncio.ProactorEventLoop)  # noqa: S101 - the only one with pipes
        try:
            transport, _ = await loop.create_pipe_connection(factory, str(path))
        except OSError as error:
            raise RemoteError(f"no agent answers at {path}: {error.strerror}") from error
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is duplex
        return transport

    def is_trusted(_: asyncio.BaseTransport) -> bool:
        """Return that who got through the pipe's own security is welcome."""
        return True
