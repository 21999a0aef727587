"""Tests of the whole agent, as a process, with a scripted Zeek."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager

from zeek_agent_core.testing.zeek import HELLO, Zeek


@asynccontextmanager
async def agent(home, *arguments, settings=""):
    """Run an agent, end it by SIGTERM; its output is then in `agent.told`."""
    (home / "agent.toml").write_text(
        f'state-dir = "{home}/state"\nrun-dir = "{home}/run"\n{settings}\n'
        "[zeek]\nreconnect_interval = 0.3\nreconnect_spread = 0\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zeek_agent_core", "-c", str(home / "agent.toml"), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=home,
    )  # fmt: skip
    try:
        yield process
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        process.told = (await asyncio.wait_for(process.communicate(), 20))[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_joins_answers_and_says_goodbye(tmp_path):
    """An agent says who it is, answers a query, comes back after a cut, and says goodbye."""
    async with Zeek() as zeek, agent(tmp_path, "-z", zeek.destination) as process:
        client = await zeek.client(20)
        hello = await client.expect(HELLO)
        assert len(hello.arguments[1]) == 12
        assert "zeek_agent" in hello.arguments[1][-1]
        client.hello()
        client.install("q1", "SELECT pid FROM processes WHERE pid = 1")
        assert await client.results("rows", 1) == [(1,)]
        client.abort()
        client = await zeek.client(20)
        assert (await client.expect(HELLO)).arguments[0][2] != hello.arguments[0][2]
        client.hello()
        client.install("q2", "SELECT nonsense")
        error = await client.expect("ZeekAgentAPI::agent_error_v1")
        assert "could not compile query" in error.arguments[1]
        process.send_signal(signal.SIGTERM)
        await client.expect("ZeekAgentAPI::agent_shutdown_v1")
    assert process.returncode == 0
    assert "joined Zeek" in process.told
    assert "Traceback" not in process.told


async def test_policy_and_audit(tmp_path):
    """What the policy forbids is refused and told, and the record has what was asked."""
    settings = (
        f'[policy]\ndeny_tables = ["users"]\n[audit]\nlevel = "full"\npath = "{tmp_path}/record"'
    )
    async with Zeek() as zeek, agent(tmp_path, "-z", zeek.destination, settings=settings):
        client = await zeek.client(20)
        await client.expect(HELLO)
        client.hello()
        client.install("q1", "SELECT name FROM users")
        error = await client.expect("ZeekAgentAPI::agent_error_v1")
        assert "policy of this host" in error.arguments[1]
        client.install("q2", "SELECT 'seen'")
        assert await client.results("rows", 1) == [("seen",)]
    record = (tmp_path / "record").read_text()
    assert "SELECT name FROM users" in record
    assert "seen" in record


async def test_wrong_destination(tmp_path):
    """A destination that cannot be understood ends the start with the reason."""
    async with agent(tmp_path, "-z", "two words") as process:
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == 1
    assert "no host name" in process.told
