"""Both ends of the console socket, in one process."""

import asyncio
import gc
import random
import struct
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import fruits, numbers
from zeek_agent_core import __version__
from zeek_agent_core.errors import (
    ConnectionLostError,
    LimitError,
    ProtocolError,
    RemoteError,
    StatementError,
    StoppedError,
    TableError,
)
from zeek_agent_core.query import Change, Result, ResultColumn, Subscription
from zeek_agent_core.remote import client as client_module
from zeek_agent_core.remote import protocol, server, unix
from zeek_agent_core.remote.client import RemoteBackend
from zeek_agent_core.remote.protocol import Ask, Cancel, Frames, Hello, More, Terminate
from zeek_agent_core.repl.local import LocalBackend
from zeek_agent_core.sql.database import Database

SECOND = timedelta(seconds=1)


class Stream:
    """A result that counts what is fetched of it."""

    columns = (ResultColumn("a"),)
    cpu_seconds = 0.5

    def __init__(self, batches, rows=10, size=10):
        """Have some batches of rows of some size."""
        self.batches = batches
        self.row = ("x" * size,)
        self.rows = rows
        self.fetched = 0
        self.is_closed = False

    async def __aiter__(self):
        """Yield the batches."""
        for _ in range(self.batches):
            self.fetched += 1
            await asyncio.sleep(0)
            yield [self.row] * self.rows

    def cancel(self):
        """Do nothing."""


class Backend:
    """Answers with what the test says."""

    def __init__(self, answers=None, results=()):
        """Answer statements with *answers*, subscriptions with *results*."""
        self.answers = answers or {}
        self.results = results
        self.is_terminated = False
        self.subscribed = 0

    @asynccontextmanager
    async def query(self, sql):
        """Run a statement."""
        answer = self.answers[sql]
        if isinstance(answer, Exception):
            raise answer
        try:
            yield answer
        finally:
            answer.is_closed = True

    @asynccontextmanager
    async def subscribe(self, sql, subscription, interval):
        """Repeat a statement."""
        self.asked = (sql, subscription, interval)
        self.subscribed += 1
        try:
            yield Results(list(self.results))
        finally:
            self.subscribed -= 1

    async def terminate(self):
        """End."""
        self.is_terminated = True

    async def wait_closed(self):
        """Return."""


class Results:
    """Results and errors one after the other, then silence."""

    def __init__(self, items):
        """Have *items*."""
        self.items = items

    def __aiter__(self):
        """Return itself."""
        return self

    async def __anext__(self):
        """Return or raise the next item."""
        if not self.items:
            await asyncio.sleep(3600)
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture
def path(tmp_path):
    """Return where the socket is."""
    return tmp_path / "agent.sock"


@asynccontextmanager
async def served(backend, path):
    """Serve *backend* at *path*; nothing may be left of it in the end."""
    tasks = set()

    def spawn(work, name):
        task = asyncio.get_running_loop().create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    async with server.serving(backend, path, spawn):
        yield tasks
    await asyncio.sleep(0)
    assert not tasks


