"""The agent's end of the console socket: answers any number of clients at once."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from zeek_agent_core import __version__
from zeek_agent_core.errors import LimitError, ProtocolError, QueryError, StatementError
from zeek_agent_core.query import Change, Result, ResultRow
from zeek_agent_core.remote import protocol
from zeek_agent_core.remote.protocol import (
    Ask,
    Cancel,
    Columns,
    End,
    Failed,
    Frames,
    Hello,
    Installed,
    Message,
    More,
    Refused,
    Request,
    Rows,
    Run,
    RunEnd,
    Subscribe,
    Terminate,
    Welcome,
)
from zeek_agent_core.repl.backend import Backend

if sys.platform == "win32":
    from zeek_agent_core.remote import pipes as endpoint
else:
    from zeek_agent_core.remote import unix as endpoint

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

MOST_CLIENTS = 64
MOST_REQUESTS = 32
"""Requests of one client that are under way."""
HELLO_SECONDS = 10.0
"""Time a client has for its hello."""
CLOSE_SECONDS = 2.0
REFUSE_SECONDS = 0.5
READ_BYTES = 1 << 16
BUFFER_BYTES = 1 << 18
"""Bytes that wait for a client to read them before its requests pause."""
FRAME_BYTES = 1 << 18
"""Size that a frame of rows should have; a single row may be larger."""
FRAME_ROWS = 1024
SHORTEST = timedelta(milliseconds=50)
LONGEST = timedelta(days=366)


@asynccontextmanager
async def serving(backend: Backend, path: Path, spawn: Spawn) -> AsyncIterator[None]:
    """Answer consoles at *path* with *backend*; raise `RemoteError` if that cannot be.

    *spawn* starts a named task that ends with the agent.
    """
    server = Server(backend, spawn)
    async with endpoint.listening(path, server.protocol):
        try:
            yield
        finally:
            await server.close()


class Server:
    """Holds the clients."""

    def __init__(self, backend: Backend, spawn: Spawn) -> None:
        """Answer with *backend*."""
        self.clients: dict[Client, asyncio.Task[None]] = {}
        self._backend = backend
        self._spawn = spawn
        self._refused: set[asyncio.StreamWriter] = set()
        self._is_closed = False

    def protocol(self) -> asyncio.Protocol:
        """Return what takes one connection."""
        reader = asyncio.StreamReader(limit=READ_BYTES)
        return asyncio.StreamReaderProtocol(reader, self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            writer.transport.abort()
        elif not endpoint.is_trusted(writer.transport):
            self._refuse(writer, "only root and the user of the agent may ask it")
        elif len(self.clients) >= MOST_CLIENTS:
            self._refuse(writer, f"{MOST_CLIENTS} consoles are connected already")
        else:
            client = Client(reader, writer, self._backend, self._spawn)
            task = self._spawn(client.run(), "console client")
            self.clients[client] = task
            task.add_done_callback(lambda _: self.clients.pop(client, None))

    def _refuse(self, writer: asyncio.StreamWriter, reason: str) -> None:
        """Tell a client why it is not served; its hello must not find a closed connection."""
        log.warning("console refused: %s", reason)
        writer.write(protocol.encode(Refused(0, reason)))
        self._refused.add(writer)
        asyncio.get_running_loop().call_later(REFUSE_SECONDS, self._drop, writer)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._refused.discard(writer)
        writer.transport.abort()

    async def close(self) -> None:
        """End all connections."""
        self._is_closed = True
        tasks = list(self.clients.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for writer in list(self._refused):
            self._drop(writer)


class Credit:
    """How many frames a client still takes."""

    def __init__(self) -> None:
        """Start with what every request may send at once."""
        self._semaphore = asyncio.Semaphore(protocol.WINDOW)
        self._lent = 0

    async def take(self) -> None:
        """Wait until one more frame may be sent."""
        await self._semaphore.acquire()
        self._lent += 1

    def give(self, frames: int) -> None:
        """Take note of used up *frames*; raise `ProtocolError` if there never were so many."""
        if frames > self._lent:
            raise ProtocolError("more frames are used up than were sent")
        self._lent -= frames
        for _ in range(frames):
            self._semaphore.release()


class Client:
    """One connection: reads requests, has a task for each."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        backend: Backend,
        spawn: Spawn,
    ) -> None:
        """Answer what *reader* brings."""
        self._reader = reader
        self._writer = writer
        self._backend = backend
        self._spawn = spawn
        self._is_welcome = False
        self._requests: dict[int, tuple[asyncio.Task[None], Credit]] = {}
        writer.transport.set_write_buffer_limits(high=BUFFER_BYTES)

    async def run(self) -> None:
        """Answer until the client goes; then stop all it asked for."""
        try:
            await self._read()
        except ProtocolError as error:
            log.warning("console disconnected: %s", error)
            self._write(Refused(0, str(error)))
        except OSError as error:
            log.debug("console connection lost: %s", error)
        finally:
            await self._end()

    async def _read(self) -> None:
        frames = Frames(protocol.MAX_REQUEST)
        async with asyncio.timeout(HELLO_SECONDS) as deadline:
            while data := await self._reader.read(READ_BYTES):
                for frame in frames.feed(data):
                    self._take(protocol.decode_request(frame))
                    if self._is_welcome:
                        deadline.reschedule(None)
                await self._writer.drain()  # who does not read is not listened to either

    async def _end(self) -> None:
        tasks = [task for task, _ in self._requests.values()]
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        finally:
            self._writer.close()
            if self._writer.transport.get_write_buffer_size():
                self._writer.transport.abort()

    def _write(self, message: Message) -> None:
        self._writer.write(protocol.encode(message))

    async def _send(self, message: Message) -> None:
        self._write(message)
        await self._writer.drain()

    def _take(self, request: Request) -> None:
        """Act on one request."""
        if isinstance(request, Hello):
            self._welcome(request)
        elif not self._is_welcome:
            raise ProtocolError("a client says hello first")
        elif isinstance(request, Cancel):
            if request.id in self._requests:
                self._requests[request.id][0].cancel()
        elif isinstance(request, More):
            if request.id in self._requests:
                self._requests[request.id][1].give(request.frames)
        elif request.id in self._requests:
            raise ProtocolError(f"request id {request.id} is in use")
        elif len(self._requests) >= MOST_REQUESTS:
            reason = f"a console can ask {MOST_REQUESTS} things at once, no more"
            self._write(Failed(request.id, LimitError(reason)))
        else:
            self._begin(request)

    def _welcome(self, hello: Hello) -> None:
        if hello.protocol != protocol.VERSION:
            raise ProtocolError(
                f"this agent (v{__version__}) speaks version {protocol.VERSION} of the protocol, "
                f"the console version {hello.protocol}"
            )
        self._is_welcome = True
        self._write(Welcome(hello.id, protocol.VERSION, __version__))

    def _begin(self, request: Ask | Subscribe | Terminate) -> None:
        credit = Credit()
        task = self._spawn(self._answer(request, credit), "console request")
        self._requests[request.id] = (task, credit)
        task.add_done_callback(lambda _: self._requests.pop(request.id, None))

    async def _answer(self, request: Ask | Subscribe | Terminate, credit: Credit) -> None:
        """Answer a request, with an error if it comes to that."""
        with suppress(OSError):  # the client has gone; its reader notices too
            try:
                if isinstance(request, Ask):
                    await self._query(request, credit)
                elif isinstance(request, Subscribe):
                    await self._subscribe(request, credit)
                else:
                    await self._send(End(request.id, 0, 0.0))
                    await self._backend.terminate()
            except QueryError as error:
                await self._send(Failed(request.id, error))

    async def _query(self, request: Ask, credit: Credit) -> None:
        count = 0
        async with self._backend.query(request.sql) as stream:
            await self._send(Columns(request.id, stream.columns))
            async for rows in stream:
                count += len(rows)
                await self._send_rows(request.id, None, rows, credit)
            seconds = stream.cpu_seconds
        await self._send(End(request.id, count, seconds))

    async def _subscribe(self, request: Subscribe, credit: Credit) -> None:
        if not SHORTEST <= request.interval <= LONGEST:
            raise StatementError("the interval must be between 0.05 s and 366 days")
        count = 0
        async with self._backend.subscribe(
            request.sql, request.subscription, request.interval
        ) as results:
            await self._send(Installed(request.id))
            while True:
                try:
                    result = await anext(results)
                except StopAsyncIteration:
                    break
                except QueryError as error:
                    await credit.take()
                    await self._send(Failed(request.id, error, is_final=False))
                    continue
                count += len(result)
                await self._send_run(request.id, result, credit)
        await self._send(End(request.id, count, 0.0))

    async def _send_run(self, request_id: int, result: Result, credit: Credit) -> None:
        await credit.take()
        await self._send(
            Run(
                request_id,
                result.columns,
                result.total,
                result.is_first,
                result.collected,
                result.duration,
            )
        )
        await self._send_rows(request_id, None, result.rows, credit)
        await self._send_rows(request_id, Change.DELETE, result.deleted, credit)
        await self._send_rows(request_id, Change.ADD, result.added, credit)
        await credit.take()
        await self._send(RunEnd(request_id))

    async def _send_rows(
        self, request_id: int, change: Change | None, rows: Sequence[ResultRow], credit: Credit
    ) -> None:
        for part in parts(rows):
            frame = protocol.encode(Rows(request_id, change, part))
            if len(frame) > protocol.MAX_REPLY:
                raise LimitError("a row is too large for the console socket; select less of it")
            await credit.take()
            self._writer.write(frame)
            await self._writer.drain()


def parts(rows: Sequence[ResultRow]) -> Iterator[Sequence[ResultRow]]:
    """Yield *rows* in parts for one frame each; sizes are judged by a few rows."""
    begin = 0
    while begin < len(rows):
        sample = rows[begin : begin + FRAME_ROWS : 128]
        size = sum(len(v) for row in sample for v in row if isinstance(v, str | bytes))
        count = max(1, min(FRAME_ROWS, FRAME_BYTES * len(sample) // (size + 1)))
        yield rows if count >= len(rows) else rows[begin : begin + count]
        begin += count
