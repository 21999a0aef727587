"""Pure: the text around the cursor, and what the agent knows, to candidates."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from zeek_agent_core.repl.lexer import (
    Kind,
    Token,
    is_open,
    statements,
    tokens,
    unquoted,
)
from zeek_agent_core.repl.schema import KnownColumn, Schema
from zeek_agent_core.repl.sources import (
    TABLE_FOLLOWS,
    Source,
    common_tables,
    named_tables,
    parameter,
)
from zeek_agent_core.repl.words import FUNCTIONS, KEYWORDS, RESERVED

Files = Callable[[str], Iterable[str]]
"""Given the beginning of a path, the paths that begin so; a directory's ends with `/`."""

Commands = Mapping[str, tuple[str, str]]
"""Each dot command with its declared argument, for example `SECONDS SQL`, and its summary."""

PATH_PARAMETER = re.compile(r"path|pattern|file|dir|glob")

_QUOTES = frozenset('"`[')
_OTHER_LISTS = "select where group order having limit on using window union except intersect"
_LISTS = TABLE_FOLLOWS | set(_OTHER_LISTS.split())
_BEGINNINGS = ("SELECT", "WITH", "VALUES", "EXPLAIN")
_FOLLOWING = ("AS", "FROM", "WHERE", "JOIN", "GROUP", "ORDER", "LIMIT", "AND", "OR")


class Candidate(NamedTuple):
    """A way to go on from the cursor."""

    text: str
    """What replaces the word before the cursor."""
    start: int
    """Where that word begins, counted from the cursor, so never above 0."""
    kind: str
    """`table`, `column`, `function`, `keyword`, `command`, `file` or `value`."""
    description: str = ""


def candidates(
    before: str,
    schema: Schema,
    *,
    after: str = "",
    commands: Commands | None = None,
    files: Files = lambda _: (),
) -> list[Candidate]:
    """Return the candidates for the word that ends at the cursor.

    *before* and *after* are the text on either side of it. Each candidate
    begins with that word, whatever its case.
    """
    if before.lstrip().startswith("."):
        return list(_command(before.lstrip(), after, schema, commands or {}, files))
    return list(_sql(before, after, schema, files))


def _command(
    before: str, after: str, schema: Schema, commands: Commands, files: Files
) -> Iterator[Candidate]:
    """Complete a dot command, or what its declaration says its argument is."""
    name, space, argument = before.partition(" ")
    if not space:
        for known in sorted(commands):
            if known.startswith(name):
                yield Candidate(known, -len(name), "command", commands[known][1])
        return
    kinds = commands.get(name, ("", ""))[0].split()
    words = argument.split(" ")
    for place, kind in enumerate(kinds):
        if kind == "SQL":
            rest = " ".join(words[place:])
            yield from _sql(rest, after, schema, files)
            return
        is_last = place == len(words) - 1
        if is_last:
            yield from _argument(kind, words[place], schema, commands, files)
        is_given = words[place] in kind.strip("[]").split("|")
        if kind.startswith("[") and not is_given:
            words.insert(place, "")  # an optional word that may have been left out
        elif is_last:
            return


def _argument(
    kind: str, word: str, schema: Schema, commands: Commands, files: Files
) -> Iterator[Candidate]:
    size = -len(word)
    bare = kind.strip("[]")
    if bare == "FILE":
        yield from (Candidate(path, size, "file") for path in files(word) if path.startswith(word))
    elif bare == "TABLE":
        yield from (
            Candidate(table.name, size, "table", table.summary)
            for table in schema.tables.values()
            if table.name.startswith(word.lower())
        )
    elif bare == "COMMAND":
        yield from (Candidate(c, size, "command") for c in sorted(commands) if c.startswith(word))
    elif "|" in bare:
        yield from (
            Candidate(choice, size, "value")
            for choice in bare.split("|")
            if choice.startswith(word)
        )


def _sql(before: str, after: str, schema: Schema, files: Files) -> Iterator[Candidate]:
    """Complete the statement that the cursor is in."""
    before = list(statements(before))[-1]
    after = next(statements(after), "")
    found = list(tokens(before))
    if found and found[-1].text.startswith("--"):
        return
    if found and is_open(found[-1]) and found[-1].kind is not Kind.QUOTED:
        if found[-1].kind is Kind.STRING:
            yield from _paths(found, schema, files)
        return
    word = ""
    if found and found[-1].kind in (Kind.NAME, Kind.KEYWORD, Kind.QUOTED):
        word = found.pop().text
        if word[0] in _QUOTES and not is_open(Token(Kind.QUOTED, word, 0)):
            return
    known = [t for t in found if t.kind not in (Kind.SPACE, Kind.COMMENT)]
    if found and found[-1].kind is Kind.NUMBER:
        return
    whole = f"{before[: len(before) - len(word)]} {after}"
    sources = named_tables(whole)
    if known and known[-1].text == ".":
        yield from _of_table(known[:-1], word, sources, schema)
    elif _wants_table(known):
        yield from _tables(whole, word, schema)
    elif known and _is_operand(known[-1]):
        yield from _words(word, sorted(KEYWORDS) if word else _FOLLOWING)
    else:
        yield from _expression(known, word, sources, schema)


def _is_operand(token: Token) -> bool:
    """Return whether *token* ends a value or a table, so that a keyword comes next."""
    if token.kind is Kind.SYMBOL:
        return token.text == ")"
    return token.kind is not Kind.KEYWORD


