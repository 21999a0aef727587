"""Tests of the console in a real terminal."""

import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.terminal import Terminal, console

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" and shutil.which("tmux") is None, reason="needs tmux"
    ),
    pytest.mark.timeout(180),
]

READY = "\n>"
COLUMNS = ", ".join(f"zeek_agent_columns {alias}" for alias in "abcde")
ENDLESS = f"SELECT count(*) FROM {COLUMNS};"
MANY = "SELECT a.name FROM zeek_agent_columns a, zeek_agent_columns b LIMIT 500;"


@pytest.fixture
def open_console(tmp_path):
    """Return a function that opens a console in a terminal, all in one directory."""

    def opened(**options):
        return Terminal(console(tmp_path), **options)

    return opened


def test_first_and_last(open_console):
    """The console says what it is, answers a statement, and ends with Ctrl-D."""
    with open_console() as terminal:
        terminal.wait("Zeek Agent v", ".help", READY)
        terminal.enter("SELECT 40 + 2 AS answer;")
        terminal.wait("answer\n------\n    42\n1 row, ")
        terminal.press("C-d")
        terminal.wait("status 0")


def test_completion_menu(open_console):
    """A menu shows tables with what they are; a column's table is known; Tab takes one."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter(".tables")
        terminal.wait("zeek_agent_tables  ", READY)
        terminal.type("SELECT * FROM zeek_agent_q")
        terminal.wait("zeek_agent_queries", "Queries that the agent runs")
        terminal.press("Tab")
        terminal.wait("> SELECT * FROM zeek_agent_queries")
        terminal.type(" WHERE overr")
        terminal.wait("overruns", "count: runs left out")
        terminal.press("Tab", "C-c")
        terminal.type(".schema zeek_agent_c")
        terminal.wait("zeek_agent_columns", "Every column and parameter")


def test_highlighting(open_console):
    """Keywords, strings and tables have colours."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.type("SELECT 'text' FROM zeek_agent -- comment")
        screen = terminal.wait("comment", "\x1b[32m", coloured=True)
        line = next(line for line in screen.splitlines() if "comment" in line)
        assert re.search(r"\x1b\[(1m\x1b\[)?34m(\x1b\[1m)?SELECT", line) or "34mSELECT" in line
        assert "35m'text'" in line
        assert "32mzeek_agent" in line


def test_statement_of_several_lines(open_console):
    """A statement may have several lines, typed or pasted, and runs once its semicolon is there."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter("SELECT 1 AS one,")
        terminal.enter("2 AS two;")
        terminal.wait("one  two", READY)
        terminal.paste("SELECT 3 AS three,\n\n   4 AS four")
        terminal.wait("4 AS four")
        assert "three  four" not in terminal.screen()
        terminal.enter(";")
        terminal.wait("three  four")
        terminal.paste("SELECT 5 AS five;\nSELECT 'a;b' AS six;\nnonsense;\nSELECT 7 AS seven")
        terminal.enter(";")
        terminal.wait("five\n----\n   5", "six\n---\na;b", 'near "nonsense"', "\n> ")
        assert "seven\n" not in terminal.screen()


def test_cancel(open_console):
    """A long query shows that it runs; Ctrl-C ends it and nothing else."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter(ENDLESS)
        terminal.wait("running: 0 rows, ")
        terminal.press("C-c")
        terminal.wait("cancelled", READY, without="running:")
        terminal.enter("SELECT 'still' || ' here' AS x;")
        terminal.wait("still here")
        terminal.type("SELECT dropped")
        terminal.press("C-c")
        terminal.enter("SELECT 6 * 7 AS answer;")
        terminal.wait("answer\n------\n    42")


def test_subscription(open_console):
    """Differences come every two seconds with their marks in colour, until Ctrl-C."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter(".diffs SELECT random() AS r")
        screen = terminal.wait("\x1b[31m - ", "\x1b[32m + ", coloured=True)
        assert len(re.findall("-{4,}", screen)) == 1
        terminal.press("C-c")
        terminal.wait("cancelled", READY)
        terminal.enter("SELECT count(*) AS queries FROM zeek_agent_queries;")
        terminal.wait("queries\n-------\n      0")


def test_watch_and_resize(open_console):
    """A watched result is redrawn in place, fits after a resize, and is left on the screen."""
    with open_console() as terminal:
        terminal.wait(READY)
        sql = "SELECT name, runs, printf('%.150c', 'x') AS long FROM zeek_agent_tables"
        terminal.enter(f".watch 0.3 {sql} WHERE name = 'zeek_agent_tables'")
        first = terminal.wait("every 0.3 s, 1 rows", "zeek_agent_tables")
        assert "Zeek Agent v" not in first
        terminal.wait("\x1b[7m", coloured=True)
        terminal.resize(60, 12)
        until = time.monotonic() + 20
        while max(map(len, terminal.screen().splitlines())) > 60 or "…" not in terminal.screen():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert len([line for line in terminal.screen().splitlines() if line]) == 4
        terminal.press("C-c")
        terminal.wait("cancelled", READY, "zeek_agent_tables", "…", without="every 0.3 s")


def test_paging(open_console):
    """A long result goes to a pager; a short one does not."""
    if shutil.which("less") is None:
        pytest.fail("no less: apt-get install less")
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter(MANY)
        terminal.wait("\n:", without="500 rows")
        terminal.press("Space")
        terminal.press("C-c")
        terminal.press("q")
        terminal.wait("500 rows, ", READY)
        terminal.enter(".pager off")
        terminal.enter(MANY)
        terminal.wait("500 rows, ", READY, without="\n:")


def test_own_pager(open_console, tmp_path):
    """Without a pager there is a simple one of our own."""
    with open_console(environment={"PAGER": "/no/such/pager"}) as terminal:
        terminal.wait(READY)
        terminal.enter(MANY)
        terminal.wait("-- more: Enter for the next page")
        terminal.enter("q")
        terminal.wait("500 rows, ", READY)


def test_history_across_runs(open_console, tmp_path):
    """What was typed is found again in the next run, by arrow and by search."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter("SELECT 'first' AS x;")
        terminal.wait("first\n1 row")
        terminal.enter("SELECT 'second' AS x;")
        terminal.wait("second\n1 row")
        terminal.enter(".quit")
        terminal.wait("status 0")
    assert (tmp_path / "state" / "history").stat().st_mode & 0o777 == 0o600
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.press("Up", "Up")
        terminal.wait("> SELECT 'second'")
        terminal.press("C-c")
        terminal.wait("> SELECT 'second' AS x;\n>")  # before that Ctrl-R is the terminal's own
        terminal.press("C-r")
        terminal.type("fir")
        terminal.wait("SELECT 'first'")
        terminal.press("Enter")
        terminal.press("Enter")
        terminal.wait("first\n1 row")
        terminal.enter(".history 1")
        terminal.wait(".history 1\n")


