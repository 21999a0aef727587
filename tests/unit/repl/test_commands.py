"""Tests of commands that begin with a dot."""

import json
import os
import stat
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zeek_agent_core.errors import AgentError, OutputError, StatementError
from zeek_agent_core.query import Subscription
from zeek_agent_core.repl.commands import chosen, declared, find

COMMANDS = declared()
ENDLESS = frozenset({".diffs", ".events", ".snapshots", ".snapshot-plus-diffs", ".watch"})
ELSEWHERE = frozenset({".once", ".output", ".read"})


@pytest.mark.parametrize("text", [".tables", "  .tables ;\n"])
async def test_tables(talk, text):
    """The tables are listed by name with the first line of their description."""
    async with talk("jsonl") as run:
        rows = [json.loads(line) for line in (await run(text)).splitlines()]
    assert {
        "Table": "zeek_agent",
        "Description": "The agent and the host it runs on, in one row.",
    } in rows
    assert rows == sorted(rows, key=lambda row: row["Table"])


@pytest.mark.parametrize(
    "text", [".schema zeek_agent", ".schema\tZEEK_AGENT;", '.schema "zeek_agent" ']
)
async def test_schema(talk, text):
    """A table's columns are shown with their types and descriptions."""
    async with talk("csv") as run:
        lines = (await run(text)).splitlines()
    assert lines[:2] == [
        "Column,Type,Description", 'id,text,"id of the agent, kept over restarts"',
    ]  # fmt: skip


async def test_help(talk):
    """All commands are listed with their arguments, each with a sentence; one is explained."""
    assert all(command.summary.endswith(".") for command in COMMANDS.values())
    async with talk() as run:
        shown = await run(".help")
        assert all(command.usage in shown for command in COMMANDS.values())
        assert (await run(".help mode")).strip().startswith(".mode [auto|table|line|")


async def test_explain(talk):
    """A plan is told in words, with the names of conditions and columns."""
    async with talk() as run:
        shown = await run(".explain SELECT t.rows FROM zeek_agent_tables t WHERE name = 'x'")
    assert shown.splitlines()[:2] == [
        "read zeek_agent_tables as t where name = ...",
        "    columns it is asked for: name, rows",
    ]


async def test_status_and_plugins(talk):
    """The state of the agent and its plugins are shown."""
    async with talk() as run:
        shown = await run(".status")
        assert "The agent" in shown
        assert "Active queries: none" in shown
        assert "core_zeek_agent_tables" in await run(".plugins")


async def test_status_is_one_page(talk, tmp_path):
    """The parts of the state are one page in a pager; what is too wide for it is cut."""
    page = tmp_path / "page"
    async with talk("auto") as run, AsyncExitStack() as stack:
        console = run.console
        console.screen.is_terminal = console.screen.is_capable = console.settings.is_paged = True
        console.screen.environment = {"PAGER": f"tee {page}"}  # keeps the last page it is given
        sql = f"SELECT 1 -- {'x' * 90}"
        for _ in range(20):
            await stack.enter_async_context(
                console.backend.subscribe(sql, Subscription.SNAPSHOTS, timedelta(minutes=1))
            )
        await run(".status")
    lines = page.read_text().splitlines()
    assert lines[0] == "The agent"
    queries = lines[lines.index("Active queries: 20") + 1 :][:22]
    assert all(len(line) <= 80 for line in queries)
    assert all("SELECT 1" in line and line.endswith("…") for line in queries[2:])


async def test_chart(talk):
    """A statement's result is drawn, as bars unless another kind is asked for."""
    values = "SELECT 'a', 1 UNION ALL SELECT 'b', 2"
    async with talk() as run:
        assert "█" in await run(f".chart {values}")
        assert await run(f".chart spark {values}") == "\n▁█\n1 to 2, 2 values\n"


async def test_modes(talk):
    """The mode, the text for NULL, widths and times can be chosen, and asked for."""
    async with talk() as run:
        assert await run(".mode csv", ".nullvalue 'none'", "SELECT NULL AS a") == "a\nnone\n"
        assert await run(".nullvalue", "SELECT NULL AS a, 1 AS b") == "a,b\n,1\n"
        assert await run(".mode table", ".width 3 0", "SELECT 'abcdef' AS a, 1 AS b") == (
            "\na    b\n---  -\nab…  1\n"
        )
        assert await run(".mode") == "mode is table\n"
        assert await run(".times readable", ".times") == "times are readable\n"
        assert await run(".timer on", ".timer") == "timer is on\n"
        assert "1 row, " in await run("SELECT 1")
        assert await run(".keys vi", ".keys") == "keys are those of vi\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".schema", "cannot parse table name; write .schema TABLE"),
        (".schema a b", "cannot parse table name"),
        (".schema zeek_agnt", r"no such table: zeek_agnt \(did you mean zeek_agent"),
        (".schema xyz", "no such table: xyz$"),
        (".table", r"unknown command: .table \(did you mean .tables\?\)"),
        (".x", "unknown command: .x; .help lists all"),
        (".", "unknown command: .; .help lists all"),
        (".tables extra", ".tables takes no argument"),
        (".mode xml", "'xml' is not one of auto, table"),
        (".mode tabel", r"did you mean table\?"),
        (".timer maybe", "'maybe' is not one of on, off"),
        (".width a", "'a' are not numbers"),
        (".width -1", "a width cannot be negative"),
        (".watch x SELECT 1", "'x' is not a number"),
        (".watch 0 SELECT 1", "write .watch SECONDS SQL, with 0.1 seconds or more"),
        (".watch nan SELECT 1", "write .watch SECONDS SQL, with"),
        (".watch 2", "write .watch SECONDS SQL"),
        (".chart bar", r"write .chart \[bar\|line\|spark\] SQL"),
        (".chart SELECT 1", "a chart needs two columns"),
        (".once", "write .once FILE"),
        (".once /no/such/file", "cannot write /no/such/file: no such file or directory"),
        (".read /no/such/file", "cannot read /no/such/file: no such file or directory"),
        (".help nothing", "unknown command: .nothing"),
        (".history x", "'x' is not a number"),
        (".diffs SELECT", "incomplete input"),
        (".explain SELECT * FROM zeek_agnt", r"did you mean zeek_agent"),
    ],
)
async def test_wrong_commands(talk, text, message):
    """A wrong command says what was not understood and what may have been meant."""
    async with talk() as run:
        with pytest.raises(AgentError, match=message):
            await run(text)


