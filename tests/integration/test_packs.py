"""The distributions of this project: wheels for every system, and what is in them."""

import configparser
import importlib
import zipfile
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT

pytestmark = pytest.mark.timeout(300)

PACKS = ("linux", "darwin", "windows", "osquery")


@pytest.mark.parametrize("name", ["core", *PACKS])
def test_wheels_are_for_every_system(wheels, name):
    """Each wheel is pure Python, typed, and installs anywhere."""
    wheel: Path = wheels[name]
    package = wheel.name.split("-", maxsplit=1)[0]
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    assert f"{package}/py.typed" in files
    assert not [file for file in files if "tests" in Path(file).parts]


@pytest.mark.parametrize("name", PACKS)
def test_entry_points_lead_to_modules(name):
    """Every entry point of a pack is named after it and exists in the source tree."""
    import tomllib

    project = tomllib.loads((ROOT / f"plugins/{name}/pyproject.toml").read_text())["project"]
    points = project["entry-points"]["zeek_agent"]
    for point, module in points.items():
        assert point.startswith(f"{name}_")
        file = ROOT / "plugins" / name / Path(*module.split(".")).with_suffix(".py")
        assert file.is_file()


@pytest.mark.parametrize("name", PACKS)
def test_packs_import_on_every_system(name, monkeypatch):
    """All modules of all packs can be imported here, whatever system this is."""
    monkeypatch.syspath_prepend(ROOT / "plugins" / name)
    package = f"zeek_agent_{name}"
    for file in sorted((ROOT / "plugins" / name / package).glob("*.py")):
        stem = file.stem
        importlib.import_module(package if stem == "__init__" else f"{package}.{stem}")


def test_the_core_registers_its_fixtures(wheels):
    """Installing the core makes the fixtures known to pytest."""
    with zipfile.ZipFile(wheels["core"]) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert points["pytest11"]["zeek_agent"] == "zeek_agent_core.testing.fixtures"


FIND = """
import json, sys
from zeek_agent_core.host import Host
from zeek_agent_core.plugins import find

host = Host()
host.platform = sys.argv[1]
catalog = find(host)
packs = {name: str(offered.provider) for name, offered in catalog.tables.items()}
print(json.dumps([packs, catalog.failures]))
"""


def test_packs_install_beside_each_other(python, wheels, tmp_path):
    """Packs install next to the core and each other; each offers its tables on its system."""
    import json

    from tests.integration.conftest import run

    others = ("darwin", "windows")
    run(python, "-m", "pip", "install", "-q", *(wheels[name] for name in others))
    try:
        for pack in others:
            found = run(python, "-c", FIND, pack, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
            packs, failures = json.loads(found)
            assert failures == []
            served = {name for name, provider in packs.items() if f"zeek-agent-{pack} " in provider}
            assert {"processes", "sockets_events", "system_logs_events", "services"} <= served
            foreign = {name for name in packs if not name.startswith(("zeek_agent", "weather"))}
            assert foreign == served
    finally:
        names = [f"zeek-agent-{name}" for name in others]
        run(python, "-m", "pip", "uninstall", "-q", "-y", *names)
