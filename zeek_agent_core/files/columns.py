"""Rows of ``files_columns``."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from zeek_agent_core.api import PAUSE, ParameterError, Row, Type, Where, text
from zeek_agent_core.errors import StatementError
from zeek_agent_core.files.convert import converter
from zeek_agent_core.files.globs import SECTION, SETTINGS, Match, expand
from zeek_agent_core.files.lines import last_number
from zeek_agent_core.files.reading import line_blocks
from zeek_agent_core.regexps import compiled, search
from zeek_agent_core.schema import files_columns

COLUMN = re.compile(r"\$([0-9]{1,4})\s*:\s*([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Spec:
    """One column to extract."""

    position: int
    """Counted from 1; 0 is the whole line."""
    type: Type
    convert: Callable[[bytes], Any]


@lru_cache(maxsize=256)
def parse_columns(columns: str) -> tuple[Spec, ...]:
    """Read a list of `$N:type`; raise `ParameterError` naming the part that is wrong."""
    return tuple(_parse_column(part.strip(), columns) for part in columns.split(","))


def _parse_column(part: str, columns: str) -> Spec:
    def wrong(why: str) -> ParameterError:
        return ParameterError(
            f"invalid column specification for 'files_columns': {columns}: {part!r} {why}"
        )

    found = COLUMN.fullmatch(part)
    if found is None:
        raise wrong("is not of the form $N:type")
    try:
        kind = Type(found[2].lower())
    except ValueError:
        raise wrong(f"has the unknown type {found[2]!r}") from None
    convert = converter(kind)
    if convert is None:
        raise wrong(f"has a type that no text can be converted to, {kind}")
    return Spec(int(found[1]), kind, convert)


def ignorer(pattern: str) -> Callable[[bytes], bool]:
    """Return what tells whether a line is left out."""
    if not pattern:
        return lambda _: False
    if pattern == files_columns.IGNORE:  # the same without a regular expression's cost
        return lambda line: line.lstrip(b" \t")[:1] in (b"", b"#", b";")
    try:
        compiled(pattern)
    except StatementError as error:
        raise ParameterError(f"invalid ignore regex for 'files_columns': {error}") from error
    return lambda line: search(pattern, text(line))


def splitter(separator: str, most: int) -> Callable[[bytes], list[bytes]]:
    """Return what parts a line into columns, of which the first *most* are needed."""
    if not separator:
        return lambda line: line.split(None, most)
    literal = separator.encode()
    return lambda line: line.split(literal, most)


def extract(line: bytes, fields: list[bytes], specs: tuple[Spec, ...]) -> list[tuple[Type, Any]]:
    """Return the wanted columns of a line, with their types."""
    found: list[tuple[Type, Any]] = []
    for spec in specs:
        if spec.position == 0:
            value = spec.convert(line)
        elif spec.position <= len(fields):
            value = spec.convert(fields[spec.position - 1])
        else:
            value = None
        found.append((spec.type, value))
    return found


class FilesColumns(files_columns.FilesColumns):  # noqa: D101 - described by its declaration
    settings_section = SECTION
    settings = SETTINGS

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per line that is not ignored, without loading the file."""
        specs = parse_columns(where.parameters["_columns"])
        is_ignored = ignorer(where.parameters["_ignore"])
        split = splitter(where.parameters["_separator"], max(spec.position for spec in specs))
        last = last_number(where)
        wants_columns = where.wants("columns")

        def file_rows(match: Match) -> Iterator[Row]:
            number = 0
            for block in line_blocks(self, match):
                for line in block:
                    number += 1
                    if number > last:
                        return
                    if is_ignored(line):
                        continue
                    columns = extract(line, split(line), specs) if wants_columns else None
                    yield {"path": match.path, "number": number, "columns": columns}
                yield PAUSE

        for match in expand(self, where):
            if match is not None:
                yield from file_rows(match)
            yield PAUSE