def test_vi_keys(open_console):
    """With vi's keys a line is edited as vi does."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter(".keys vi")
        terminal.type("SELECT 12 AS nine")
        terminal.press("Escape")
        time.sleep(1)  # until Escape is no longer the beginning of a key
        terminal.type("0wx")
        terminal.enter("A;")
        terminal.wait("nine\n----\n   2")


def test_dumb_terminal(open_console):
    """A terminal that cannot move its cursor gets plain lines, and Ctrl-C drops what was typed."""
    with open_console(term="dumb") as terminal:
        terminal.wait(READY)
        terminal.enter("SELECT 5 AS five,")
        terminal.wait("...")
        terminal.press("C-c")
        terminal.enter("SELECT 1 AS one;")
        screen = terminal.wait("one\n---\n  1\n1 row", coloured=True)
        assert "\x1b" not in screen
        assert "five " not in screen
        terminal.press("C-d")
        terminal.wait("status 0")


def test_log_stays_off_the_prompt(open_console, tmp_path):
    """What is logged while one types stands above the line, which is kept."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.type("SELECT 'kept'")
        terminal.wait("'kept'")
        (tmp_path / "agent.toml").write_text("nonsense")
        agent = subprocess.run(
            ["pgrep", "-f", f"zeek_agent_core -c {tmp_path}/agent.toml"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        subprocess.run(["kill", "-HUP", agent.stdout.split()[-1]], check=True)
        terminal.wait("configuration not read again", "\n> SELECT 'kept'")


def test_terminate(open_console):
    """`.terminate` ends agent and console with status 0."""
    with open_console() as terminal:
        terminal.wait(READY)
        terminal.enter(".terminate")
        terminal.wait("status 0")


def test_signal_ends_it(open_console, tmp_path):
    """SIGTERM ends agent and console, with a message, and the terminal is as it was."""
    with open_console() as terminal:
        terminal.wait(READY)
        agent = subprocess.run(
            ["pgrep", "-f", f"zeek_agent_core -c {tmp_path}/agent.toml"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        subprocess.run(["kill", "-TERM", agent.stdout.split()[-1]], check=True)
        terminal.wait("error: the agent has ended", "status 1")


def test_remote(open_console, tmp_path):
    """The console of a running agent answers alike; leaving it leaves the agent running."""
    with open_console() as agent:
        agent.wait(READY)
        with Terminal(console(tmp_path, "-r")) as client:
            client.wait(READY)
            client.enter("SELECT 40 + 2 AS answer;")
            client.wait("answer\n------\n    42")
            client.type("SELECT * FROM zeek_agent_q")
            client.wait("zeek_agent_queries", "Queries that the agent runs")
            client.press("C-c", "C-d")
            client.wait("status 0")
        with Terminal(console(tmp_path, "-r")) as client:
            client.wait(READY)
            agent.enter("SELECT 1 AS alive;")
            agent.wait("alive\n-----\n    1")
            agent.enter(".quit")
            agent.wait("status 0")
            client.wait("error: the agent has ended", "status 1")


def test_pipe(tmp_path):
    """Statements from a pipe are answered without prompt, colours or prompt_toolkit."""
    command = [sys.executable, "-X", "importtime", *console(tmp_path)[1:]]
    done = subprocess.run(
        command, input="SELECT 1 AS a;\nSELECT 2\nAS a;", capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "a\n-\n1\n\na\n-\n2\n")
    assert "zeek_agent_core.repl.shell" in done.stderr
    assert "prompt_toolkit" not in done.stderr


def test_interrupted_pipe(tmp_path):
    """Ctrl-C cancels the statement that runs; those that follow run."""
    process = subprocess.Popen(
        console(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdin.write(f"SELECT 1 AS begun;\n{ENDLESS}\nSELECT 2 AS after;\n")
    process.stdin.close()
    assert process.stdout.readline() == "begun\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(30) == 0
    assert "cancelled" in rest
    assert "after\n-----\n    2" in rest
