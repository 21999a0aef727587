"""Tables that are found while the agent runs: they come, change, go, and are looked for again."""

import asyncio
from datetime import timedelta

import pytest

from tests.support import fruits
from zeek_agent_core import kernel
from zeek_agent_core.api import Discovery, Host
from zeek_agent_core.config import Config
from zeek_agent_core.discoveries import Discoveries
from zeek_agent_core.errors import TableError
from zeek_agent_core.plugins import Catalog, Offered, Provider
from zeek_agent_core.query import Query, Subscription

PROVIDER = Provider("toy", "pack-toy", "1.0")
TOY = """
import asyncio
from zeek_agent_core.api import Column, Discovery, Snapshot, Type, hookimpl

class Toy(Discovery):
    name = "toy"
    settings = {"greeting": "hello"}

    def __init__(self, host):
        super().__init__(host)
        self.wanted = asyncio.Queue()

    async def watch(self, offer):
        host = self.host
        class Toys(Snapshot):
            '''Toys.'''
            name = "toys"
            columns = (Column("name", Type.TEXT, "a name"),)
            def rows(self, where):
                yield {"name": host.settings.get("toy", {}).get("greeting", "hello")}
        while True:
            await offer([Toys(self.host)] if await self.wanted.get() else [])

    def why_missing(self, table):
        return "the toys are put away" if table == "toys" else None

@hookimpl
def zeek_agent_discoveries(host):
    return [Toy(host)]
"""


class Told:
    """A recipient that keeps what it is told."""

    def __init__(self):
        self.events = asyncio.Queue()

    def result(self, query, result):
        self.events.put_nowait(result)

    def failed(self, query, error):
        self.events.put_nowait(error)

    def done(self, query, *, is_cancelled):
        pass


class Scripted(Discovery):
    """Offers what the test says, fails when the test says so."""

    name = "scripted"

    def __init__(self):
        super().__init__(Host())
        self.script = asyncio.Queue()
        self.starts = 0

    async def watch(self, offer):
        self.starts += 1
        while True:
            step = await self.script.get()
            if isinstance(step, BaseException):
                raise step
            await offer(step)


class Kept:
    """What discoveries did to a database that only takes notes."""

    def __init__(self, blocked=(), known=()):
        self.discovery = Scripted()
        offered = {table.name: Offered(table, PROVIDER) for table in known}
        self.catalog = Catalog(offered, (), ((self.discovery, PROVIDER),))
        self.changes = asyncio.Queue()
        self.discoveries = Discoveries(self.catalog, blocked, self.change, self.changed)

    async def change(self, added, removed):
        self.changes.put_nowait(([table.name for table in added], list(removed)))

    async def changed(self):
        pass

    async def __aenter__(self):
        """Begin to watch."""
        self.task = asyncio.create_task(self.discoveries.run(self.discovery, PROVIDER))
        return self

    async def __aexit__(self, *_):
        """End."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_tables_come_and_go():
    """What is new is added, what is gone removed, and the same object left alone."""
    async with asyncio.timeout(10), Kept() as kept:
        table, other = fruits(), fruits()
        kept.discovery.script.put_nowait([table])
        assert await kept.changes.get() == (["fruits"], [])
        assert kept.catalog.tables["fruits"].provider == PROVIDER
        for step in ([table], [other], []):
            kept.discovery.script.put_nowait(step)
        assert await kept.changes.get() == (["fruits"], [])
        assert await kept.changes.get() == ([], ["fruits"])
        assert not kept.catalog.tables


async def test_failure_withdraws_the_tables(caplog):
    """When a discovery fails its tables go, the log says why, and it is started again."""
    async with asyncio.timeout(10), Kept() as kept:
        kept.discovery.script.put_nowait([fruits()])
        await kept.changes.get()
        kept.discovery.script.put_nowait(RuntimeError("no more"))
        assert await kept.changes.get() == ([], ["fruits"])
        kept.discovery.script.put_nowait([fruits()])
        assert await kept.changes.get() == (["fruits"], [])
        assert kept.discovery.starts == 2
    assert "discovery scripted of toy (pack-toy 1.0): RuntimeError: no more" in caplog.text


async def test_taken_and_blocked_names(caplog):
    """A name that another has, or that is blocked, is left out; the log says so once."""
    async with asyncio.timeout(10), Kept(blocked=("things",), known=[fruits()]) as kept:
        rival, blocked, good, broken = fruits(), fruits(), fruits(), fruits()
        type(blocked).name, type(good).name, type(broken).name = "things", "good", "Not A Name"
        for _ in range(2):
            kept.discovery.script.put_nowait([rival, blocked, good, broken])
        kept.discovery.script.put_nowait([])
        assert await kept.changes.get() == (["good"], [])
        assert await kept.changes.get() == ([], ["good"])
        assert kept.catalog.tables.keys() == {"fruits"}
    assert caplog.text.count("discovered table fruits of toy (pack-toy 1.0) is left out") == 1
    assert caplog.text.count("'Not A Name'") == 1


async def test_settled():
    """Who waits for the first tables goes on as soon as they, or none, are offered."""
    async with asyncio.timeout(5), Kept() as kept:
        waiting = asyncio.create_task(kept.discoveries.settled())
        await asyncio.sleep(0)
        assert not waiting.done()
        kept.discovery.script.put_nowait([])
        await waiting


@pytest.fixture
def toy(install):
    """Install a distribution with a discovery."""
    install("pack-toy", "toy_discovery", TOY)


async def test_a_query_follows_the_tables(toy, tmp_path):
    """A query that requires a table waits, runs, waits again; listeners hear of each change."""
    query = Query(
        "q", "SELECT name FROM toys", timedelta(seconds=0.05), Subscription.SNAPSHOTS,
        requires_tables=frozenset({"toys"}),
    )  # fmt: skip
    config = Config(state_dir=tmp_path, agent_id="Htest", tables={"toy": {"greeting": "hi"}})
    async with asyncio.timeout(20), kernel.running(config) as agent:
        heard = asyncio.Queue()
        agent.listeners.append(lambda: heard.put_nowait(set(agent.database.tables)))
        (discovery,) = [d for d, _ in agent.catalog.discoveries if d.name == "toy"]
        told = Told()
        await agent.scheduler.install(query, told)
        assert agent.scheduler.installed["q"].is_waiting
        discovery.wanted.put_nowait("toys")
        assert "toys" in await heard.get()
        assert (await told.events.get()).rows == [("hi",)]
        shown = "SELECT provider FROM zeek_agent_tables WHERE name = 'toys'"
        assert (await agent.database.execute(shown)).rows == [("pack-toy",)]
        discovery.wanted.put_nowait("")
        assert "toys" not in await heard.get()
        assert agent.scheduler.installed["q"].is_waiting


async def test_why_a_table_is_missing(toy, tmp_path):
    """A statement on a table that is not there right now says why, another one does not."""
    config = Config(state_dir=tmp_path, agent_id="Htest")
    async with kernel.running(config) as agent:
        with pytest.raises(TableError, match="table toys: the toys are put away"):
            await agent.database.execute("SELECT * FROM toys")
        with pytest.raises(Exception, match="no such table: toy"):
            await agent.database.execute("SELECT * FROM toy")