async def until(condition, seconds=5):
    """Wait until *condition* holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def rows_of(backend, sql):
    """Return all rows of *sql*."""
    async with backend.query(sql) as stream:
        return [row async for batch in stream for row in batch]


async def test_a_query_over_the_socket_is_the_query(path):
    """Columns, rows and cost are those of the agent."""
    sql = "SELECT *, 1.5, x'00ff', NULL FROM fruits"
    async with Database([fruits()]) as database:
        local = LocalBackend(type("Agent", (), {"database": database}), None)
        async with served(local, path), RemoteBackend(path) as remote:
            assert remote.version == __version__
            async with remote.query(sql) as stream, local.query(sql) as own:
                assert stream.columns == own.columns
                assert [row async for batch in stream for row in batch] == [
                    row async for batch in own for row in batch
                ]
                assert stream.cpu_seconds > 0


async def test_many_requests_share_a_connection(path):
    """Results that come at once do not mix."""
    answers = {str(size): Stream(20, size=size) for size in range(20)}
    async with served(Backend(answers), path), RemoteBackend(path) as remote:
        found = await asyncio.gather(*(rows_of(remote, sql) for sql in answers))
    assert [{row[0] for row in rows} for rows in found] == [{"x" * size} for size in range(20)]


@pytest.mark.parametrize("error", [StatementError("no"), TableError("t", "gone"), LimitError("!")])
async def test_errors_arrive_as_they_are(path, error):
    """What the agent raises the console raises."""
    async with served(Backend({"a": error}), path), RemoteBackend(path) as remote:
        with pytest.raises(type(error), match=str(error)):
            await rows_of(remote, "a")


async def test_a_slow_reader_stops_only_its_own_query(path):
    """Who does not go on reading has a few frames sent; other results come in full."""
    slow = Stream(1000, rows=100, size=1000)
    async with (
        served(Backend({"slow": slow, "fast": Stream(100)}), path),
        RemoteBackend(path) as remote,
        remote.query("slow") as stream,
    ):
        batches = aiter(stream)
        await anext(batches)
        assert len(await rows_of(remote, "fast")) == 1000
        await asyncio.sleep(0.05)
        assert slow.fetched <= protocol.WINDOW + 3
        count = 100 + sum([len(batch) async for batch in batches])
    assert count == 100_000


async def test_a_client_that_reads_nothing_stops_its_queries(path):
    """Without a reader at all the agent holds a few frames, however many are allowed."""
    stream = Stream(1000, rows=100, size=5000)
    async with served(Backend({"a": stream}), path):
        _, writer = await asyncio.open_unix_connection(path)
        for message in (Hello(0, protocol.VERSION), Ask(1, "a")):
            writer.write(protocol.encode(message))
        await until(lambda: stream.fetched)
        await asyncio.sleep(0.05)
        assert stream.fetched <= protocol.WINDOW + 3
        writer.transport.abort()
        await until(lambda: stream.is_closed)


async def test_leaving_stops_the_statement(path):
    """A console that has seen enough ends the statement at the agent."""
    stream = Stream(10_000)
    async with served(Backend({"a": stream}), path) as tasks, RemoteBackend(path) as remote:
        async with remote.query("a") as result:
            async for _ in result:
                break
        await until(lambda: stream.is_closed)
        assert stream.fetched < 100
        await until(lambda: len(tasks) == 1)


async def test_cancel_ends_the_iteration_at_once(path):
    """Who iterates over a cancelled statement gets a StoppedError, the agent stops too."""
    stream = Stream(10_000)
    async with served(Backend({"a": stream}), path), RemoteBackend(path) as remote:
        async with remote.query("a") as result:
            batches = aiter(result)
            await anext(batches)
            result.cancel()
            with pytest.raises(StoppedError):
                await anext(batches)
        await until(lambda: stream.is_closed)


async def test_cancel_stops_a_statement_that_never_ends(path):
    """A console that gives up waiting for the first row stops the agent's work."""
    sql = "SELECT count(*) FROM numbers"
    async with Database([numbers()]) as database:
        local = LocalBackend(type("Agent", (), {"database": database}), None)
        async with served(local, path), RemoteBackend(path) as remote:
            asked = asyncio.ensure_future(rows_of(remote, sql))
            await until(lambda: database._runs)
            asked.cancel()
            await until(lambda: not database._runs)
            assert await rows_of(remote, "SELECT 1") == [(1,)]


async def test_a_client_that_goes_stops_all_it_asked_for(path):
    """Statements and subscriptions end with their client."""
    streams = [Stream(10**6) for _ in range(5)]
    backend = Backend({str(number): stream for number, stream in enumerate(streams)})
    async with served(backend, path) as tasks:
        async with RemoteBackend(path) as remote:
            for sql in backend.answers:
                await anext(aiter(await remote.query(sql).__aenter__()))
            await remote.subscribe("s", Subscription.EVENTS, SECOND).__aenter__()
            assert backend.subscribed == 1
        await until(lambda: all(stream.is_closed for stream in streams))
        await until(lambda: not backend.subscribed and not tasks)


