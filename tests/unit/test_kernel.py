"""Tests of the agent put together: parts open, work on each other, close."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from zeek_agent_core import kernel
from zeek_agent_core.config import Config
from zeek_agent_core.errors import ConfigError
from zeek_agent_core.query import Query, Subscription


class Keeper:
    """Keeps what it is told."""

    def __init__(self):
        self.results = asyncio.Queue()
        self.ends = []

    def result(self, query, result):
        self.results.put_nowait(result)

    def failed(self, query, error):
        raise AssertionError(error)

    def done(self, query, *, is_cancelled):
        self.ends.append(is_cancelled)


@pytest.fixture
def config(tmp_path):
    """Return settings that touch nothing of this host's own agent."""
    return Config(state_dir=tmp_path, agent_id="Htest")


async def test_a_query_from_end_to_end(config):
    """A query runs on the real tables, shows among the queries, and is over with the agent."""
    keeper = Keeper()
    query = Query(
        "q", "SELECT id FROM zeek_agent", timedelta(seconds=3600), Subscription.SNAPSHOTS,
        asker="local",
    )  # fmt: skip
    async with asyncio.timeout(10), kernel.running(config) as agent:
        await agent.scheduler.install(query, keeper)
        result = await keeper.results.get()
        assert result.rows == [("Htest",)]
        shown = await agent.database.execute(
            "SELECT id, asker, runs, rows, last_error, tables FROM zeek_agent_queries"
        )
        tables = '{"elem":"text","value":["zeek_agent"]}'
        assert shown.rows == [("q", "local", 1, 1, None, tables)]
    assert keeper.ends == [True]


async def test_tables_are_described(config):
    """Each table is listed with who provides it and how it fares."""
    sql = "SELECT name, kind, provider, runs, last_error FROM zeek_agent_tables WHERE name = ?"
    async with kernel.running(config) as agent:
        await agent.database.execute("SELECT * FROM zeek_agent")
        await asyncio.sleep(0)
        shown = await agent.database.execute(sql.replace("?", "'zeek_agent'"))
        assert shown.rows[0][:3] == ("zeek_agent", "snapshot", "zeek-agent-core")
        names = await agent.database.execute("SELECT tables FROM zeek_agent")
        assert "zeek_agent_queries" in names.rows[0][0]


async def test_blocked_tables(config):
    """A table that the configuration blocks is not offered."""
    blocked = Config(state_dir=config.state_dir, blocked=("zeek_agent_queries",))
    async with kernel.running(blocked) as agent:
        assert "zeek_agent_queries" not in agent.database.tables


async def test_errors_pass_through(config):
    """What goes wrong in the body arrives as it is, and no task stays behind."""
    with pytest.raises(BrokenPipeError):
        async with kernel.running(config):
            raise BrokenPipeError
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_task_fails_alone(config, caplog):
    """A task that fails leaves a trace in the log and the agent running."""

    async def fail():
        raise RuntimeError("oops")

    async with kernel.running(config) as agent:
        await asyncio.wait([agent.spawn(fail(), "unlucky")])
        assert (await agent.database.execute("SELECT 1")).rows == [(1,)]
    assert "task unlucky failed" in caplog.text


@pytest.mark.parametrize(
    ("section", "given", "message"),
    [
        ("files", {"max_match": 3}, r"unknown key \[tables.files\] max_match; did.*'max_matches'"),
        ("files", {"max_matches": "x"}, r"'\[tables.files\] max_matches': write a whole number"),
        ("files", {"max_hash_bytes": 0}, r"max_hash_bytes': it must be greater than 0"),
        ("users", {"most": 3}, r"unknown key \[tables.users\] most; the table has no settings"),
    ],
)
async def test_a_slip_in_the_settings_of_tables(config, section, given, message):
    """A key that no table reads, or a value it cannot use, is told before anything runs."""
    with pytest.raises(ConfigError, match=message):
        async with kernel.running(replace(config, tables={section: given})):
            pass


async def test_settings_of_tables_that_are_elsewhere(config):
    """One file may serve many hosts: settings of a table that is not here are let be."""
    elsewhere = {"nowhere": {"x": 1}, "files": {"max_matches": 3}}
    async with kernel.running(replace(config, tables=elsewhere)) as agent:
        assert agent.database.tables["files_list"].setting("max_matches") == 3
        assert agent.database.tables["files_list"].setting("max_line_bytes") == 1 << 20
