"""Our tables in osquery: an osquery registers us, asks for rows, and goes."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from osquery.extension_client import ExtensionClient
from osquery.extensions.ExtensionManager import Iface, Processor
from osquery.extensions.ttypes import ExtensionStatus
from zeek_agent_osquery._offer import Offered, OwnColumn, offered, statement, texts
from zeek_agent_osquery._serving import Server
from zeek_agent_osquery.extension import run

WEATHER = Offered(
    "weather",
    (
        OwnColumn("_place", "text", is_parameter=True, is_required=True),
        OwnColumn("day", "count", is_parameter=False, is_required=False),
        OwnColumn("sky", "text", is_parameter=False, is_required=False),
        OwnColumn("share", "real", is_parameter=False, is_required=False),
    ),
)


def context(*constraints, used=()):
    """Return what osquery sends with a request."""
    listed: dict[str, list] = {}
    for name, op, expr in constraints:
        listed.setdefault(name, []).append({"op": op, "expr": expr})
    wanted = [{"name": name, "affinity": "TEXT", "list": each} for name, each in listed.items()]
    return json.dumps({"constraints": wanted, "colsUsed": list(used)})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", 'SELECT "_place", "day", "sky", "share" FROM "weather"'),
        (context(used=["sky"]), 'SELECT "sky" FROM "weather"'),
        (context(("day", 2, "5"), used=["day"]), 'SELECT "day" FROM "weather" WHERE "day" = 5'),
        (context(("day", "4", "5"), ("sky", 65, "b%"), used=["day"]),
         'SELECT "day" FROM "weather" WHERE "day" > 5 AND "sky" LIKE \'b%\''),
        (context(("day", 2, "x"), used=["day"]), 'SELECT "day" FROM "weather"'),
        (context(("_place", 2, "a'b"), used=["sky"]),
         'SELECT "sky" FROM "weather" WHERE "_place" = \'a\'\'b\''),
        (context(("_place", 65, "a%"), used=["sky"]), 'SELECT "sky" FROM "weather"'),
        (context(("day", 67, "x"), ("nope", 2, "1"), used=["sky"]), 'SELECT "sky" FROM "weather"'),
        (context(("share", 2, "0.5"), used=["nope"]),
         'SELECT "_place" FROM "weather" WHERE "share" = 0.5'),
    ],
)  # fmt: skip
def test_requests(given, expected):
    """What osquery asks for becomes a statement; what we cannot pass on it checks itself."""
    assert statement(WEATHER, given)[0] == expected


@pytest.mark.parametrize("given", ["[]", "{", '"x"'])
def test_requests_that_make_no_sense(given):
    """A context that is no object is an error."""
    with pytest.raises(ValueError, match=r"context|Expecting"):
        statement(WEATHER, given)


def test_columns_for_osquery():
    """Types are osquery's, parameters hidden, and required where they have no default."""
    assert [(r["name"], r["type"], r["op"]) for r in WEATHER.routes] == [
        ("_place", "TEXT", "18"), ("day", "BIGINT", "0"), ("sky", "TEXT", "0"),
        ("share", "DOUBLE", "0"),
    ]  # fmt: skip


def test_rows_for_osquery():
    """All values are text; NULL is absent."""
    assert texts(["a", "b", "c"], (1, None, b"x\xff")) == {"a": "1", "c": r"x\xff"}


class Core(Iface):
    """An osquery core that takes one extension."""

    def __init__(self):
        self.registry = None
        self.info = None
        self.registered = threading.Event()
        self.deregistered = threading.Event()
        self.status = ExtensionStatus(code=0, message="OK", uuid=4711)

    def ping(self):
        return ExtensionStatus(code=0, message="OK")

    def registerExtension(self, info, registry):
        self.info, self.registry = info, registry
        self.registered.set()
        return self.status

    def deregisterExtension(self, uuid):
        self.deregistered.set()
        return ExtensionStatus(code=0, message="OK")


@pytest.fixture
def core(tmp_path) -> Iterator[Core]:
    """Return a core that answers at ``tmp_path / "em"``."""
    tmp_path.chmod(0o755)
    made = Core()
    made.path = str(tmp_path / "em")
    server = Server(made.path, Processor(made))
    threading.Thread(target=server.serve, daemon=True).start()
    yield made
    server.close()


def connected(path):
    """Return a client of the published package's, connected to the extension."""
    for _ in range(500):
        if Path(path).exists():
            break
        time.sleep(0.02)
    client = ExtensionClient(path)
    assert client.open(timeout=5)
    return client


