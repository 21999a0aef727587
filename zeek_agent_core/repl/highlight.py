"""Pure: SQL text to coloured pieces."""

from collections.abc import Iterator

from zeek_agent_core.repl.lexer import Kind, tokens
from zeek_agent_core.repl.schema import Schema
from zeek_agent_core.repl.words import FUNCTIONS

_CLASSES = {
    Kind.KEYWORD: "class:sql.keyword",
    Kind.STRING: "class:sql.string",
    Kind.NUMBER: "class:sql.number",
    Kind.COMMENT: "class:sql.comment",
}


def coloured(text: str, schema: Schema) -> Iterator[tuple[str, str]]:
    """Yield pieces of *text* with the class of each; all pieces together are the text."""
    start = 0
    if text.lstrip().startswith("."):
        stripped = text.lstrip()
        name = stripped.split(None, 1)[0]
        start = len(text) - len(stripped) + len(name)
        yield "class:sql.command", text[:start]
    for token in tokens(text[start:]):
        yield _CLASSES.get(token.kind) or _class_of_name(token.kind, token.word, schema), token.text


def _class_of_name(kind: Kind, word: str, schema: Schema) -> str:
    if kind in (Kind.NAME, Kind.QUOTED):
        if word in schema.tables:
            return "class:sql.table"
        if word in FUNCTIONS:
            return "class:sql.function"
    return ""
