"""Statements that come from a file, a pipe or the command line."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from zeek_agent_core.errors import OutputError
from zeek_agent_core.repl import lexer


def is_blank(text: str) -> bool:
    """Return whether *text* has nothing but white space, comments and semicolons."""
    return all(token.text == ";" for token in lexer.significant(text))


class Splitter:
    """Takes lines, gives statements and dot commands; `;` ends a statement."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._pending = ""

    def feed(self, line: str) -> list[str]:
        """Return the statements that end with *line*."""
        if line.lstrip().startswith(".") and is_blank(self._pending):
            self._pending = ""
            return [line.strip()]
        self._pending += line
        if ";" not in line:
            return []
        *ended, self._pending = lexer.statements(self._pending)
        return [text.strip() for text in ended if not is_blank(text)]

    def end(self) -> list[str]:
        """Return the statement that lacks its `;`, if there is one."""
        rest, self._pending = self._pending, ""
        return [] if is_blank(rest) else [rest.strip()]


def split(lines: Iterable[str]) -> Iterator[str]:
    """Yield statements and dot commands out of *lines*, each with its line end."""
    splitter = Splitter()
    for line in lines:
        yield from splitter.feed(line)
    yield from splitter.end()


def together(text: str) -> list[str]:
    """Return the statements and dot commands that were typed, or pasted, at once.

    What begins with a dot command is that command alone: its SQL may have several lines.
    """
    if text.lstrip().startswith("."):
        return [text.strip()]
    return list(split(f"{line}\n" for line in text.split("\n")))


def statements(given: Iterable[str], standard_input: TextIO) -> Iterator[str]:
    """Yield the statements of *given*; `-` stands for those on *standard_input*."""
    for text in given:
        if text.strip() == "-":
            yield from split(standard_input)
        else:
            yield text


def read_file(path: str) -> list[str]:
    """Return the statements in the file *path*; raise `OutputError` if it cannot be read."""
    try:
        with Path(path).expanduser().open(encoding="utf-8", errors="backslashreplace") as file:
            return list(split(file))
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"cannot read {path}: {(reason or str(error)).lower()}") from error
