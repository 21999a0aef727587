"""Pure: which tables a statement names, how it calls them, and what it gives them."""

from collections.abc import Sequence
from typing import NamedTuple

from zeek_agent_core.repl.lexer import Kind, Token, significant
from zeek_agent_core.repl.schema import KnownColumn, KnownTable, Schema

TABLE_FOLLOWS = frozenset({"from", "join"})


class Source(NamedTuple):
    """A table that a statement names, and what it calls it."""

    table: str
    alias: str


def named_tables(text: str) -> list[Source]:
    """Return the tables that the statement *text* reads from, with their aliases."""
    known = significant(text)
    sources: list[Source] = []
    place = 0
    while place < len(known):
        token = known[place]
        place += 1
        if token.kind is Kind.KEYWORD and token.word in TABLE_FOLLOWS:
            place = _read_sources(known, place, sources)
    return sources


def _read_sources(known: Sequence[Token], place: int, sources: list[Source]) -> int:
    """Read `name [(...)] [AS] [alias] [, ...]` from *place* on; return where it ends."""
    while place < len(known) and known[place].kind in (Kind.NAME, Kind.QUOTED):
        name = alias = known[place].word
        place += 1
        if place < len(known) and known[place].text == "(":
            place = _closing(known, place) + 1
        if place < len(known) and known[place].word == "as":
            place += 1
        if place < len(known) and known[place].kind in (Kind.NAME, Kind.QUOTED):
            alias = known[place].word
            place += 1
        sources.append(Source(name, alias))
        if place >= len(known) or known[place].text != ",":
            break
        place += 1
    return place


def _closing(known: Sequence[Token], place: int) -> int:
    """Return where the parenthesis that opens at *place* closes."""
    depth = 0
    for position in range(place, len(known)):
        depth += (known[position].text == "(") - (known[position].text == ")")
        if depth == 0:
            return position
    return len(known)


def common_tables(text: str) -> list[str]:
    """Return the names that `WITH` gives in the statement *text*."""
    known = significant(text)
    names = []
    for place, token in enumerate(known[:-2]):
        if token.kind in (Kind.NAME, Kind.QUOTED) and known[place + 1].word == "as":
            follows = {known[place + 2].text, known[place + 2].word}
            if follows & {"(", "materialized", "not"}:
                names.append(token.word)
    return names


def parameter(known: Sequence[Token], schema: Schema) -> KnownColumn | None:
    """Return the parameter whose argument begins after the tokens *known*."""
    if known and known[-1].text == "=":
        sources = named_tables(" ".join(t.text for t in known))
        names = {p.name: p for s in sources for p in _parameters(schema.tables.get(s.table))}
        return names.get(known[-2].word) if len(known) > 1 else None
    number = depth = 0
    for place in range(len(known) - 1, -1, -1):
        text = known[place].text
        depth += (text == ")") - (text == "(")
        if depth < 0:
            parameters = _parameters(schema.tables.get(known[place - 1].word)) if place else ()
            return parameters[number] if number < len(parameters) else None
        number += depth == 0 and text == ","
    return None


def _parameters(table: KnownTable | None) -> tuple[KnownColumn, ...]:
    return table.parameters if table is not None else ()
