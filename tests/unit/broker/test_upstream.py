"""What upstream's end-to-end tests expect, with real tables, a session, and a Zeek made of text."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.unit.broker.zeeks import AGENT, ALL, Talk
from zeek_agent_core import kernel
from zeek_agent_core.broker import codec, data
from zeek_agent_core.broker.actions import Cancel, Install, Publish, PublishRows
from zeek_agent_core.config import Config, PolicyConfig
from zeek_agent_core.errors import QueryError

LIMIT = 5.0


class Bridge(Talk):
    """Carries a session's orders out: in the scheduler, and to what stands for Zeek."""

    def __init__(self, agent):
        super().__init__()
        self.agent = agent
        self.seen = []
        self.news = asyncio.Event()

    async def carry(self, orders):
        frames = codec.Frames(self.session.rules)
        for order in orders:
            if isinstance(order, Install):
                try:
                    await self.agent.scheduler.install(order.query, self)
                except QueryError as error:
                    await self.carry(self.session.install_failed(order.query.id, error))
            elif isinstance(order, Cancel):
                self.agent.scheduler.cancel(order.query_id)
            elif isinstance(order, PublishRows):
                self.arrive(frames.of(order))
            elif isinstance(order, Publish):
                self.arrive([codec.encode_event(order.topic, order.event, order.arguments)])

    def arrive(self, frames):
        self.seen += [codec.decode_frame(frame) for frame in frames]
        self.news.set()

    def result(self, query, result):
        return self.carry(self.session.result(query.id, result))

    def failed(self, query, error):
        for order in self.session.failed(query.id, error):
            self.arrive([codec.encode_event(order.topic, order.event, order.arguments)])

    def done(self, query, *, is_cancelled):
        self.session.done(query.id, is_cancelled=is_cancelled)

    async def asked(self, sql, **fields):
        """Install a query as Zeek does."""
        await self.carry(self.install(sql=sql, **fields))

    async def events(self, name, count):
        """Return the arguments of the first *count* events called *name*."""
        async with asyncio.timeout(LIMIT):
            while len(found := [e.arguments for e in self.seen if e.name == name]) < count:
                self.news.clear()
                await self.news.wait()
        return found[:count]


@asynccontextmanager
async def joined(tmp_path, *, is_mock=False, **settings):
    """Yield an agent that a Zeek has joined."""
    config = Config(state_dir=tmp_path, agent_id=AGENT, **settings)
    async with kernel.running(config, is_mock=is_mock) as agent:
        bridge = Bridge(agent)
        await bridge.carry(bridge.connect())
        await bridge.carry(bridge.hello())
        yield bridge


async def test_log(tmp_path):
    """A hello with the agent's facts arrives, which makes Zeek log a join."""
    async with joined(tmp_path) as bridge:
        [(context, hello)] = await bridge.events("ZeekAgentAPI::agent_hello_v1", 1)
        assert context[0] == hello[0] == AGENT
        assert len(hello) == 12


async def test_error(tmp_path):
    """A query on a missing table is answered with the C++ agent's text, once."""
    async with joined(tmp_path) as bridge:
        await bridge.asked("SELECT foo FROM bar")
        [(context, text)] = await bridge.events("ZeekAgentAPI::agent_error_v1", 1)
        assert context[2] == "za_1"
        assert text == (
            "could not compile query (failed to compile SQL statement: "
            "SELECT foo FROM bar (no such table: bar))"
        )


async def test_query(tmp_path):
    """One result, the cookie in its context, the version as a count."""
    async with joined(tmp_path) as bridge:
        await bridge.asked(
            "SELECT agent_version FROM zeek_agent",
            every=20.0,
            subscription="Snapshots",
            cookie="Hurz",
        )
        [(context, columns)] = await bridge.events("E::result", 1)
        assert context[4] == "Hurz"
        assert type(columns[0]) is data.Count


async def test_scheduled(tmp_path):
    """Exactly two results, none after the cancellation."""
    async with joined(tmp_path) as bridge:
        await bridge.asked("SELECT id FROM zeek_agent", every=0.1, subscription="Snapshots")
        assert await bridge.events("E::result", 2)
        await bridge.carry(bridge.cancel())
        count = len(bridge.seen)
        await asyncio.sleep(0.3)
        assert len(bridge.seen) == count


@pytest.mark.parametrize(
    ("sql", "fields"),
    [
        ("SELEC nothing FROM bar", {"requires": ("bar",)}),
        ("SELECT * FROM zeek_agent", {"missing": ("zeek_agent",)}),
    ],
)
async def test_preconditions(tmp_path, sql, fields):
    """Neither result nor error where a table is missing, or is there; wrong SQL does not matter."""
    async with joined(tmp_path) as bridge:
        count = len(bridge.seen)
        await bridge.asked(sql, subscription="Snapshots", **fields)
        await asyncio.sleep(0.2)
        assert len(bridge.seen) == count


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT * FROM files_list('/etc/*')",
            {"path": "text_a_b", "type": "text_a_c", "uid": 103, "gid": 104, "mode": "text_a_f",
             "size": 107},
        ),
        (
            "SELECT name,pid,uid,gid,ppid,priority,startup FROM processes",
            {"name": "text_a_a", "pid": 101, "uid": 103, "gid": 104, "ppid": 102,
             "priority": "text_a_h", "startup": 18 * 10**9},
        ),
        (
            "SELECT * FROM sockets",
            {"pid": 100, "process": "text_a_b", "family": "text_a_c", "protocol": 103,
             "local_addr": "192.168.1.5", "local_port": 105, "remote_addr": "192.168.1.7",
             "remote_port": 107, "state": "text_a_i"},
        ),
        (
            "SELECT * FROM files_lines('/x')",
            {"path": "text_a_b", "number": 102, "content": "blob_a_d"},
        ),
        (
            "SELECT * FROM users",
            {"name": "text_a_a", "full_name": "text_a_b", "is_admin": False, "is_system": False,
             "uid": "text_a_e", "gid": 105, "home": "text_a_g", "shell": "text_a_h",
             "email": "text_a_i"},
        ),
    ],
)  # fmt: skip
async def test_tables(tmp_path, sql, expected):
    """The first row of each stock table, made up, arrives with the values Zeek logs."""
    async with joined(tmp_path, is_mock=True) as bridge:
        if sql.split("FROM ")[1].partition("(")[0] not in bridge.agent.database.tables:
            pytest.skip("no pack for this system is installed")
        columns = (await bridge.agent.database.prepare(sql)).columns
        await bridge.asked(sql, subscription="SnapshotPlusDifferences")
        context, values = (await bridge.events("E::result", 1))[0]
        got = dict(zip([column.name for column in columns], values, strict=True))
        assert context[3] is None
        assert {name: got[name] for name in expected} == expected


async def test_policy_holds_for_zeek(tmp_path):
    """What the owner denies is an error for Zeek, also with a path that is computed."""
    policy = PolicyConfig(paths=("/etc/hosts",), mask=("zeek_agent.hostname",))
    async with joined(tmp_path, policy=policy) as bridge:
        await bridge.asked("SELECT hostname FROM zeek_agent", subscription="Snapshots")
        [(_, columns)] = await bridge.events("E::result", 1)
        assert columns == (None,)
        if "files_lines" in bridge.agent.database.tables:
            sql = "SELECT * FROM files_lines('/etc/' || 'shadow')"
            await bridge.asked(sql, query_id="za_2", subscription="Snapshots", topic=ALL)
            [(_, text)] = await bridge.events("ZeekAgentAPI::agent_error_v1", 1)
            assert "not allowed by the policy of this host" in text
