"""Wheels of all distributions, and fresh environments to install them in."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "core": ROOT,
    "linux": ROOT / "plugins/linux",
    "darwin": ROOT / "plugins/darwin",
    "windows": ROOT / "plugins/windows",
    "osquery": ROOT / "plugins/osquery",
    "weather": ROOT / "tests/third_party",
}


def run(*command: str | Path, **options) -> str:
    """Return what *command* prints; fail with all of its output."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory) -> dict[str, Path]:
    """Build a wheel of every distribution."""
    base = tmp_path_factory.mktemp("wheels")
    built = {}
    for name, source in DISTRIBUTIONS.items():
        run(sys.executable, "-m", "build", "--wheel", "--outdir", base / name, source)
        (built[name],) = (base / name).glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python(tmp_path_factory, wheels) -> Path:
    """Return the interpreter of a fresh environment with the core and the example pack."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True, symlinks=True)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    interpreter = place / folder / "python"
    run(interpreter, "-m", "pip", "install", "-q", wheels["core"], wheels["weather"])
    return interpreter
