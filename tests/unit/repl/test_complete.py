"""Tests of completion."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.repl.complete import candidates, unquoted_word
from zeek_agent_core.repl.lexer import unquoted
from zeek_agent_core.repl.schema import KnownColumn, KnownTable, Schema
from zeek_agent_core.repl.words import FUNCTIONS
from zeek_agent_core.sql.functions import FUNCTIONS as OWN


def known(name, *columns):
    """Return a table with text columns."""
    made = (KnownColumn(c, "text", c.startswith("_"), description=f"a {c}") for c in columns)
    return KnownTable(name, f"All {name}.", tuple(made))


TABLES = [
    known("processes", "pid", "name", "ppid"),
    known("sockets", "pid", "process", "local_port"),
    known("files_list", "_pattern", "path", "size"),
    known("files_columns", "_pattern", "_columns", "number"),
    known("odd", "table", "order"),
]
SCHEMA = Schema({table.name: table for table in TABLES})
FILES = ["/etc/", "/etc/passwd", "/etc/it's", "/tmp/"]
COMMANDS = {
    ".schema": ("TABLE", "Show columns."),
    ".mode": ("[auto|table|csv]", "Choose."),
    ".chart": ("[bar|line] SQL", "Draw."),
    ".watch": ("SECONDS SQL", "Repeat."),
    ".read": ("FILE", "Run a file."),
    ".help": ("[COMMAND]", "Help."),
    ".quit": ("", "Leave."),
}


def found(text):
    """Return the candidates at `|` in *text*, by default at its end."""
    before, _, after = text.partition("|")
    files = lambda beginning: [path for path in FILES if path.startswith(beginning)]  # noqa: E731
    return candidates(before, SCHEMA, after=after, commands=COMMANDS, files=files)


def texts(text, kind=None):
    """Return the texts of the candidates at `|` in *text*."""
    return [c.text for c in found(text) if kind in (None, c.kind)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("se", ["select"]),
        ("SE", ["SELECT"]),
        ("SELECT * FROM pro", ["processes"]),
        ("SELECT * FROM processes JOIN so", ["sockets"]),
        ("SELECT * FROM processes, so", ["sockets"]),
        ("SELECT * FROM (SELECT * FROM so", ["sockets"]),
        ("SELECT pi|FROM processes", ["pid"]),
        ("SELECT p.| FROM processes p", ["pid", "name", "ppid"]),
        ("SELECT processes.pp| FROM processes", ["ppid"]),
        ("SELECT a.l| FROM processes AS p, sockets AS a", ["local_port"]),
        ("SELECT s.l| FROM processes p JOIN files_list('/etc/*') f JOIN sockets s", ["local_port"]),
        ("SELECT * FROM processes WHERE n", ["name", "nullif", "natural", "not", "notnull"]),
        ("SELECT * FROM processes p ORDER BY p.p", ["pid", "ppid"]),
        ("SELECT 1; SELECT * FROM so", ["sockets"]),
        ("SELECT p.pi", ["pid"]),
        ('SELECT "na|FROM processes', ['"name"']),
        ("SELECT [na| FROM processes", ["[name]"]),
        ("SELECT * FROM odd WHERE ta", ['"table"']),
        ("WITH big AS (SELECT 1) SELECT * FROM bi", ["big"]),
        ("SELECT * FROM processes wh", ["when", "where"]),
        ("SELECT cidr", ["cidr_contains"]),
        (".sch", [".schema"]),
        (".schema pr", ["processes"]),
        (".mode ", ["auto", "table", "csv"]),
        (".mode t", ["table"]),
        (".watch 5 SELECT * FROM pro", ["processes"]),
        (".chart b", ["bar"]),
        (".chart bar SELECT * FROM pro", ["processes"]),
        (".chart SELECT * FROM pro", ["processes"]),
        (".chart se", ["select"]),
        (".help .q", [".quit"]),
        (".read /etc/p", ["/etc/passwd"]),
        ("SELECT * FROM files_list('/etc/p", ["'/etc/passwd'"]),
        ("SELECT * FROM files_list('/e", ["'/etc/", "'/etc/passwd'", "'/etc/it''s'"]),
        ("SELECT * FROM files_list('/etc/it''", ["'/etc/it''s'"]),
        ("SELECT * FROM files_columns('/etc/p", ["'/etc/passwd'"]),
        ("SELECT * FROM files_list WHERE _pattern = '/etc/p", ["'/etc/passwd'"]),
    ],
)
def test_candidates(text, first):
    """What is offered first is what the place of the cursor calls for."""
    assert texts(text)[: len(first)] == first


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'na", "SELECT 1 -- na", "SELECT 1 /* na", "SELECT 12",
        "SELECT * FROM files_columns('/etc/*', '/e", "SELECT * FROM processes WHERE name = '/e",
        "SELECT x.", "SELECT x.p| FROM processes p", ".quit ", ".nothing s",
        ".schema processes ", 'SELECT "name"',
    ],
)  # fmt: skip
def test_nothing_to_offer(text):
    """In comments, other strings, numbers, and where nothing is known, nothing is offered."""
    assert found(text) == []


def test_columns_know_their_table():
    """Columns come from the tables that the statement names, with type, table and description."""
    both = [c for c in found("SELECT p| FROM processes, sockets") if c.kind == "column"]
    assert [c.text for c in both] == ["pid", "ppid", "process"]
    assert both[0].description == "text (processes): a pid"
    assert "local_port" not in texts("SELECT | FROM processes")
    assert "_pattern" not in texts("SELECT | FROM files_list")


def test_columns_before_from():
    """Where no table is named yet, the columns of all are offered with their tables."""
    assert next(c for c in found("SELECT pi") if c.text == "pid").description == (
        "of processes, sockets"
    )


def test_descriptions():
    """Tables, functions and commands are described."""
    assert found("SELECT * FROM proc")[0].description == "All processes."
    assert found(".sche")[0].description == "Show columns."
    assert found("SELECT iso")[0].description.startswith("iso(time): ")


pieces = st.lists(
    st.sampled_from(
        ["SELECT ", "FROM ", "processes", " p", ".", ",", "(", ")", "'", '"', "[", "`", ";", " ",
         "na",
         "WITH ", " AS ", ".chart ", ".mode ", "bar ", "files_list(",
         "= ", "/e", "--", "/*", "\n", "1"]
    ),
    max_size=10,
).map("".join)  # fmt: skip


@given(st.one_of(st.text(), pieces), st.one_of(st.text(), pieces))
def test_never_fails(before, after):
    """Whatever is typed, completion does not fail, and candidates begin with the word."""
    for candidate in found(f"{before.replace('|', '')}|{after}"):
        assert candidate.start <= 0
        word = before.replace("|", "")[len(before.replace("|", "")) + candidate.start :]
        assert -candidate.start <= len(before)
        if candidate.kind == "file":
            begun = unquoted(word) if word.startswith("'") else word
            assert unquoted(candidate.text).startswith(begun) or candidate.text.startswith(word)
        else:
            assert unquoted_word(candidate.text).startswith(unquoted_word(word))


def test_functions_are_known():
    """All functions of our own are offered, with the signature they have."""
    for name, (_, _, signature) in OWN.items():
        assert FUNCTIONS[name][0] == signature


def test_fast_with_many_tables():
    """With 100 tables known, candidates take a fraction of the 20 ms a key press may."""
    tables = [known(f"table_{n}", *(f"column_{n}_{m}" for m in range(20))) for n in range(100)]
    schema = Schema({table.name: table for table in tables})
    began = perf_counter()
    for _ in range(10):
        assert candidates("SELECT c", schema)
    assert (perf_counter() - began) / 10 < 0.02
