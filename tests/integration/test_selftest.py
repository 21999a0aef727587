"""The self-test, on this very host."""

import subprocess
import sys
from pathlib import Path

import pytest

AGENT = Path(sys.executable).with_name("zeek-agent")

pytestmark = pytest.mark.timeout(150)


def test_it_passes_on_this_host(tmp_path):
    """Every table works, what is done appears in them."""
    output = tmp_path / "report"
    done = subprocess.run(
        [AGENT, "selftest", "--output", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert output.read_text() == done.stdout
    assert "passed   start a process: processes " in done.stdout
    assert "passed   listen on a port: sockets " in done.stdout
    assert "passed   write a file: files_list " in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].endswith(" skipped")


def test_a_failing_table_fails_it(tmp_path):
    """A table that cannot be read makes the self-test fail, and says which."""
    config = tmp_path / "agent.toml"
    config.write_text("[tables.files]\nmax_matches = 1\n")
    done = subprocess.run(
        [AGENT, "selftest", "-c", config], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "FAILED   files_list" in done.stdout
