"""A proxy between an agent and a Zeek that delays, throttles and cuts."""

import asyncio
from dataclasses import dataclass
from typing import Self


@dataclass(slots=True)
class Harm:
    """What is done to the bytes of one direction."""

    delay: float = 0.0
    """Seconds by which every piece is late."""
    rate: float = 0.0
    """Bytes per second; 0 does not bound them."""
    chunk: int = 65536
    """Bytes passed on at once."""
    cut_after: int | None = None
    """Bytes after which the connection is broken off, both ways."""


class Proxy:
    """A listening proxy in front of *port*; `async with` opens and closes it."""

    def __init__(
        self,
        port: int,
        to_zeek: Harm | None = None,
        to_agent: Harm | None = None,
        *,
        listen: int = 0,
    ) -> None:
        """Do harm to what goes to Zeek, and to what goes to the agent; 0 takes any free port."""
        self.to_zeek = to_zeek or Harm()
        self.to_agent = to_agent or Harm()
        self.passed = [0, 0]
        """Bytes that went to Zeek, and to the agent."""
        self.port = listen
        self._behind = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def destination(self) -> str:
        """What an agent is to be told."""
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._tasks.add(task)
        onward = None
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._behind)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, onward, self.to_zeek, 0))
                tasks.create_task(self._pass_on(there, writer, self.to_agent, 1))
        except* (OSError, EOFError):
            pass
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()
            self._tasks.discard(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, harm: Harm, way: int
    ) -> None:
        passed = 0
        while data := await reader.read(harm.chunk):
            if harm.delay:
                await asyncio.sleep(harm.delay)
            if harm.rate:
                await asyncio.sleep(len(data) / harm.rate)
            left = None if harm.cut_after is None else harm.cut_after - passed
            writer.write(data[:left])
            await writer.drain()
            passed += len(data[:left])
            self.passed[way] += len(data[:left])
            if left is not None and len(data) >= left:
                await asyncio.sleep(0.001)  # let what was written arrive
                raise EOFError
        raise EOFError
