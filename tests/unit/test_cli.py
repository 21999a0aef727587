"""Tests of the command, run as a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zeek_agent_core.cli import parser

LIMIT = 20


@pytest.fixture
def environment(tmp_path):
    """Return an environment in which nothing of this host's own agent is touched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZEEK_AGENT")}
    return {**kept, "ZEEK_AGENT_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def agent(environment):
    """Return a function that runs the command to its end."""

    def run(*arguments, stdin="", **variables):
        return subprocess.run(
            [sys.executable, "-m", "zeek_agent_core", *arguments], check=False, text=True,
            input=stdin, capture_output=True, env={**environment, **variables}, timeout=LIMIT,
        )  # fmt: skip

    return run


def test_help(agent):
    """Help goes to standard error and names every option."""
    done = agent("--help")
    assert (done.returncode, done.stdout) == (0, "")
    for action in parser()._actions:
        for option in action.option_strings:
            assert option in done.stderr


def test_version(agent):
    """The version is one line on standard error."""
    done = agent("-v")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"Zeek Agent v\d+\.\d+\.\d+\S*\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-such"], "unrecognized arguments: --no-such"),
        (["--mode", "xml", "-e", "SELECT 1"], "invalid choice: 'xml'"),
        (["-e"], "expected one argument"),
        (["-L", "loud", "-e", "SELECT 1"], "unknown log level 'loud'; known are: critical"),
        (["--interval", "0", "--local"], "--interval must be greater than 0"),
        (["-c", "/no/such.toml"], "error reading /no/such.toml: cannot open configuration file"),
    ],
)
def test_wrong_usage(agent, arguments, message):
    """Wrong usage and a wrong configuration end with status 1 and a reason."""
    done = agent(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_configuration(agent, tmp_path):
    """A wrong setting is told with file and key, on standard error, with status 1."""
    path = tmp_path / "agent.toml"
    path.write_text("[zeek]\ntimeot = 5\n")
    done = agent("-c", str(path), "-e", "SELECT 1")
    assert done.returncode == 1
    assert done.stderr == (
        f"zeek-agent: error reading {path}: unknown key [zeek] timeot; did you mean 'timeout'?\n"
    )


def test_autodoc(agent):
    """`-D` prints nothing but JSON."""
    done = agent("-D")
    assert (done.returncode, done.stderr) == (0, "")
    assert "zeek_agent" in json.loads(done.stdout)["tables"]


def test_statements(agent):
    """Several `-e` run in their order, `-` takes standard input; long options may be short."""
    done = agent(
        "-e", "SELECT 1 AS a", "--exec", "-", "-e", "SELECT 4 AS a", "--mode=jsonl",
        stdin="SELECT 2 AS a; SELECT 3 AS a",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["a"] for line in done.stdout.splitlines()] == [1, 2, 3, 4]


def test_failed_statement(agent):
    """A statement that fails ends with status 1 and its reason on standard error."""
    done = agent("-e", "SELECT 1 AS a", "-e", "SELECT * FROM zeek_agnt", "-e", "SELECT 2 AS b")
    assert done.returncode == 1
    assert done.stdout == "a\n-\n1\n"
    assert "no such table: zeek_agnt (did you mean zeek_agent" in done.stderr


def test_other_words(agent):
    """Words that belong to no option change nothing, but are not passed over in silence."""
    done = agent("SELECT", "2", "-e", "SELECT 1 AS a")
    assert (done.returncode, done.stdout) == (0, "a\n-\n1\n")
    assert "ignored: SELECT 2" in done.stderr


def test_mock(agent):
    """`-M` makes up the rows of all tables but those about the agent, which consoles need."""
    made_up = "SELECT name FROM processes"
    done = agent("-M", "--mode", "csv", "-e", made_up)
    if "no such table" in done.stderr:
        pytest.skip("needs a pack with processes")
    assert done.stdout.split() == ["name", *(f"text_{letter}_a" for letter in "abcde")]
    done = agent("-M", "--mode", "csv", "-e", ".tables", "-e", "SELECT platform FROM zeek_agent")
    assert done.returncode == 0
    assert "zeek_agent_tables," in done.stdout
    assert "text_" not in done.stdout


def test_the_log_stays_out_of_results(agent):
    """Standard output has results only, however much is logged."""
    done = agent("-L", "debug", "-e", "SELECT 1 AS a", ZEEK_AGENT_LOG_TYPE="stdout")
    assert (done.returncode, done.stdout) == (0, "a\n-\n1\n")


MANY = "SELECT * FROM zeek_agent_columns a, zeek_agent_columns b, zeek_agent_columns c LIMIT 9999"


@pytest.mark.parametrize("arguments", [["-D"], ["-e", MANY, "--mode", "jsonl"]])
def test_broken_pipe(environment, arguments):
    """A reader that has had enough ends the command quietly."""
    command = [sys.executable, "-m", "zeek_agent_core", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(LIMIT) == 0
    assert error == b""


def test_terminal_without_unicode(agent):
    """Text that standard output cannot encode is escaped."""
    done = agent("-e", "SELECT 'é表' AS a", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "\\xe9\\u8868")


def test_unwritable_state_directory(agent):
    """Without a place to keep its id the agent works all the same, and says so."""
    done = agent("-e", "SELECT length(id) > 1 AS a FROM zeek_agent", ZEEK_AGENT_STATE_DIR="/proc/x")
    assert (done.returncode, done.stdout) == (0, "a\n-\n1\n")
    assert "cannot keep the agent id in /proc/x/uuid" in done.stderr


def test_without_home(environment, agent):
    """An account without a home directory can run the agent."""
    del environment["ZEEK_AGENT_STATE_DIR"]
    environment.pop("HOME", None)
    environment["XDG_STATE_HOME"] = ""
    assert agent("-e", "SELECT 1", ZEEK_AGENT_AGENT_ID="Hx").returncode == 0


def test_two_at_once(environment, tmp_path):
    """Two commands at the same time do not disturb each other, and have one agent's id."""
    command = [
        sys.executable, "-m", "zeek_agent_core", "--mode", "csv", "-e", "SELECT id FROM zeek_agent",
    ]  # fmt: skip
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    printed = {process.communicate(timeout=LIMIT)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert printed == {"id\n" + (tmp_path / "state" / "uuid").read_text()}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("-e", "SELECT 1"), ("-D",), ("--check-config",)])
def test_standard_output_on_a_full_disk(environment, arguments):
    """Results that cannot be written are an error with its reason, not a trace."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zeek_agent_core", *arguments], check=False, text=True,
            stdout=full, stderr=subprocess.PIPE, env=environment, timeout=LIMIT,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "zeek-agent: cannot write to standard output: no space left on device\n"


def test_a_variable_that_sets_nothing_is_told(agent):
    """A slip in the environment is seen where the configuration is checked."""
    done = agent("--check-config", ZEEK_AGENT_LOG_LEVLE="debug")
    wanted = "environment: ZEEK_AGENT_LOG_LEVLE sets nothing; did you mean ZEEK_AGENT_LOG_LEVEL?"
    assert wanted in done.stdout.splitlines()
