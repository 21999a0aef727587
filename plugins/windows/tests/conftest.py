"""Makes the scripted host importable, and runs calls of the Windows API under Wine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layouts import MINGW

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


@pytest.fixture(scope="session")
def dump(tmp_path_factory):
    """Return a function that gives what `native/dump.c` wrote under Wine, by the name of a file."""
    for program in (MINGW, "wine", "unshare"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing; tools/system-packages installs it")
    folder = tmp_path_factory.mktemp("wine")
    source, program = HERE / "native/dump.c", folder / "dump.exe"
    libraries = ["-liphlpapi", "-lws2_32"]
    subprocess.run([MINGW, "-municode", "-Wall", "-o", program, source, *libraries], check=True)
    environment = {
        **os.environ,
        "WINEPREFIX": str(folder / "prefix"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "DISPLAY": "",
    }
    command = ["unshare", "--net", HERE / "native/run.sh", folder]
    with (folder / "log").open("wb") as log:  # no pipe: Wine's services would keep it open
        done = subprocess.run(
            command, env=environment, stdout=log, stderr=log, timeout=100, check=False
        )
    assert done.returncode == 0, (folder / "log").read_text(errors="replace")
    return lambda name: (folder / name).read_bytes()
