"""The console's end of the socket: a running agent as a `Backend`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from zeek_agent_core.errors import (
    ConnectionLostError,
    ProtocolError,
    RemoteError,
    StoppedError,
)
from zeek_agent_core.query import Change, Result, ResultColumn, ResultRow, Subscription
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
    More,
    Refused,
    Reply,
    Rows,
    Run,
    RunEnd,
    Subscribe,
    Terminate,
    Welcome,
)
from zeek_agent_core.repl.backend import Stream

if sys.platform == "win32":
    from zeek_agent_core.remote import pipes as endpoint
else:
    from zeek_agent_core.remote import unix as endpoint

R = TypeVar("R")

HELLO_SECONDS = 5.0
"""Time an agent has for its welcome."""


class RemoteBackend:
    """An agent behind a console socket; use as ``async with RemoteBackend(path) as agent``."""

    def __init__(self, path: Path) -> None:
        """Prepare; nothing happens before ``async with``."""
        self.version = ""
        """Version of the agent."""
        self._path = path
        self._channel = Channel(path)

    async def __aenter__(self) -> Self:
        """Connect; raise `RemoteError` if no agent of ours or root's is there."""
        channel = self._channel
        await endpoint.connect(self._path, lambda: channel)
        answer = Answer(channel)
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                channel.send(Hello(answer.id, protocol.VERSION))
                welcome = await answer.expect(Welcome)
        except TimeoutError as error:
            channel.close()
            raise RemoteError(f"the agent at {self._path} does not answer") from error
        except BaseException:
            channel.close()
            raise
        answer.forget()
        self.version = welcome.agent
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection; the agent stops what was asked of it."""
        self._channel.close()

    def query(self, sql: str) -> AbstractAsyncContextManager[Stream]:
        """Run *sql* once; entering raises `QueryError` where it does not compile."""
        return RemoteStream(self._channel, sql)

    def subscribe(
        self, sql: str, subscription: Subscription, interval: timedelta
    ) -> AbstractAsyncContextManager[AsyncIterator[Result]]:
        """Run *sql* again and again; leaving the context cancels it."""
        return RemoteResults(self._channel, sql, subscription, interval)

    async def terminate(self) -> None:
        """End the agent."""
        answer = Answer(self._channel)
        try:
            self._channel.send(Terminate(answer.id))
            await answer.expect(End)
        finally:
            answer.forget()

    async def wait_closed(self) -> None:
        """Return once the agent is gone."""
        await self._channel.closed.wait()


class Channel(asyncio.Protocol):
    """The connection: hands each answer to who asked."""

    def __init__(self, path: Path) -> None:
        """Prepare for the agent at *path*."""
        self.closed = asyncio.Event()
        self.answers: dict[int, Answer] = {}
        self.ids = count(1)
        self._frames = Frames(protocol.MAX_REPLY)
        self._lost = ConnectionLostError(f"the agent at {path} is gone")
        self._error: RemoteError | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to write to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - sockets and pipes are
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on what *data* completes."""
        try:
            for frame in self._frames.feed(data):
                self._hand_on(protocol.decode_reply(frame))
        except RemoteError as error:
            self._fail(error)

    def _hand_on(self, reply: Reply) -> None:
        if isinstance(reply, Refused):
            raise RemoteError(f"the agent refuses: {reply.reason}")
        answer = self.answers.get(reply.id)
        if answer is not None:  # else it was cancelled, and this was on its way already
            answer.put(reply)

    def eof_received(self) -> None:
        """Close: the agent is gone."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell everyone who waits."""
        self._fail(self._lost)

    def _fail(self, error: RemoteError) -> None:
        if self._error is None:
            self._error = error
            for answer in self.answers.values():
                answer.fail(error)
        self.close()
        self.closed.set()

    def send(self, request: protocol.Request) -> None:
        """Send *request*; raise `ConnectionLostError` or why else the connection is over."""
        if self._error is not None:
            raise self._error
        if self._transport is None or self._transport.is_closing():
            raise self._lost
        self._transport.write(protocol.encode(request))

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        if self._transport is not None:
            self._transport.abort()


