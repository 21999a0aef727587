"""Tests of the loop around a console, without a terminal."""

import asyncio
import io
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.repl import shell
from zeek_agent_core.repl.highlight import coloured
from zeek_agent_core.repl.schema import KnownTable, Schema
from zeek_agent_core.repl.screen import Screen
from zeek_agent_core.repl.script import Splitter, is_blank, together

SCHEMA = Schema({"users": KnownTable("users")})


async def test_interrupt_cancels_what_runs():
    """Ctrl-C cancels the statement that runs, and nothing where none runs."""
    with shell.Interrupts(lambda: False) as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
        assert not await interrupts.until_interrupted(asyncio.sleep(10))
        assert await interrupts.until_interrupted(asyncio.sleep(0))


async def test_interrupt_is_the_pagers():
    """While a pager has the terminal Ctrl-C cancels nothing."""
    with shell.Interrupts(lambda: True) as interrupts:
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
        assert await interrupts.until_interrupted(asyncio.sleep(0.05))


@pytest.mark.parametrize(
    ("text", "output", "errors", "status"),
    [
        ("SELECT 1 AS a;\nSELECT 2 AS a", "a\n-\n1\n\na\n-\n2\n", "", 0),
        (".mode csv\nSELECT\n1 AS a;", "a\n1\n", "", 0),
        ("nonsense;\n.mode csv\nSELECT 1 AS a;", "a\n1\n", 'error: near "nonsense"', 1),
        ("SELECT 1 AS a;\n.quit\nSELECT 2 AS b;", "a\n-\n1\n", "", 0),
        (".terminate\nSELECT 1;", "", "", 0),
        ("", "", "", 0),
    ],
)
async def test_piped(talk, monkeypatch, text, output, errors, status):  # noqa: PLR0917
    """Statements from a pipe run one by one; a failure is told, and makes the status 1."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    async with talk() as run:
        found = await shell.run(run.console.backend, screen=Screen(run.output, run.errors, {}))
    assert (run.output.getvalue(), found) == (output, status)
    assert run.errors.getvalue().startswith(errors)
    assert bool(run.errors.getvalue()) == bool(errors)


@pytest.mark.parametrize("mode", ["auto", "table", "line", "csv", "json", "jsonl", "markdown"])
@pytest.mark.parametrize("is_paged", [True, False])
async def test_data_cannot_command_the_terminal(talk, mode, is_paged):
    """No mode writes escapes of data to a terminal, neither rows, names nor errors."""
    text = "a\x1b]0;owned\x07\x9b2J\x7f\u202eb"
    async with talk(mode) as run:
        run.console.screen.is_terminal = run.console.screen.is_capable = True
        run.console.settings.is_paged = is_paged
        shown = await run(f"SELECT '{text}' AS \"{text}\"")
        shown += await run(f'.chart line SELECT 1 AS "{text}", 2 AS "{text}"')
        run.console.screen.complain(text)
    shown += run.errors.getvalue()
    assert "owned" in shown
    assert all(line.isprintable() for line in shown.split("\n"))


async def test_agent_ends(talk, monkeypatch):
    """When the agent ends, the console ends at once, with a message and status 1."""
    read, written = os.pipe()
    with os.fdopen(read) as stream, os.fdopen(written, "w"):
        monkeypatch.setattr("sys.stdin", stream)
        async with talk() as run:
            backend = run.console.backend
            asyncio.get_running_loop().call_later(0.1, backend._ended.set)
            async with asyncio.timeout(5):
                assert await shell.run(backend, screen=Screen(run.output, run.errors, {})) == 1
        assert run.errors.getvalue() == "error: the agent has ended\n"
        os.close(os.dup(written))


@given(st.text())
def test_highlighting_keeps_the_text(text):
    """All coloured pieces together are the text."""
    assert "".join(piece for _, piece in coloured(text, SCHEMA)) == text


def test_highlighting():
    """Keywords, known tables, functions and commands have their colours."""
    kinds = dict(
        pair[::-1] for pair in coloured(".diffs SELECT count(x) FROM users, other", SCHEMA)
    )
    assert kinds[".diffs"] == "class:sql.command"
    assert kinds["SELECT"] == "class:sql.keyword"
    assert kinds["count"] == "class:sql.function"
    assert kinds["users"] == "class:sql.table"
    assert kinds["other"] == ""


@given(st.lists(st.text(alphabet="a;'\n-.\" ", max_size=8)))
def test_splitter_loses_nothing(lines):
    """Every line ends up in a statement, or has nothing to run."""
    splitter = Splitter()
    given_lines = [f"{line}\n" for line in lines]
    found = [text for line in given_lines for text in splitter.feed(line)] + splitter.end()
    assert all(not is_blank(text) for text in found)
    assert sum(text.count("a") for text in found) <= "".join(lines).count("a")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT ';'", ["SELECT 1;", "SELECT ';'"]),
        ("SELECT 1;\n.mode csv\nSELECT\n2", ["SELECT 1;", ".mode csv", "SELECT\n2"]),
        (".diffs SELECT 1,\n2", [".diffs SELECT 1,\n2"]),
        ("SELECT '\n.5'", ["SELECT '\n.5'"]),
        (" ; -- nothing", []),
        ("", []),
    ],
)
def test_typed_together(text, found):
    """What is typed at once may be several statements, or one command; nothing is nothing."""
    assert together(text) == found
