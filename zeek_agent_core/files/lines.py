"""Rows of ``files_lines``."""

from collections.abc import Iterator

from zeek_agent_core.api import PAUSE, Row, Where
from zeek_agent_core.files.globs import SECTION, SETTINGS, Match, expand
from zeek_agent_core.files.reading import line_blocks
from zeek_agent_core.schema import files_lines


def last_number(where: Where) -> float:
    """Return the largest wanted value of the column `number`."""
    last = where.high("number")
    values = where.values("number")
    if values is not None:
        highest = max((v for v in values if isinstance(v, int | float)), default=0)
        last = highest if last is None else min(last, highest)
    return float("inf") if last is None else float(last)


class FilesLines(files_lines.FilesLines):  # noqa: D101 - described by its declaration
    settings_section = SECTION
    settings = SETTINGS

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per line, without loading the file."""
        last = last_number(where)
        for match in expand(self, where):
            if match is not None:
                yield from self._lines(match, last)
            yield PAUSE

    def _lines(self, match: Match, last: float) -> Iterator[Row]:
        number = 0
        path = match.path
        for block in line_blocks(self, match):
            for line in block:
                number += 1
                if number > last:
                    return
                yield {"path": path, "number": number, "content": line.strip()}
            yield PAUSE
