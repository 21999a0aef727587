"""What holds for any osquery: the stand-in, and the osqueryd that OSQUERYD names.

`make test-osquery` runs it with the real one. Both are asked for the same facts
of this host; the stand-in is given them.
"""

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugins.osquery.tests.schema import TABLES
from zeek_agent_core import kernel
from zeek_agent_core.errors import ParameterError, TableError

OSQUERYD = os.environ.get("OSQUERYD")


class RealOsquery:
    """An osqueryd with an extension socket of its own, which keeps nothing."""

    def __init__(self, folder):
        self.folder = folder
        self.path = str(folder / "osquery.em")
        self.process = None

    def start(self):
        """Start it, and return once it answers."""
        command = [
            OSQUERYD, "--ephemeral", "--disable_database", "--disable_watchdog", "--force",
            "--disable_logging", "--config_path=/dev/null", f"--extensions_socket={self.path}",
            f"--pidfile={self.folder / 'osquery.pid'}",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            if Path(self.path).is_socket():
                return
            time.sleep(0.02)
        raise AssertionError("osqueryd does not open its socket")

    def kill(self):
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def pytest_generate_tests(metafunc):
    """Run each test with the stand-in, and with osqueryd where there is one."""
    is_marked = metafunc.definition.get_closest_marker("parametrize") is not None
    if "any_osquery" in metafunc.fixturenames and not is_marked:
        kinds = ["standin", *(["osqueryd"] if OSQUERYD else [])]
        metafunc.parametrize("any_osquery", kinds, indirect=True)


@pytest.fixture
def listening():
    """Return a port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def file(tmp_path):
    """Return a file with something in it."""
    made = tmp_path / "some o'file"
    made.write_text("something")
    return made


def facts(listening, file):
    """Return what osquery would find out about this host, for the stand-in."""
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    rows = {
        "listening_ports": [[os.getpid(), listening, 6, 2, "127.0.0.1", 3, 1, "", ""]],
        "processes": [[os.getpid(), name, "", "", os.getuid(), os.getgid(), os.getppid()]],
        "hash": [[str(file), str(file.parent), "", "",
                  hashlib.sha256(file.read_bytes()).hexdigest()]],
    }  # fmt: skip
    return {name: {"columns": TABLES[name], "rows": rows.get(name, [])} for name in TABLES}


@pytest.fixture
def any_osquery(request, standin, tmp_path, listening, file):
    """Return an osquery that runs: the stand-in, or a real one, at the same path."""
    tmp_path.chmod(0o755)
    if request.param == "standin":
        standin.write(facts(listening, file))
    osquery = standin if request.param == "standin" else RealOsquery(tmp_path)
    assert osquery.path == standin.path
    osquery.start()
    yield osquery
    osquery.kill()


@pytest.fixture
def ask(any_osquery, configured):
    """Return a function that runs statements on an agent, one after the other."""

    def run(*statements, **settings):
        async def answers():
            async with asyncio.timeout(60), kernel.running(configured(**settings)) as agent:
                await agent.discoveries.settled()
                return [(await agent.database.execute(sql)).rows for sql in statements]

        found = asyncio.run(answers(), debug=False)
        return found if len(found) > 1 else found[0]

    return run


def test_which_osquery_it_is(ask):
    """Version and uuid are known, and the tables are osquery's."""
    status, tables = ask(
        "SELECT version, uuid, tables, trouble FROM osquery_status",
        "SELECT source FROM zeek_agent_tables WHERE name = 'osquery_processes'",
    )
    ((version, uuid, count, trouble),) = status
    assert version.count(".") == 2
    assert len(uuid) == 36
    assert count >= len(TABLES) - 2
    assert trouble is None
    assert tables == [(f"osquery {version}",)]


def test_the_join(ask, listening):
    """Osquery knows the port, we know the process."""
    sql = (
        "SELECT p.pid, l.port, l.address FROM osquery_listening_ports l JOIN processes p "
        f"USING (pid) WHERE l.port = {listening}"
    )
    assert ask(sql) == [(os.getpid(), listening, "127.0.0.1")]


def test_both_tables_of_processes(ask):
    """Osquery's processes stand beside ours, and agree."""
    sql = (
        "SELECT o.name = p.name, o.uid = p.uid FROM processes p JOIN osquery_processes o "
        f"USING (pid) WHERE p.pid = {os.getpid()}"
    )
    assert ask(sql) == [(1, 1)]


def test_hashes(ask, file):
    """The hash of a file is had by its path, its directory, or a pattern; ours is the same."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    path = str(file).replace("'", "''")
    sql = "SELECT sha256 FROM osquery_hash WHERE"
    by_path, by_pattern, both = ask(
        f"{sql} path = '{path}'",
        f"{sql} path LIKE '{path[:-1]}%'",
        f"SELECT h.sha256 = f.sha256 FROM files_hash('{path}') f JOIN osquery_hash h "
        "ON h.path = f.path",
    )
    assert by_path == by_pattern == [(sha256,)]
    assert both == [(1,)]


def test_a_condition_is_missing(ask):
    """Without the condition that osquery needs there is an error."""
    with pytest.raises(ParameterError, match="osquery_hash needs a condition on path"):
        ask("SELECT sha256 FROM osquery_hash")


def test_evented_tables(ask):
    """Tables of events are offered only where the configuration names them."""
    sql = "SELECT count(*) FROM zeek_agent_tables WHERE name = 'osquery_process_events'"
    assert ask(sql) == [(0,)]
    assert ask(sql, include_events=["process_events"]) == [(1,)]


def test_whole_statements(ask):
    """Osquery runs a whole statement; its errors are told."""
    sql = f"SELECT row FROM osquery('SELECT pid, name FROM processes WHERE pid = {os.getpid()}')"
    ((row,),) = ask(sql, allow_queries=True)
    assert json.loads(row)["pid"] == os.getpid()
    assert list(json.loads(row)) == ["pid", "name"]
    with pytest.raises(TableError, match="osquery says: no such table: nope"):
        ask("SELECT * FROM osquery('SELECT * FROM nope')", allow_queries=True)


async def test_killed_and_started_again(any_osquery, configured, listening):
    """Killed, it is an error that says so; started again, all is as before."""
    sql = f"SELECT pid FROM osquery_listening_ports WHERE port = {listening}"
    async with asyncio.timeout(60), kernel.running(configured()) as agent:
        await agent.discoveries.settled()
        before = (await agent.database.execute(sql)).rows
        any_osquery.kill()
        with pytest.raises(TableError, match=r"table osquery_listening_ports: .*osquery"):
            await agent.database.execute(sql)
        while "osquery_listening_ports" in agent.database.tables:
            await asyncio.sleep(0.05)
        with pytest.raises(TableError, match="table osquery_listening_ports: osquery does not"):
            await agent.database.execute(sql)
        any_osquery.start()
        while "osquery_listening_ports" not in agent.database.tables:
            await asyncio.sleep(0.05)
        assert (await agent.database.execute(sql)).rows == before == [(os.getpid(),)]


def test_the_console(any_osquery, tmp_path, listening):
    """Through a running agent and its console: rows, an error with its reason, rows again."""
    agent = str(Path(sys.executable).with_name("zeek-agent"))
    config = tmp_path / "agent.toml"
    config.write_text(
        f'state-dir = "{tmp_path}/state"\nrun-dir = "{tmp_path}/run"\n'
        f'[osquery]\nextensions_socket = "{any_osquery.path}"\nretry_interval = 1\n'
    )
    sql = (
        "SELECT p.name, l.port, l.address FROM osquery_listening_ports l "
        f"JOIN processes p USING (pid) WHERE l.port = {listening}"
    )

    def ask():
        command = [agent, "-c", str(config), "-r", "-e", sql, "--mode", "json"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def until(status):
        for _ in range(200):
            done = ask()
            if done.returncode == status:
                return done
            time.sleep(0.1)
        raise AssertionError(done.stdout + done.stderr)

    with subprocess.Popen([agent, "-c", str(config)], stderr=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as running:  # fmt: skip
        try:
            found = json.loads(until(0).stdout)
            assert [(row["port"], row["address"]) for row in found] == [(listening, "127.0.0.1")]
            any_osquery.kill()
            failed = until(1)
            assert failed.stdout == ""
            assert "table osquery_listening_ports: " in failed.stderr
            any_osquery.start()
            assert json.loads(until(0).stdout) == found
        finally:
            running.terminate()


def our_tables_in_osquery(any_osquery, configured, tmp_path):
    """Join a table of osquery's with one of ours, within osquery."""
    agent = str(Path(sys.executable).with_name("zeek-agent"))
    command = [agent, "osquery-extension", "--socket", any_osquery.path]
    environment = {**os.environ, "ZEEK_AGENT_STATE_DIR": str(tmp_path / "other")}
    sql = (
        "SELECT row FROM osquery('SELECT p.pid, z.name FROM processes p JOIN zeek_processes z "
        f"USING (pid) WHERE p.pid = {os.getpid()}')"
    )

    async def answer():
        async with asyncio.timeout(60), kernel.running(configured(allow_queries=True)) as mine:
            await mine.discoveries.settled()
            while True:
                try:
                    return (await mine.database.execute(sql)).rows
                except TableError:
                    await asyncio.sleep(0.2)

    with subprocess.Popen(command, env=environment) as extension:
        try:
            ((row,),) = asyncio.run(answer(), debug=False)
        finally:
            extension.terminate()
    assert json.loads(row)["pid"] == os.getpid()


if OSQUERYD:

    @pytest.mark.parametrize("any_osquery", ["osqueryd"], indirect=True)
    def test_our_tables_in_osquery(any_osquery, configured, tmp_path):
        """A real osquery answers from our tables."""
        our_tables_in_osquery(any_osquery, configured, tmp_path)
