"""The package is installed by zkg from a clone, and loads by its name."""

import os
import shutil
import subprocess

import pytest

from tests.unit.zeek_scripts.scripts import examples
from tests.zeek.conftest import ROOT, RealZeek, wait_for

CONFIG = """
[sources]
[paths]
state_dir = HOME/state
script_dir = HOME/site
plugin_dir = HOME/plugins
bin_dir = HOME/bin
zeek_dist =
"""


def run(*words, cwd):
    """Run a command and return what it printed."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["zeek-agent", "zeek-agent-python"])
def clone(request, tmp_path):
    """Return a repository with the package as it is now, under one of two names."""
    path = tmp_path / request.param
    path.mkdir()
    shutil.copy(ROOT / "zkg.meta", path)
    shutil.copytree(ROOT / "zeek-scripts", path / "zeek-scripts", symlinks=True)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    run("git", "init", "-q", "-b", "main", cwd=path)
    run("git", "add", ".", cwd=path)
    run("git", *identity, "commit", "-q", "-m", "all", cwd=path)
    return path


@pytest.mark.parametrize("name", ["zeek-agent", "zeek-agent-v2/table/users"])
def test_installed_package_loads(clone, tmp_path, name):
    """After `zkg install` of a clone the package loads by its names, the stock one included."""
    zkg = shutil.which("zkg")
    if zkg is None:
        pytest.skip("NOT TESTED WITH ZKG: there is no zkg on the PATH")
    (tmp_path / "zkg.config").write_text(CONFIG.replace("HOME", str(tmp_path)))
    command = [zkg, "--configfile", str(tmp_path / "zkg.config")]
    run(*command, "install", "--force", "--skiptests", str(clone), cwd=tmp_path)
    listed = run(*command, "list", cwd=tmp_path)
    assert f"{clone.name} (installed: main)" in listed
    (tmp_path / "zeek").mkdir()
    zeek = RealZeek(tmp_path / "zeek", f"@load {name}\n")
    (zeek.home / "zeek-agent").unlink()
    zeek.environment["ZEEKPATH"] += f"{os.pathsep}{tmp_path / 'site'}"
    try:
        zeek.start()
        wait_for(zeek.listens, "it does not listen", zeek)
        assert zeek.output == ""
    finally:
        zeek.stop()


@pytest.mark.parametrize("text", examples())
def test_examples_of_the_documentation_load(tmp_path, text):
    """Zeek takes the examples, with all names and types in them."""
    (tmp_path / "zeek").mkdir()
    zeek = RealZeek(tmp_path / "zeek", f"@load zeek-agent\n{text}")
    zeek.environment["PATH"] = os.environ["PATH"]
    done = subprocess.run(
        ["zeek", "-a", "test.zeek"], cwd=zeek.home, env=zeek.environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize("script", ["zeek-agent", "zeek-agent/first-generation"])
def test_loads_without_the_base_scripts(tmp_path, script):
    """The package loads what it needs of Zeek's own scripts."""
    (tmp_path / "zeek").mkdir()
    zeek = RealZeek(tmp_path / "zeek", "")
    done = subprocess.run(
        ["zeek", "-b", "-a", script], cwd=zeek.home, env=zeek.environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