async def test_a_subscription_brings_whole_results(path):
    """Results of many frames arrive in one piece, errors between them are raised."""
    columns = (ResultColumn("a"), ResultColumn("b"))
    many = [(number, None) for number in range(3000)]
    results = [
        Result(columns, many, [], [], total=3000, collected=1.5, duration=SECOND),
        StatementError("not now"),
        Result(columns, deleted=[(1, b"x")], added=many, total=3, is_first=False),
        Result(columns, [], [], [], total=3, is_first=False),
    ]
    backend = Backend(results=results)
    async with (
        served(backend, path),
        RemoteBackend(path) as remote,
        remote.subscribe("s", Subscription.DIFFERENCES, SECOND) as subscription,
    ):
        assert backend.asked == ("s", Subscription.DIFFERENCES, SECOND)
        assert await anext(subscription) == results[0]
        with pytest.raises(StatementError, match="not now"):
            await anext(subscription)
        changes = list((await anext(subscription)).changes())
        assert changes[0] == (Change.DELETE, (1, b"x"))
        assert changes[1:] == [(Change.ADD, row) for row in many]
        assert await anext(subscription) == results[3]


async def test_an_interval_has_bounds(path):
    """A client cannot have a statement run without pause."""
    async with served(Backend(), path), RemoteBackend(path) as remote:
        with pytest.raises(StatementError, match="interval"):
            async with remote.subscribe("s", Subscription.EVENTS, timedelta(microseconds=1)):
                pass


async def test_terminate_ends_the_agent(path):
    """The request is acknowledged, and the agent told."""
    backend = Backend()
    async with served(backend, path), RemoteBackend(path) as remote:
        await remote.terminate()
        await until(lambda: backend.is_terminated)


async def test_the_end_of_the_agent_ends_everything(path):
    """Who waits for rows, and who waits for the end, both learn of it at once."""
    async with stoppable(path) as (remote, stop):
        async with remote.subscribe("s", Subscription.EVENTS, SECOND) as subscription:
            waiting = asyncio.ensure_future(anext(subscription))
            closed = asyncio.ensure_future(remote.wait_closed())
            await asyncio.sleep(0.01)
            await stop()
            async with asyncio.timeout(1):
                with pytest.raises(ConnectionLostError, match="is gone"):
                    await waiting
                await closed
        with pytest.raises(ConnectionLostError):
            await rows_of(remote, "a")


@asynccontextmanager
async def stoppable(path):
    """Connect to a server that can be stopped from outside."""
    serving = served(Backend(), path)
    await serving.__aenter__()
    async with RemoteBackend(path) as remote:
        yield remote, lambda: serving.__aexit__(None, None, None)


async def test_a_large_value_arrives(path):
    """A single row may be larger than a frame should be."""
    stream = Stream(2, rows=3, size=5_000_000)
    async with served(Backend({"a": stream}), path), RemoteBackend(path) as remote:
        rows = await rows_of(remote, "a")
    assert [len(row[0]) for row in rows] == [5_000_000] * 6


async def test_too_large_a_row_is_an_error(path, monkeypatch):
    """A row that no frame can hold fails its statement only."""
    monkeypatch.setattr(protocol, "MAX_REPLY", 1 << 16)
    stream = Stream(1, rows=1, size=100_000)
    async with served(Backend({"a": stream, "b": Stream(1)}), path), RemoteBackend(path) as remote:
        with pytest.raises(LimitError, match="too large"):
            await rows_of(remote, "a")
        assert await rows_of(remote, "b")