async def test_output_to_files(talk, tmp_path):
    """One result or all go to a file with the user's own mask, and then to the screen again."""
    once, all_of_it = tmp_path / "once", tmp_path / "all"
    mask = os.umask(0o027)
    try:
        async with talk("csv") as run:
            assert await run(f".once {once}", "SELECT 1 AS a") == ""
            assert await run("SELECT 2 AS a") == "a\n2\n"
            assert await run(f".output {all_of_it}", "SELECT 3 AS a", ".chart SELECT 1, 2") == ""
            assert await run(".output", "SELECT 4 AS a") == "a\n4\n"
    finally:
        os.umask(mask)
    assert once.read_text() == "a\n1\n"
    assert all_of_it.read_text().startswith("a\n3\n1  2")
    assert stat.S_IMODE(once.stat().st_mode) == 0o640


async def test_once_takes_all_of_a_command(talk, tmp_path):
    """What a command shows in several parts goes to the file as a whole."""
    path = tmp_path / "file"
    async with talk() as run:
        assert await run(f".once {path}", ".schema files_list") == ""
        assert "Table Parameter" in path.read_text()
        assert await run(f".once {path}", ".status") == ""
        assert "Active queries: none" in path.read_text()


async def test_full_disk(talk):
    """A file that cannot be written is told of, and results go to the screen again."""
    async with talk("csv") as run:
        with pytest.raises(OutputError, match="cannot write /dev/full: No space left"):
            await run(".output /dev/full", "SELECT 1 AS a")
        assert await run("SELECT 2 AS a") == "a\n2\n"


async def test_read(talk, tmp_path):
    """The statements of a file run in their order, those of a file it reads in their place."""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("SELECT 2 AS a;")
    outer.write_text(f"SELECT\n1 AS a;\n.read {inner}\nSELECT 3 AS a")
    async with talk("jsonl") as run:
        assert await run(f".read {outer}") == '{"a": 1}\n{"a": 2}\n{"a": 3}\n'


async def test_failure_ends_a_file(talk, tmp_path):
    """After a statement that fails the rest of its file does not run."""
    path = tmp_path / "file"
    path.write_text("SELECT 1 AS a; nonsense; SELECT 2 AS a;")
    async with talk("jsonl") as run:
        with pytest.raises(StatementError):
            await run(f".read {path}")
        assert await run("SELECT 3 AS a") == '{"a": 3}\n'


async def test_leaving_ends_a_file(talk, tmp_path):
    """After `.quit` the rest of a file does not run."""
    path = tmp_path / "file"
    path.write_text("SELECT 1 AS a;\n.quit\nSELECT 2 AS a;")
    async with talk("jsonl") as run:
        assert await run(f".read {path}") == '{"a": 1}\n'


async def test_leaving(talk):
    """`.quit` and `.exit` leave the console, `.terminate` ends the agent too."""
    for text, ended in [(".quit", []), (".exit", []), (".terminate", [True])]:
        async with talk() as run:
            await run(text)
            assert run.console.is_leaving
            assert run.ended == ended


async def test_history(talk):
    """What was typed is listed with its number, the latest last."""
    async with talk("csv") as run:
        run.console.history = lambda: ["a", "b", "c"]
        assert await run(".history 2") == "Number,Statement\n2,b\n3,c\n"


def test_not_for_scripts():
    """Commands that steer a conversation say so where there is none."""
    assert find(".quit").name == ".quit"
    with pytest.raises(StatementError, match=r"\.quit is only for a console"):
        find(".quit", is_talk=False)
    assert chosen(" ON ", "on", "off") == "on"


words = st.sampled_from(
    [".", "SELECT", "1", "zeek_agent", "on", "off", "csv", "'", '"', ";", "--", "bar", "5", "\x1b",
     "*", "FROM", "/nonexistent/file", "-1", "é", "\x00", *COMMANDS]
)  # fmt: skip


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(words, st.text(max_size=6)), min_size=1, max_size=5))
async def test_fuzzed_lines(talk, parts):
    """Whatever line is typed, it is answered or refused; nothing else comes up."""
    line = " ".join(parts)
    if set(line.replace(";", " ").split()) & (ENDLESS | ELSEWHERE):
        return
    async with talk() as run:
        with suppress(AgentError):
            await run(line)
        run.output.getvalue().encode("utf-8", "surrogatepass")
