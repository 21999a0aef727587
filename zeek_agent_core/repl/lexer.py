"""Pure: SQL text to tokens; never fails, since what people type is seldom finished."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from zeek_agent_core.repl.words import CONTINUING, KEYWORDS


class Kind(StrEnum):
    """What a token is."""

    SPACE = "space"
    COMMENT = "comment"
    STRING = "string"
    NAME = "name"
    QUOTED = "quoted"
    """A name in quotes."""
    KEYWORD = "keyword"
    NUMBER = "number"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """A piece of SQL; all pieces together are the text."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Position after the last character."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """The text in lower case, a quoted name without its quotes."""
        return unquoted(self.text) if self.kind is Kind.QUOTED else self.text.lower()


# A quote that is not closed takes the rest of the text.
_PATTERN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<string>'(?:[^']|'')*(?:'|\Z))
  | (?P<quoted>"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
  | (?P<number>\d[\w.]*|\.\d\w*)
  | (?P<name>\w[\w$]*)
  | (?P<symbol>\|\||<=|>=|<>|!=|==|->>|->|<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> Iterator[Token]:
    """Yield all tokens of *text*, white space and comments included."""
    for match in _PATTERN.finditer(text):
        kind = Kind(match.lastgroup or "symbol")
        if kind is Kind.NAME and match.group().upper() in KEYWORDS:
            kind = Kind.KEYWORD
        yield Token(kind, match.group(), match.start())


def significant(text: str) -> list[Token]:
    """Return the tokens of *text* that are neither white space nor comment."""
    return [t for t in tokens(text) if t.kind not in (Kind.SPACE, Kind.COMMENT)]


def unquoted(text: str) -> str:
    """Return what the quoted name or string *text* stands for, also without its last quote."""
    opening = text[:1]
    closing = "]" if opening == "[" else opening
    inner = text[1:-1] if is_closed(text) else text[1:]
    return inner.replace(closing * 2, closing)


def is_closed(text: str) -> bool:
    """Return whether the quoted *text* has its last quote."""
    inner = text[1:]
    if text[:1] == "[":
        return inner.endswith("]")
    return (len(inner) - len(inner.rstrip(text[:1]))) % 2 == 1  # two stand for one


def is_open(token: Token) -> bool:
    """Return whether *token* is a quote or comment that does not end."""
    if token.kind in (Kind.STRING, Kind.QUOTED):
        return not is_closed(token.text)
    return token.text.startswith("/*") and not token.text.endswith("*/")


def is_finished(text: str) -> bool:
    """Return whether Enter at the end of *text* should run it.

    It should after `;`. A single line without it runs as well, unless
    something is open or its end asks for more; a second line asks for `;`.
    """
    found = list(tokens(text))
    if found and is_open(found[-1]):
        return False
    known = [t for t in found if t.kind not in (Kind.SPACE, Kind.COMMENT)]
    if not known or known[0].text == "." or known[-1].text == ";":
        return True
    return "\n" not in text.strip() and not _asks_for_more(known)


def _asks_for_more(known: Sequence[Token]) -> bool:
    depth = sum((t.text == "(") - (t.text == ")") for t in known if t.kind is Kind.SYMBOL)
    last = known[-1]
    if depth > 0 or (last.kind is Kind.KEYWORD and last.text.upper() in CONTINUING):
        return True
    return last.kind is Kind.SYMBOL and last.text != ")"


def statements(text: str) -> Iterator[str]:
    """Yield each statement that `;` ends in *text*, then the rest, even if it is empty."""
    start = 0
    for token in tokens(text):
        if token.text == ";" and token.kind is Kind.SYMBOL:
            yield text[start : token.end]
            start = token.end
    yield text[start:]
