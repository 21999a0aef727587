"""A real agent, asked by real consoles over its socket."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from zeek_agent_core.errors import ConnectionLostError
from zeek_agent_core.query import Subscription
from zeek_agent_core.remote import protocol
from zeek_agent_core.remote.client import RemoteBackend
from zeek_agent_core.remote.protocol import Ask, Frames, Hello, More

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")

NOBODY = 65534

PLUGIN = '''
"""Tables for tests."""

import time

from zeek_agent_core.api import Column, Snapshot, Type, hookimpl


class Many(Snapshot):
    """As many rows as a query takes."""

    name = "many"
    columns = (Column("number", Type.COUNT, "a number"), Column("text", Type.TEXT, "a text"))

    def rows(self, where):
        for number in range(10**9):
            yield {"number": number, "text": "x" * 200}


class Clock(Snapshot):
    """One row that is never the same."""

    name = "clock"
    columns = (Column("now", Type.COUNT, "nanoseconds"),)

    def rows(self, where):
        yield {"now": time.monotonic_ns()}


@hookimpl
def zeek_agent_tables(host):
    """Offer the tables."""
    return [Many(host), Clock(host)]
'''


class Agent:
    """An agent process, and how to ask it."""

    def __init__(self, directory: Path) -> None:
        """Run in *directory*."""
        self.directory = directory
        self.path = directory / "run" / f"zeek-agent.{os.getuid()}.sock"
        self.log = directory / "log"
        self.environment = {**os.environ, "PYTHONPATH": str(directory)}
        (directory / "zeek_agent_many.py").write_text(PLUGIN)
        info = directory / "zeek_agent_many-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zeek-agent-many\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[zeek_agent]\nmany = zeek_agent_many\n")
        self.configure("state")
        self.process = self.start()
        self.until(self.path.exists)

    def configure(self, state: str, name: str = "agent.toml") -> Path:
        """Write a configuration with its own state directory."""
        path = self.directory / name
        path.write_text(
            f'state-dir = "{self.directory}/{state}"\nrun-dir = "{self.directory}/run"\n'
            "[limits]\nrows = 100000000\nresult = 100000\ntime = 600\n"
        )
        return path

    def command(self, *arguments: str, config: str = "agent.toml") -> list[str]:
        """Return a command line."""
        path = str(self.directory / config)
        return [sys.executable, "-m", "zeek_agent_core", "-c", path, *arguments]

    def start(self, *arguments: str, config: str = "agent.toml") -> subprocess.Popen[bytes]:
        """Start an agent."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command(*arguments, config=config),
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a console."""
        return subprocess.run(
            self.command("-r", *arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def console(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a console whose output is a pipe."""
        return subprocess.Popen(
            self.command("-r", *arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def rss(self) -> int:
        """Return the memory in use, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def files(self) -> int:
        """Return the number of open files."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def until(self, condition: Callable[[], object], seconds: float = 15) -> None:
        """Wait until *condition* holds."""
        end = monotonic() + seconds
        while not condition():
            assert monotonic() < end, self.log.read_text()
            sleep(0.02)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the agent."""
        self.process.send_signal(number)
        self.process.wait(10)


@pytest.fixture
def agent(tmp_path):
    """Run an agent."""
    made = Agent(tmp_path)
    yield made
    made.kill()


def read(console: subprocess.Popen[bytes], size: int) -> bytes:
    """Return the first *size* bytes that *console* prints."""
    assert console.stdout is not None
    return console.stdout.read(size)


def finish(console: subprocess.Popen[bytes]) -> str:
    """Return what *console* says on standard error, once it has ended."""
    _, errors = console.communicate(timeout=10)
    return errors.decode()


@pytest.mark.parametrize("mode", ["json", "jsonl", "csv", "table", "line", "markdown"])
def test_a_running_agent_answers_as_a_fresh_one(agent, mode):
    """`-r -e` prints exactly what `-e` prints."""
    sql = "SELECT name, type, description, is_parameter, 1.5, x'00ff' FROM zeek_agent_columns"
    sql += " WHERE \"table\" IN ('many', 'zeek_agent_columns')"
    remote = agent.ask("-e", sql, "-e", "SELECT 1 AS one", "--mode", mode)
    own = subprocess.run(
        agent.command("-e", sql, "-e", "SELECT 1 AS one", "--mode", mode),
        env=agent.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert remote.stderr == ""
    assert remote.returncode == 0
    assert remote.stdout == own.stdout
    assert "description" in remote.stdout


def test_statements_come_from_standard_input_too(agent):
    """`-e -` reads statements, of which the first that fails ends the console with status 1."""
    done = subprocess.run(
        agent.command("-r", "-e", "-", "--mode", "csv"),
        env=agent.environment,
        input="SELECT 1 AS a;\nSELECT 2 AS b; SELECT nope; SELECT 3;",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "a\n1\nb\n2\n"
    assert done.stderr.startswith("error: no such column: nope")
    assert done.returncode == 1


@pytest.mark.parametrize("command", [".tables", ".schema many", ".schema zeek_agent_columns"])
def test_commands_answer_as_in_a_fresh_agent(agent, command):
    """Dot commands show the tables of the running agent."""
    remote = agent.ask("-e", command)
    own = subprocess.run(
        agent.command("-e", command),
        env=agent.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert remote.returncode == 0
    assert remote.stdout == own.stdout


def test_without_an_agent_there_is_an_error(agent):
    """With no agent a console says so, and ends with status 1."""
    agent.kill()
    done = agent.ask("-e", "SELECT 1")
    assert done.returncode == 1
    assert done.stderr.startswith(f"zeek-agent: no agent answers at {agent.path}")


def test_two_consoles_stream_at_once(agent):
    """Two long results go on side by side, and a short one between them."""
    sql = "SELECT * FROM many"
    consoles = [agent.console("-e", sql, "--mode", mode) for mode in ("csv", "jsonl")]
    for _ in range(3):
        for console in consoles:
            assert len(read(console, 500_000)) == 500_000
        assert agent.ask("-e", "SELECT 1").returncode == 0
    for console in consoles:
        console.kill()
        finish(console)
    agent.until(lambda: agent.files() < 20)


def test_a_killed_agent_ends_its_consoles_at_once(agent):
    """However the agent ends, its consoles end with a message and status 1."""
    consoles = [agent.console("-e", "SELECT * FROM many", "--mode", "csv") for _ in range(2)]
    for console in consoles:
        read(console, 100_000)
    consoles.append(agent.console("-e", "SELECT count(*) FROM many"))  # has the thread for itself
    sleep(1.5)
    began = monotonic()
    agent.kill()
    for console in consoles:
        assert f"the agent at {agent.path} is gone" in finish(console)
        assert console.returncode == 1
    assert monotonic() - began < 3


def test_an_ending_agent_ends_its_consoles_and_its_socket(agent):
    """SIGTERM ends the agent with status 0, its consoles with 1, and removes the socket."""
    console = agent.console("-e", "SELECT * FROM many", "--mode", "csv")
    read(console, 100_000)
    agent.kill(signal.SIGTERM)
    assert agent.process.returncode == 0
    assert "is gone" in finish(console)
    assert not agent.path.exists()


def test_slow_readers_cost_no_memory_and_hold_up_nobody(agent):
    """Consoles that do not read keep the agent's memory flat and others served."""
    assert agent.ask("-e", "SELECT * FROM many LIMIT 100000", "--mode", "csv").returncode == 0
    consoles = [agent.console("-e", "SELECT * FROM many", "--mode", "csv") for _ in range(3)]
    for console in consoles:
        read(console, 1)
    sleep(0.5)
    before = agent.rss()
    for _ in range(3):
        done = agent.ask("-e", "SELECT * FROM many LIMIT 50000", "--mode", "csv")
        assert done.stdout.count("\n") == 50_001
    assert agent.rss() - before < 4096
    for console in consoles:
        console.kill()
        finish(console)


def test_a_second_agent_does_not_steal_the_socket(agent):
    """Another agent goes on without consoles, and leaves the first one's socket alone."""
    agent.configure("other-state", "other.toml")
    before = agent.path.stat()
    second = agent.start(config="other.toml")
    agent.until(lambda: f"another agent answers at {agent.path}" in agent.log.read_text())
    assert second.poll() is None
    second.terminate()
    assert second.wait(10) == 0
    assert os.path.samestat(agent.path.stat(), before)
    assert agent.ask("-e", "SELECT 1").returncode == 0


def test_a_stale_socket_is_cleaned_up(agent):
    """After a kill the next agent opens the same socket."""
    agent.kill()
    before = agent.path.lstat().st_mtime_ns
    agent.process = agent.start("--local", "--output", "json")
    agent.until(lambda: agent.path.lstat().st_mtime_ns != before)
    assert stat.S_IMODE(agent.path.stat().st_mode) == 0o600
    assert agent.ask("-e", "SELECT 1").returncode == 0


def test_the_socket_can_be_named(agent, tmp_path):
    """`-s`, `--socket` and ZEEK_AGENT_SOCKET name the socket, for agent and console."""
    path = tmp_path / "named.sock"
    agent.configure("other-state", "other.toml")
    second = agent.start("--socket", str(path), config="other.toml")
    agent.until(path.exists)
    done = agent.ask("-s", str(path), "-e", "SELECT 1")
    assert (done.returncode, done.stderr) == (0, "")
    agent.environment["ZEEK_AGENT_SOCKET"] = str(path)
    agent.kill()
    assert agent.ask("-e", "SELECT 1").returncode == 0
    second.kill()
    second.wait()


def as_nobody(agent, *arguments):
    """Run a console as another user; return what it printed and its status."""
    probe = (
        "import os, sys; from zeek_agent_core import cli; "
        "cli.main(sys.argv[1:]); "  # imports what nobody may not be able to read
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", probe, "-r", "-s", str(agent.path), "-e", "SELECT 1", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**agent.environment, "ZEEK_AGENT_CONFIG": ""},
        cwd="/",
    )


@as_root
def test_another_user_does_not_get_in(agent):
    """Neither the directory nor the socket lets an unprivileged user through."""
    done = as_nobody(agent)
    assert done.returncode == 1
    assert f"cannot use directory {agent.path.parent}: permission denied" in done.stderr
    open_to_all(agent.path.parent)
    done = as_nobody(agent)
    assert done.returncode == 1
    assert f"no agent answers at {agent.path}: permission denied" in done.stderr


def open_to_all(directory: Path) -> None:
    """Let everybody pass through *directory* and those above it."""
    for one in (directory, *directory.parents[:4]):
        one.chmod(one.stat().st_mode | 0o055)


@as_root
def test_another_user_who_gets_in_is_refused(agent):
    """With the modes gone the agent still asks the kernel who is there."""
    open_to_all(agent.path.parent)
    agent.path.chmod(0o666)
    script = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "s.sendall(bytes.fromhex(sys.argv[2])); print(s.makefile('rb').read())"
    )
    hello = protocol.encode(Hello(0, protocol.VERSION)) + protocol.encode(Ask(1, "SELECT 1"))
    done = subprocess.run(
        [sys.executable, "-c", script, str(agent.path), hello.hex()],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert "only root and the user of the agent" in done.stdout, done.stderr
    assert "welcome" not in done.stdout
    assert "console refused" in agent.log.read_text()


@pytest.mark.parametrize("wrong", ["mode", pytest.param("owner", marks=as_root)])
def test_a_directory_that_is_not_safe_is_refused(agent, wrong):
    """Agent and console both refuse a directory where others could put a socket."""
    agent.kill(signal.SIGTERM)
    if wrong == "mode":
        agent.path.parent.chmod(0o777)
    else:
        os.chown(agent.path.parent, NOBODY, NOBODY)
    reason = "can be written by others" if wrong == "mode" else "belongs to another user"
    agent.process = agent.start()
    agent.until(lambda: reason in agent.log.read_text())
    assert agent.process.poll() is None
    assert not agent.path.exists()
    done = agent.ask("-e", "SELECT 1")
    assert done.returncode == 1
    assert reason in done.stderr


def test_garbage_harms_nobody(agent):
    """Bytes without sense end their connection, and the agent goes on."""
    for size in (1, 4, 100, 100_000):
        with closing(socket.socket(socket.AF_UNIX)) as raw:
            raw.settimeout(5)
            raw.connect(str(agent.path))
            try:
                raw.sendall(os.urandom(size))
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:
                continue
    assert agent.ask("-e", "SELECT 1").returncode == 0
    assert "Traceback" not in agent.log.read_text()


async def test_many_connections_leave_no_files_open(agent):
    """After 200 connections, half of them cut off, the agent has as many files open as before."""

    async def connect(*, is_polite: bool) -> None:
        async with RemoteBackend(agent.path) as remote:
            async with remote.query("SELECT * FROM many") as stream:
                async for _ in stream:
                    break
            if not is_polite:
                remote._channel.close()

    await connect(is_polite=True)
    await asyncio.sleep(0.2)
    before = agent.files()
    for number in range(200):
        await connect(is_polite=bool(number % 2))
    async with asyncio.timeout(10):
        while agent.files() > before:
            await asyncio.sleep(0.05)


async def test_a_subscription_goes_on_until_it_is_left(agent):
    """Differences come as they happen; a left subscription is gone from the agent."""
    queries = "SELECT count(*) FROM zeek_agent_queries WHERE asker = 'console'"
    async with RemoteBackend(agent.path) as remote:

        async def count() -> int:
            async with remote.query(queries) as stream:
                return (await anext(aiter(stream)))[0][0]

        span = timedelta(milliseconds=100)
        async with remote.subscribe(
            "SELECT now FROM clock", Subscription.DIFFERENCES, span
        ) as results:
            first, second, third = [await anext(results) for _ in range(3)]
            assert await count() == 1
        assert (len(first), first.is_first, first.total) == (0, True, 1)
        assert second.added == third.deleted
        async with asyncio.timeout(5):
            while await count():
                await asyncio.sleep(0.02)


async def test_a_cancelled_statement_frees_the_agent(agent):
    """A statement without end stops when its console does not want it any more."""
    async with RemoteBackend(agent.path) as remote:

        async def endless() -> None:
            async with remote.query("SELECT count(*) FROM many"):
                pass

        task = asyncio.ensure_future(endless())
        await asyncio.sleep(0.3)
        task.cancel()
        async with asyncio.timeout(3), remote.query("SELECT 1") as stream:
            assert [row async for batch in stream for row in batch] == [(1,)]


async def test_terminate_ends_the_agent_for_all(agent):
    """One console ends the agent; the other one hears of it at once."""
    async with RemoteBackend(agent.path) as one, RemoteBackend(agent.path) as other:
        await one.terminate()
        async with asyncio.timeout(5):
            await other.wait_closed()
        with pytest.raises(ConnectionLostError):
            async with other.query("SELECT 1"):
                pass
    assert agent.process.wait(10) == 0


async def test_frames_are_what_the_protocol_says(agent):
    """A client that knows nothing but the protocol gets its rows."""
    reader, writer = await asyncio.open_unix_connection(agent.path)
    frames, found = Frames(protocol.MAX_REPLY), []
    for message in (Hello(0, 1), Ask(5, "SELECT 1 AS a UNION SELECT x'ff'"), More(5, 0)):
        writer.write(protocol.encode(message))
    while not found or not isinstance(found[-1], protocol.End):
        found += map(protocol.decode_reply, frames.feed(await reader.read(100)))
    writer.close()
    assert found[0].protocol == 1
    assert [column.name for column in found[1].columns] == ["a"]
    assert found[2].rows == [(1,), (b"\xff",)]
    assert (found[3].id, found[3].rows) == (5, 2)


def test_scripts_can_ask_a_running_agent(agent):
    """JSON of a running agent is JSON."""
    sql = "SELECT name, kind FROM zeek_agent_tables WHERE name = 'many'"
    done = agent.ask("-e", sql, "--mode", "json")
    assert json.loads(done.stdout) == [{"name": "many", "kind": "snapshot"}]