def _of_table(
    known: list[Token], word: str, sources: Sequence[Source], schema: Schema
) -> Iterator[Candidate]:
    """Complete what follows `alias.`."""
    if known:
        alias = known[-1].word
        table = next((s.table for s in sources if alias in (s.alias, s.table)), alias)
        if table in schema.tables:
            yield from _columns(schema.tables[table].columns, word)
        elif word and not sources:
            yield from _any_column(word, schema)


def _tables(text: str, word: str, schema: Schema) -> Iterator[Candidate]:
    for table in schema.tables.values():
        if _begins(table.name, word):
            yield Candidate(_quoted(table.name, word), -len(word), "table", table.summary)
    for name in common_tables(text):
        if _begins(name, word) and name != unquoted_word(word):
            yield Candidate(_quoted(name, word), -len(word), "table", "common table expression")
    yield from _words(word, ("SELECT",) if not word else ())


def _expression(
    known: list[Token], word: str, sources: Sequence[Source], schema: Schema
) -> Iterator[Candidate]:
    """Complete where a value, or the next keyword, can stand."""
    if not known:
        yield from _words(word, _BEGINNINGS)
        return
    tables = [schema.tables[s.table] for s in sources if s.table in schema.tables]
    seen: set[str] = set()
    for table in tables:
        for candidate in _columns(table.visible, word, table.name if len(tables) > 1 else ""):
            if candidate.text not in seen:
                seen.add(candidate.text)
                yield candidate
    for source in sources:
        if source.alias != source.table and _begins(source.alias, word):
            yield Candidate(source.alias, -len(word), "table", f"stands for {source.table}")
    if not tables and word:
        yield from _any_column(word, schema)
    for name, (signature, meaning) in FUNCTIONS.items():
        if name.startswith(word.lower()):
            yield Candidate(name, -len(word), "function", f"{signature}: {meaning}")
    yield from _words(word, sorted(KEYWORDS) if word else ())


def _any_column(word: str, schema: Schema) -> Iterator[Candidate]:
    """Complete a column while no table is named yet: those of all tables, each name once."""
    owners: dict[str, list[str]] = {}
    beginning = unquoted_word(word)
    for table in schema.tables.values():
        for column in table.columns:
            if column.name.startswith(beginning) and not column.is_parameter:
                owners.setdefault(column.name, []).append(table.name)
    for name, tables in sorted(owners.items()):
        more = ", ..." if len(tables) > 3 else ""  # noqa: PLR2004 - as many as fit
        yield Candidate(
            _quoted(name, word), -len(word), "column", f"of {', '.join(tables[:3])}{more}"
        )


def _columns(columns: Iterable[KnownColumn], word: str, owner: str = "") -> Iterator[Candidate]:
    beginning = unquoted_word(word)
    for column in columns:
        if column.name.startswith(beginning):
            where = f" ({owner})" if owner else ""
            meaning = f"{column.type}{where}: {column.description}"
            yield Candidate(_quoted(column.name, word), -len(word), "column", meaning)


def _quoted(name: str, word: str) -> str:
    """Return *name* in the quotes that *word* opens, or in those that it needs."""
    opening = word[:1]
    if opening in _QUOTES:
        return opening + name + ("]" if opening == "[" else opening)
    return f'"{name}"' if name.upper() in RESERVED else name


def _words(word: str, words: Iterable[str]) -> Iterator[Candidate]:
    for keyword in words:
        if keyword.lower().startswith(word.lower()) and keyword.lower() != word.lower():
            text = keyword.lower() if word and word == word.lower() else keyword
            yield Candidate(text, -len(word), "keyword")


def _begins(name: str, word: str) -> bool:
    """Return whether *word*, perhaps in quotes, is the beginning of *name*."""
    return name.lower().startswith(unquoted_word(word))


def unquoted_word(word: str) -> str:
    """Return *word* in lower case and without quotes."""
    return (unquoted(word) if word[:1] in _QUOTES else word).lower()


def _wants_table(known: Sequence[Token]) -> bool:
    """Return whether a table's name comes next."""
    if not known:
        return False
    if known[-1].word in TABLE_FOLLOWS and known[-1].kind is Kind.KEYWORD:
        return True
    return known[-1].text == "," and _clause(known) in TABLE_FOLLOWS


def _clause(known: Sequence[Token]) -> str:
    """Return the keyword whose list, outside of parentheses, *known* ends in; else nothing."""
    depth = 0
    for token in reversed(known):
        depth += (token.text == ")") - (token.text == "(")
        if depth < 0:
            break
        if depth == 0 and token.kind is Kind.KEYWORD and token.word in _LISTS:
            return token.word
    return ""


def _paths(found: list[Token], schema: Schema, files: Files) -> Iterator[Candidate]:
    """Complete a path in an argument of a table that takes one."""
    text = found[-1].text
    taken = parameter([t for t in found[:-1] if t.kind is not Kind.SPACE], schema)
    if taken is None or not PATH_PARAMETER.search(taken.name):
        return
    beginning = unquoted(text)
    for path in files(beginning):
        if path.startswith(beginning):
            closed = path.replace("'", "''") + ("" if path.endswith("/") else "'")
            yield Candidate("'" + closed, -len(text), "file")
