"""A pack made by others, installed from a wheel, is found and queried."""

import json
import re
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT, run

pytestmark = pytest.mark.timeout(300)

QUERY = """
import asyncio, json, sys
from zeek_agent_core.host import Host
from zeek_agent_core.plugins import find
from zeek_agent_core.sql.database import Database

async def main():
    root, sql, *blocked = sys.argv[1:]
    catalog = find(Host(root), blocked)
    async with Database([offered.table for offered in catalog.tables.values()]) as database:
        rows = (await database.execute(sql)).rows if sql else []
    providers = {name: str(offered.provider) for name, offered in catalog.tables.items()}
    print(json.dumps([rows, providers, catalog.failures]))

asyncio.run(main())
"""
GOOD = "weather_stations (zeek-agent-weather 1.0.0)"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a host with one station."""
    stations = tmp_path / "root/var/lib/weather"
    stations.mkdir(parents=True)
    (stations / "harbour").write_text("21.5\n")
    return tmp_path / "root"


@pytest.fixture
def ask(python, host, tmp_path):
    """Return a function that runs a query with the installed packs, and more beside them."""

    def run_query(sql: str, *blocked: str, more: dict[str, str] | None = None):
        beside = tmp_path / "beside"
        info = beside / "pack_beside-2.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pack-beside\nVersion: 2.0\n")
        points = "".join(f"{name} = {name}\n" for name in more or {})
        (info / "entry_points.txt").write_text(f"[zeek_agent]\n{points}")
        for name, source in (more or {}).items():
            (beside / f"{name}.py").write_text(source)
        environment = {"PYTHONPATH": str(beside), "PATH": "/usr/bin:/bin"}
        return json.loads(
            run(python, "-c", QUERY, host, sql, *blocked, env=environment, cwd=tmp_path)
        )

    return run_query


def test_the_pack_uses_public_names_only():
    """The example pack imports nothing of the agent but `zeek_agent_core.api`."""
    for file in (ROOT / "tests/third_party/zeek_agent_weather").glob("*.py"):
        imported = re.findall(r"(?:from|import) (zeek_agent_core[\w.]*)", file.read_text())
        assert set(imported) <= {"zeek_agent_core.api"}


def test_its_tables_are_found_and_queried(ask):
    """A wheel in the same environment is all that it takes."""
    rows, providers, failures = ask("SELECT name, temperature FROM weather_stations")
    assert rows == [["harbour", 21.5]]
    assert providers["weather_stations"] == GOOD
    assert "weather_changes_events" in providers
    assert not [failure for failure in failures if "weather" in failure]


def test_its_own_tests_pass(python):
    """The author's tests run with the fixtures and the kit of the installed core."""
    run(python, "-m", "pip", "install", "-q", "pytest")
    shown = run(
        python, "-m", "pytest", "-q", "-c", ROOT / "tests/third_party/pyproject.toml", "-p",
        "no:cacheprovider", ROOT / "tests/third_party/tests",
    )  # fmt: skip
    assert "6 passed" in shown


def test_a_plugin_that_does_not_import_is_survived(ask):
    """A broken neighbour is reported; the pack's tables are there."""
    rows, _, failures = ask(
        "SELECT count(*) FROM weather_stations", more={"broken": "import no_such_module"}
    )
    assert rows == [[1]]
    (failure,) = [failure for failure in failures if "broken" in failure]
    assert "cannot load plugin broken (pack-beside 2.0): ModuleNotFoundError" in failure


def test_a_misspelt_hook_is_survived(ask):
    """A hook that does not exist is reported with the plugin that has it."""
    source = "from zeek_agent_core.api import hookimpl\n@hookimpl\ndef zeek_agent_table(): ..."
    rows, _, failures = ask("SELECT count(*) FROM weather_stations", more={"misspelt": source})
    assert rows == [[1]]
    assert "plugin pack-beside:misspelt has an unknown hook zeek_agent_table" in failures


def test_a_second_table_of_one_name_is_refused(ask):
    """Of two tables of one name, one is offered; the message names both providers."""
    source = (
        "from zeek_agent_core.api import *\n"
        "class Rival(Snapshot):\n"
        "    name = 'weather_stations'\n"
        "    columns = (Column('name', Type.TEXT, 'a name'),)\n"
        "    def rows(self, where):\n"
        "        yield {'name': 'rival'}\n"
        "@hookimpl\n"
        "def zeek_agent_tables(host):\n"
        "    return [Rival(host)]\n"
    )
    rows, providers, failures = ask("SELECT name FROM weather_stations", more={"z_rival": source})
    assert rows == [["harbour"]]
    assert providers["weather_stations"] == GOOD
    (failure,) = [failure for failure in failures if "weather_stations" in failure]
    assert GOOD in failure
    assert "z_rival (pack-beside 2.0)" in failure
    rows, _, failures = ask(
        "SELECT name FROM weather_stations", "zeek-agent-weather", more={"z_rival": source}
    )
    assert rows == [["rival"]]
    assert not [failure for failure in failures if "weather_stations" in failure]


@pytest.mark.parametrize("blocked", ["weather_stations", "zeek-agent-weather"])
def test_what_is_blocked_is_absent(ask, blocked):
    """A blocked plugin or distribution offers nothing and is no failure."""
    _, providers, failures = ask("", blocked)
    assert "weather_stations" not in providers
    assert not [failure for failure in failures if "weather" in failure]


def test_the_command_knows_its_tables(python, tmp_path):
    """`zeek-agent -e` queries a third party's table, and names who provides it."""
    inside = (
        "mount -t tmpfs none /var/lib && mkdir -p /var/lib/weather && "
        'echo 21.5 > /var/lib/weather/harbour && exec "$0" "$@"'
    )
    command = ("unshare", "--mount", "sh", "-c", inside, Path(python).parent / "zeek-agent")
    sql = "SELECT provider, version FROM zeek_agent_tables WHERE name = 'weather_stations'"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    provided = run(*command, "-e", sql, "--mode", "json", env=environment)
    assert json.loads(provided) == [{"provider": "zeek-agent-weather", "version": "1.0.0"}]
    stations = "SELECT name, temperature FROM weather_stations"
    shown = run(*command, "-e", stations, "--mode", "csv", env=environment)
    assert shown.splitlines() == ["name,temperature", "harbour,21.5"]