async def test_requests_are_bounded(path, monkeypatch):
    """One request too many is refused, and those before it go on."""
    monkeypatch.setattr(server, "MOST_REQUESTS", 2)
    backend = Backend({"a": Stream(10**6), "b": Stream(1)})
    async with served(backend, path), RemoteBackend(path) as remote:
        async with remote.query("a") as one, remote.query("a"):
            with pytest.raises(LimitError, match="no more"):
                await rows_of(remote, "b")
            await anext(aiter(one))
        await asyncio.sleep(0.05)
        assert await rows_of(remote, "b")


async def test_clients_are_bounded(path, monkeypatch):
    """One client too many is told so; once another goes there is room."""
    monkeypatch.setattr(server, "MOST_CLIENTS", 2)
    async with served(Backend(), path) as tasks, RemoteBackend(path):
        async with RemoteBackend(path):
            with pytest.raises(RemoteError, match="2 consoles are connected already"):
                async with RemoteBackend(path):
                    pass
        await until(lambda: len(tasks) == 1)
        async with RemoteBackend(path):
            pass


async def test_another_user_is_refused(path, monkeypatch):
    """Who gets through to the socket but is another user is told so and nothing else."""
    trusted = iter([True, False])  # of the console, of the agent
    monkeypatch.setattr(unix, "is_trusted", lambda _: next(trusted))
    async with served(Backend(), path):
        with pytest.raises(RemoteError, match="only root and the user of the agent"):
            async with RemoteBackend(path):
                pass


async def test_an_agent_of_another_user_is_refused(path, monkeypatch):
    """A console does not talk to a process that is neither root's nor its user's."""
    async with served(Backend(), path):
        monkeypatch.setattr(unix, "is_trusted", lambda _: False)
        with pytest.raises(RemoteError, match="neither yours nor root's"):
            await unix.connect(path, asyncio.Protocol)
        await asyncio.sleep(0.05)


async def test_another_version_is_refused(path, monkeypatch):
    """Versions that do not fit are told, both of them."""
    async with served(Backend(), path):
        reply = await told(path, protocol.encode(Hello(0, 99)))
    assert "speaks version 1" in reply.reason
    assert "version 99" in reply.reason


async def told(path, data):
    """Return the last thing that the agent says after *data*, before it closes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    async with asyncio.timeout(5):
        *_, last = Frames(protocol.MAX_REPLY).feed(await reader.read(-1))
    writer.close()
    return protocol.decode_reply(last)


HELLO = protocol.encode(Hello(0, protocol.VERSION))
HOSTILE = [
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack("!I", 2**32 - 1),
    struct.pack("!I", 3) + b"[1]",
    protocol.encode(Ask(1, "a")),
    HELLO + protocol.encode(protocol.RunEnd(1)),
    HELLO + struct.pack("!I", 500_000) + b"[" * 500_000,
    HELLO + protocol.encode(Terminate(1)) + protocol.encode(Ask(1, "a")),
    HELLO + protocol.encode(Ask(1, "a")) + protocol.encode(More(1, 2**60)),
]


@pytest.mark.parametrize("data", HOSTILE)
async def test_garbage_ends_its_connection_only(path, data):
    """What makes no sense is answered with a reason; others are served as before."""
    backend = Backend({"a": Stream(10)})
    async with served(backend, path), RemoteBackend(path) as remote:
        assert isinstance(await told(path, data), protocol.Refused)
        assert await rows_of(remote, "a")


async def test_random_clients_leave_nothing_behind(path):
    """A server survives damaged conversations, and forgets them."""
    dice = random.Random(3)
    good = HELLO + b"".join(
        protocol.encode(message)
        for message in (Ask(1, "a"), Ask(2, "b"), Cancel(1), More(2, 1), Terminate(3))
    )
    backend = Backend({"a": Stream(100), "b": StatementError("no")})
    async with served(backend, path) as tasks:
        for _ in range(150):
            data = bytearray(good)
            for _ in range(dice.randrange(4)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(data[: dice.randrange(1, len(data))])
            await asyncio.sleep(0)
            writer.transport.abort()
        await until(lambda: not tasks)
        async with RemoteBackend(path) as remote:
            assert await rows_of(remote, "a")


def open_files():
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_connections_leave_nothing_behind(path):
    """After 200 connections there are as many open files and tasks as before."""
    async with served(Backend({"a": Stream(1)}), path) as tasks:

        async def connect():
            async with RemoteBackend(path) as remote:
                await rows_of(remote, "a")

        await connect()
        await until(lambda: not tasks)
        gc.collect()
        files, pending = open_files(), len(asyncio.all_tasks())
        for _ in range(200):
            await connect()
        await until(lambda: not tasks)
        assert open_files() == files
        assert len(asyncio.all_tasks()) == pending


async def test_who_says_no_hello_is_disconnected(path, monkeypatch):
    """A client that stays silent does not keep its place."""
    monkeypatch.setattr(server, "HELLO_SECONDS", 0.05)
    async with served(Backend(), path) as tasks:
        reader, writer = await asyncio.open_unix_connection(path)
        async with asyncio.timeout(5):
            await reader.read(-1)
        writer.close()
        await until(lambda: not tasks)


async def test_a_flood_without_a_reader_is_not_listened_to(path):
    """Requests whose errors nobody reads do not fill the agent's memory."""
    backend = Backend({"a": StatementError("no" * 5000)})
    async with served(backend, path):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(HELLO)
        flood = b"".join(protocol.encode(Ask(number, "a")) for number in range(1, 50_000))
        writer.write(flood)
        await asyncio.sleep(0.3)
        assert writer.transport.get_write_buffer_size() > 0
        writer.transport.abort()


