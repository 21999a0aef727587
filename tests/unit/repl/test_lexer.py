"""Tests of taking SQL apart."""

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.repl.lexer import (
    Kind,
    is_closed,
    is_finished,
    significant,
    statements,
    tokens,
    unquoted,
)

sql = st.lists(
    st.sampled_from(
        ["SELECT", " ", "\n", "'", "''", '"', "`", "[", "]", "--", "/*", "*/", ";", "(", ")",
         "name", ".", "1.5", "*", ",", "é", "\x00", "->>"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(st.one_of(st.text(), sql))
def test_tokens_are_the_text(text):
    """All tokens together are the text, each where it says it starts."""
    found = list(tokens(text))
    assert "".join(token.text for token in found) == text
    assert all(text[t.start : t.end] == t.text for t in found)


@given(st.one_of(st.text(), sql))
def test_statements_are_the_text(text):
    """Statements together are the text; all but the last end with a semicolon."""
    *ended, rest = statements(text)
    assert "".join([*ended, rest]) == text
    assert all(statement.endswith(";") for statement in ended)


@given(st.text())
def test_quoting_is_undone(text):
    """A text in quotes, its own doubled, is found closed and gives the text again."""
    for quote in "'\"":
        quoted = quote + text.replace(quote, quote * 2) + quote
        assert is_closed(quoted)
        assert unquoted(quoted) == text
        assert [token.text for token in tokens(quoted)] == [quoted]


@given(st.text(alphabet="ab'"))
def test_closed_as_sqlite_sees_it(text):
    """Whether a string is closed is what SQLite thinks, too."""
    assert is_closed(f"'{text}") == apsw.complete(f"'{text};") or "'" in text


def test_kinds():
    """Keywords, names, quoted names, strings, numbers and comments are told apart."""
    kinds = [t.kind for t in significant("SELECT \"a b\", x1 FROM t WHERE y = 'z''' -- c\n AND 1")]
    assert kinds == [
        Kind.KEYWORD, Kind.QUOTED, Kind.SYMBOL, Kind.NAME, Kind.KEYWORD, Kind.NAME, Kind.KEYWORD,
        Kind.NAME, Kind.SYMBOL, Kind.STRING, Kind.KEYWORD, Kind.NUMBER,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", True),
        ("SELECT 1;", True),
        ("SELECT name FROM processes", True),
        ("SELECT *", False),
        ("SELECT name,", False),
        ("SELECT name FROM", False),
        ("SELECT count(", False),
        ("SELECT count(*)", True),
        ("SELECT 'a", False),
        ("SELECT 'a;", False),
        ('SELECT "a', False),
        ("SELECT 1 /* more", False),
        ("SELECT 1 /* ; */", True),
        ("SELECT name\nFROM processes", False),
        ("SELECT name\nFROM processes;", True),
        ("SELECT 1 WHERE", False),
        (".tables", True),
        ("", True),
        ("-- only a comment", True),
    ],
)
def test_is_finished(text, expected):
    """Enter runs what `;` ends, and a single line that is complete."""
    assert is_finished(text) is expected