def test_from_end_to_end(core, tmp_path):
    """The command registers our tables, answers osquery with rows and errors, and says goodbye."""
    command = [
        str(Path(sys.executable).with_name("zeek-agent")), "osquery-extension",
        "--socket", core.path, "--timeout", "10", "--interval", "1", "--verbose",
    ]  # fmt: skip
    environment = {**os.environ, "ZEEK_AGENT_STATE_DIR": str(tmp_path / "state")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert core.registered.wait(30), process.stderr.read()
        tables = core.registry["table"]
        assert core.info.name == "zeek_agent"
        assert {"zeek_processes", "zeek_users", "zeek_agent_tables"} <= tables.keys()
        names = {route["name"] for route in tables["zeek_processes"]}
        assert {"pid", "name", "cmdline"} <= names
        client = connected(f"{core.path}.4711")
        assert Path(f"{core.path}.4711").stat().st_mode & 0o077 == 0
        asked = client.extension_client()
        pid = str(process.pid)
        wanted = context(("pid", 2, pid), used=["pid", "name"])
        found = asked.call("table", "zeek_processes", {"action": "generate", "context": wanted})
        assert found.status.code == 0
        assert found.response == [{"pid": pid, "name": "zeek-agent"}]
        refused = asked.call("table", "zeek_files_list", {"action": "generate"})
        assert refused.status.code == 1
        assert "mandatory table parameter '_pattern' is missing" in refused.status.message
        pattern = context(("_pattern", 2, "/etc/passwd"), used=["path"])
        listed = asked.call("table", "zeek_files_list", {"action": "generate", "context": pattern})
        assert listed.response == [{"path": "/etc/passwd"}]
        assert asked.call("table", "nope", {"action": "generate"}).status.code == 1
        assert asked.call("table", "zeek_users", {"action": "columns"}).status.code == 0
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stderr.read()
    assert core.deregistered.is_set()
    assert not Path(f"{core.path}.4711").exists()


async def of_the_weather(sql):
    """Answer as an agent whose one table is the weather, from SQLite."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE zeek_agent_tables (name, provider)")
    db.executemany("INSERT INTO zeek_agent_tables VALUES (?, ?)",
                   [("weather", "x"), ("osquery_hash", "zeek-agent-osquery")])  # fmt: skip
    db.execute('CREATE TABLE zeek_agent_columns ("table", name, type, is_parameter, "default", '
               "position)")  # fmt: skip
    db.executemany("INSERT INTO zeek_agent_columns VALUES (?, ?, ?, ?, ?, ?)",
                   [("weather", "_place", "text", 1, None, 0),
                    ("weather", "day", "count", 0, None, 1),
                    ("osquery_hash", "path", "text", 0, None, 0)])  # fmt: skip
    found = db.execute(sql).fetchall()
    db.close()
    return found


async def test_tables_of_osquery_are_not_given_back():
    """What came from osquery is not offered to it as ours."""
    tables = await offered(of_the_weather)
    assert tables.keys() == {"zeek_weather"}
    assert tables["zeek_weather"].columns[0].is_required


async def test_it_ends_with_osquery(core, caplog):
    """When osquery asks for it, the command ends."""
    running = asyncio.create_task(run(of_the_weather, ["--socket", core.path, "--interval", "0.1"]))
    async with asyncio.timeout(20):
        await asyncio.to_thread(core.registered.wait, 10)
        client = await asyncio.to_thread(connected, f"{core.path}.4711")
        await asyncio.to_thread(client.extension_client().shutdown)
        client.close()
        assert await running == 0


async def test_where_osquery_is_not(tmp_path, caplog):
    """Without osquery the command fails and says so."""
    assert await run(of_the_weather, ["--socket", str(tmp_path / "em")]) == 1
    assert "osquery does not run: there is no" in caplog.text


async def test_where_osquery_does_not_want_us(core, caplog):
    """When osquery refuses to register us, the command fails with its reason."""
    core.status = ExtensionStatus(code=1, message="Duplicate extension registered")
    assert await run(of_the_weather, ["--socket", core.path]) == 1
    assert "does not take the tables: Duplicate extension registered" in caplog.text


def test_without_the_package(core, tmp_path):
    """Without the extra the command says what to install."""
    code = (
        "import sys, asyncio, logging; logging.basicConfig(); sys.modules['osquery'] = None\n"
        "from zeek_agent_osquery.extension import run\n"
        f"sys.exit(asyncio.run(run(None, ['--socket', {core.path!r}])))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'zeek-agent-osquery[extension]'" in done.stderr