class Peer(asyncio.Protocol):
    """An agent that says what a test wants as soon as it hears something."""

    def __init__(self, *replies):
        """Answer with *replies*, one for each read."""
        self.replies = list(replies)

    def connection_made(self, transport):
        """Note the connection."""
        self.transport = transport

    def data_received(self, data):
        """Say the next thing."""
        if self.replies:
            self.transport.write(self.replies.pop(0))


WELCOME = protocol.encode(protocol.Welcome(1, protocol.VERSION, "3"))
COLUMNS = protocol.encode(protocol.Columns(2, (ResultColumn("a"),)))
ROWS = protocol.encode(protocol.Rows(2, None, [(1,)]))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"\0\0\0\x05hello", "makes no sense"),
        (struct.pack("!I", 2**31), "not acceptable"),
        (COLUMNS + ROWS * 1000, "more than was asked for"),
        (ROWS, "answers with Rows"),
        (COLUMNS + COLUMNS, "answers with Columns"),
        (COLUMNS + protocol.encode(protocol.RunEnd(2)), "answers with RunEnd"),
    ],
)
async def test_a_strange_agent_is_an_error(path, answer, message):
    """An agent that does not keep to the protocol gives a clear error."""
    async with unix.listening(path, lambda: Peer(WELCOME, answer)), RemoteBackend(path) as remote:
        with pytest.raises(ProtocolError, match=message):
            await rows_of(remote, "a")


async def test_a_silent_agent_is_an_error(path, monkeypatch):
    """An agent that is stopped, or hangs, does not hang its consoles."""
    monkeypatch.setattr(client_module, "HELLO_SECONDS", 0.05)
    async with unix.listening(path, Peer):
        with pytest.raises(RemoteError, match="does not answer"):
            async with RemoteBackend(path):
                pass


async def test_closing_twice_is_fine(path):
    """A console that is closed can be closed again."""
    async with served(Backend(), path):
        remote = RemoteBackend(path)
        async with remote:
            pass
        await remote.__aexit__(None, None, None)
        await remote.wait_closed()


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000])
def test_parts_are_all_rows_in_order(size):
    """Rows are cut into frames, none is lost, none is empty."""
    rows = [(number, "x" * size) for number in range(3000 if size < 1000 else 40)]
    parts = list(server.parts(rows))
    assert [row for part in parts for row in part] == rows
    assert all(0 < len(part) <= server.FRAME_ROWS for part in parts)
    if size == 300_000:
        assert len(parts) == 40
