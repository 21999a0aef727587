"""Tests of commands that begin with a dot."""

import pytest

from zeek_agent_core.errors import StatementError
from zeek_agent_core.host import Host
from zeek_agent_core.repl import commands
from zeek_agent_core.table import Column, Snapshot
from zeek_agent_core.values import Type


class Lines(Snapshot):
    """Lines of files.

    More about them.
    """

    name = "files_lines"
    columns = (
        Column("_pattern", Type.TEXT, "files to read"),
        Column("_most", Type.COUNT, "files at most", default=5),
        Column("path", Type.TEXT, "file"),
        Column("content", Type.BLOB, "text of the line"),
    )


class Users(Snapshot):
    """Accounts."""

    name = "users"
    columns = (Column("name", Type.TEXT, "login"),)


TABLES = {"users": Users(Host()), "files_lines": Lines(Host())}


def run(text):
    """Return the names of the columns and the rows of each answer."""
    return [([c.name for c in a.columns], a.rows) for a in commands.run(TABLES, text)]


@pytest.mark.parametrize("text", [".tables", "  .tables ;\n", ".tables extra"])
def test_tables(text):
    """The tables are listed by name with the first line of their description."""
    assert run(text) == [
        (["Table", "Description"], [("files_lines", "Lines of files."), ("users", "Accounts.")])
    ]


@pytest.mark.parametrize(
    "text", [".schema files_lines", ".schema\tFILES_LINES;", '.schema "files_lines" ']
)
def test_schema(text):
    """A table's columns come first, then its parameters, without their underscores."""
    columns, parameters = run(text)
    assert columns == (
        ["Column", "Type", "Description"],
        [("path", "text", "file"), ("content", "blob", "text of the line")],
    )
    assert parameters == (
        ["Table Parameter", "Type", "Default", "Description"],
        [("pattern", "text", "required", "files to read"), ("most", "count", "5", "files at most")],
    )


def test_schema_without_parameters():
    """Where there are no parameters nothing is said of them."""
    assert len(run(".schema users")) == 1


def test_help():
    """All commands are listed, each with a sentence."""
    [(_, rows)] = run(".help")
    assert [name for name, _ in rows] == [".help", ".schema TABLE", ".tables"]
    assert all(text.endswith(".") for _, text in rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".schema", "cannot parse table name; write .schema TABLE"),
        (".schema a b", "cannot parse table name"),
        (".schema user", r"no such table: user \(did you mean users\?\)"),
        (".schema xyz", "no such table: xyz$"),
        (".table", r"unknown command: .table \(did you mean .tables\?\)"),
        (".x", "unknown command: .x; .help lists all"),
        (".", "unknown command: .; .help lists all"),
    ],
)
def test_wrong_commands(text, message):
    """A wrong command says what was not understood and what may have been meant."""
    with pytest.raises(StatementError, match=message):
        run(text)