class Answer:
    """What has come in answer to one request, and is not used up yet."""

    def __init__(self, channel: Channel) -> None:
        """Expect an answer on *channel*."""
        self.id = next(channel.ids)
        self._channel = channel
        self._replies: asyncio.Queue[Reply | RemoteError | StoppedError] = asyncio.Queue()
        self._used = 0
        self._is_over = False
        channel.answers[self.id] = self

    def put(self, reply: Reply) -> None:
        """Take in a reply; there are no more of them than there is credit for."""
        if self._replies.qsize() > protocol.WINDOW + 2:
            raise ProtocolError("the agent sends more than was asked for")
        self._is_over = isinstance(reply, End) or (isinstance(reply, Failed) and reply.is_final)
        self._replies.put_nowait(reply)

    def fail(self, error: RemoteError | StoppedError) -> None:
        """Have who waits for a reply get *error*."""
        self._replies.put_nowait(error)

    def stop(self) -> None:
        """Drop what has come, and have the agent stop."""
        while not self._replies.empty():
            self._replies.get_nowait()
        self.forget()
        self.fail(StoppedError("the query was cancelled"))

    async def next(self) -> Reply:
        """Return the next reply; raise what ended the request instead."""
        reply = await self._replies.get()
        if isinstance(reply, Exception):
            self._replies.put_nowait(reply)  # who asks once more gets it once more
            raise reply
        if isinstance(reply, Failed):
            if not reply.is_final:
                self._use_up()
            raise reply.error
        if isinstance(reply, Rows | Run | RunEnd):
            self._use_up()
        return reply

    def _use_up(self) -> None:
        self._used += 1
        if self._used >= protocol.WINDOW // 2 and not self._is_over:
            self._channel.send(More(self.id, self._used))
            self._used = 0

    async def expect(self, kind: type[R]) -> R:
        """Return the next reply, which must be a *kind*."""
        return checked(await self.next(), kind)

    def forget(self) -> None:
        """Want no more of this; the agent is told unless it has said all."""
        if self._channel.answers.pop(self.id, None) is None or self._is_over:
            return
        try:
            self._channel.send(Cancel(self.id))
        except RemoteError:  # then the agent has stopped anyway
            return


def checked(reply: Reply, kind: type[R]) -> R:
    """Return *reply*, which must be a *kind*."""
    if not isinstance(reply, kind):
        raise ProtocolError(f"the agent answers with {type(reply).__name__}")
    return reply


class RemoteStream:
    """A statement under way at the agent."""

    def __init__(self, channel: Channel, sql: str) -> None:
        """Prepare; nothing happens before ``async with``."""
        self.columns: tuple[ResultColumn, ...] = ()
        self.cpu_seconds = 0.0
        self._channel = channel
        self._sql = sql
        self._answer: Answer

    async def __aenter__(self) -> Self:
        """Have the agent compile and start the statement."""
        self._answer = answer = Answer(self._channel)
        try:
            self._channel.send(Ask(answer.id, self._sql))
            self.columns = (await answer.expect(Columns)).columns
        except BaseException:
            answer.forget()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the statement, whether or not all its rows were read."""
        self._answer.forget()

    async def __aiter__(self) -> AsyncIterator[list[ResultRow]]:
        """Yield the batches."""
        while not isinstance(reply := await self._answer.next(), End):
            yield list(checked(reply, Rows).rows)
        self.cpu_seconds = reply.seconds

    def cancel(self) -> None:
        """Stop the statement; who iterates gets a `StoppedError`."""
        self._answer.stop()


class RemoteResults:
    """A repeating statement at the agent; both the context and its iterator."""

    def __init__(
        self, channel: Channel, sql: str, subscription: Subscription, interval: timedelta
    ) -> None:
        """Prepare; nothing happens before ``async with``."""
        self._channel = channel
        self._what = (sql, subscription, interval)
        self._answer: Answer

    async def __aenter__(self) -> AsyncIterator[Result]:
        """Have the agent install the statement."""
        self._answer = answer = Answer(self._channel)
        try:
            self._channel.send(Subscribe(answer.id, *self._what))
            await answer.expect(Installed)
        except BaseException:
            answer.forget()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel the statement."""
        self._answer.forget()

    def __aiter__(self) -> AsyncIterator[Result]:
        """Return itself."""
        return self

    async def __anext__(self) -> Result:
        """Return the next result; a failed run raises `QueryError`, and one may go on."""
        reply = await self._answer.next()
        if isinstance(reply, End):
            raise StopAsyncIteration
        run = checked(reply, Run)
        rows: dict[Change | None, list[ResultRow]] = {None: [], Change.DELETE: [], Change.ADD: []}
        while not isinstance(reply := await self._answer.next(), RunEnd):
            part = checked(reply, Rows)
            rows[part.change] += part.rows
        return Result(
            columns=run.columns,
            rows=rows[None],
            deleted=rows[Change.DELETE],
            added=rows[Change.ADD],
            total=run.total,
            is_first=run.is_first,
            collected=run.collected,
            duration=run.duration,
        )
