"""The agent as a process: signals, states, directories that are not as they should be."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)


def start(config: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start an agent with a configuration file."""
    return subprocess.Popen(
        [sys.executable, "-m", "zeek_agent_core", "-c", str(config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what the agent prints up to a line with *text*."""
    lines = ""
    assert process.stdout is not None
    while text not in lines:
        line = process.stdout.readline()
        assert line, f"ended without saying {text!r}: {lines}"
        lines += line
    return lines


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration file whose state is the test's own."""
    path = tmp_path / "agent.toml"
    path.write_text(f'state-dir = "{tmp_path / "state"}"\nrun-dir = "{tmp_path / "run"}"\n')
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(config, number):
    """SIGTERM and SIGINT end the agent in order, with status 0."""
    with start(config) as process:
        read_until(process, "tables")
        process.send_signal(number)
        read_until(process, "process terminated")
        assert process.wait(10) == 0


def test_the_id_is_kept(config, tmp_path):
    """Two starts have one agent id, in a file that only its owner can read."""
    ids = set()
    for _ in range(2):
        with start(config, "-e", "SELECT id FROM zeek_agent", "--mode", "csv") as process:
            ids.add(process.communicate()[0])
    assert len(ids) == 1
    assert (tmp_path / "state/uuid").stat().st_mode & 0o777 == 0o600


def test_two_daemons_do_not_share_a_state(config):
    """The second agent ends, and says who has the directory and what to do."""
    with start(config) as first:
        read_until(first, "tables")
        with start(config) as second:
            told = second.communicate(timeout=20)[0]
        assert second.returncode == 1
        assert f"another agent (process {first.pid})" in told
        assert "state-dir" in told
        first.terminate()
        assert first.wait(10) == 0


def test_an_unwritable_state_is_survived(tmp_path):
    """Without a place for its state the agent warns and runs."""
    (tmp_path / "file").write_text("")
    config = tmp_path / "agent.toml"
    config.write_text(f'state-dir = "{tmp_path / "file" / "state"}"\n')
    with start(config) as process:
        told = read_until(process, "tables")
        assert "it will change" in told or "cannot" in told
        process.terminate()
        assert process.wait(10) == 0


def test_a_wrong_configuration_ends_it(tmp_path):
    """A typo is named, with the key that was meant, and the status is 1."""
    config = tmp_path / "agent.toml"
    config.write_text("[limits]\ntimme = 5\n")
    with start(config) as process:
        told = process.communicate(timeout=20)[0]
    assert process.returncode == 1
    assert f"error reading {config}: unknown key [limits] timme; did you mean 'time'?" in told


def test_check_config(tmp_path):
    """`--check-config` compiles the queries and names the one that is wrong."""
    config = tmp_path / "agent.toml"
    query = '[[query]]\nname = "{}"\nsql = "SELECT {} FROM processes"\n'
    config.write_text(query.format("good", "pid") + query.format("bad", "pidd"))
    with start(config, "--check-config") as process:
        told = process.communicate(timeout=20)[0]
    assert process.returncode == 1
    assert "query bad: no such column: pidd (did you mean" in told
    assert "query good" not in told
    config.write_text(query.format("good", "pid"))
    with start(config, "--check-config") as process:
        told = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert "the configuration can be used" in told


def test_every_table_of_this_host_conforms(config):
    """`-T` checks every installed table on the running host."""
    with start(config, "-T") as process:
        told = process.communicate(timeout=50)[0]
    assert process.returncode == 0, told
    assert "processes: passed" in told


def test_an_idle_agent_sleeps(config):
    """Without queries an agent does not wake up again and again."""
    with start(config) as process:
        read_until(process, "tables")
        time.sleep(1)
        before = switches(process.pid)
        time.sleep(3)
        after = switches(process.pid)
        process.terminate()
        assert process.wait(10) == 0
    assert after - before < 30, "more than ten wake-ups a second"


def switches(pid: int) -> int:
    """Return how often a process has gone to sleep of its own will."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        total += int(status.split("voluntary_ctxt_switches:")[1].split()[0])
    return total
