"""Tests of running statements one after the other."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core import oneshot
from zeek_agent_core.config import Config
from zeek_agent_core.oneshot import split, statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        ("SELECT\n  1;\n", ["SELECT\n  1;"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';';", "SELECT 2"]),
        ("SELECT 1 -- a; b\n;", ["SELECT 1 -- a; b\n;"]),
        ("SELECT 1 /* a; b */;", ["SELECT 1 /* a; b */;"]),
        (".tables\nSELECT 1;\n.help", [".tables", "SELECT 1;", ".help"]),
        ("SELECT 1\n.5;", ["SELECT 1\n.5;"]),
        ("\n-- nothing\n;;\n", []),
        ("-- first\n.tables\n", [".tables"]),
        ("SELECT 1;\n-- the end\n", ["SELECT 1;"]),
    ],
)
def test_split(text, expected):
    """Statements end at semicolons outside of texts and comments; dot commands at their line."""
    assert list(split(io.StringIO(text))) == expected


@given(st.lists(st.sampled_from(["SELECT 1;", "SELECT ';' AS x;", "SELECT /* ; */ 2;"])),
       st.sampled_from(["", " ", "\n"]))  # fmt: skip
def test_split_undoes_joining(parts, between):
    """Joined statements come apart where they were joined."""
    assert list(split(io.StringIO(between.join(parts)))) == parts


def test_standard_input():
    """`-` stands for the statements on standard input, in their place."""
    source = io.StringIO("SELECT 2; SELECT 3")
    assert list(statements(["SELECT 1", " - ", "SELECT 4"], source)) == [
        "SELECT 1", "SELECT 2;", "SELECT 3", "SELECT 4",
    ]  # fmt: skip


async def run(texts, tmp_path, mode="table"):
    """Run *texts* on an agent of this process."""
    return await oneshot.run(Config(state_dir=tmp_path), texts, mode)


async def test_results_are_printed(capsys, tmp_path):
    """Tables are apart by an empty line, other forms follow each other."""
    assert await run(["SELECT 1 AS a", ".schema zeek_agent_queries"], tmp_path) == 0
    out = capsys.readouterr().out
    assert out.startswith("a\n-\n1\n\nColumn")
    assert await run(["SELECT 1 AS a", "SELECT 2 AS b"], tmp_path, "jsonl") == 0
    assert capsys.readouterr().out == '{"a": 1}\n{"b": 2}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("", "the statement is empty"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        (".quit", ".quit is only for a console"),
        ("CREATE TABLE x(y)", "is not allowed"),
    ],
)
async def test_failure_ends_the_run(capsys, tmp_path, text, message):
    """The first failure is told on standard error, ends the run, and makes its status 1."""
    assert await run(["SELECT 1", text, "SELECT 2 AS never"], tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "never" not in captured.out
