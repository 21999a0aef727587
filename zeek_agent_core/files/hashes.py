"""Rows of ``files_hash``."""

import hashlib
from collections.abc import Iterator
from typing import Any

from zeek_agent_core.api import PAUSE, Row, Where
from zeek_agent_core.files.globs import SECTION, SETTINGS, Match, expand
from zeek_agent_core.files.reading import RegularFile, open_regular
from zeek_agent_core.schema import files_hash

ALGORITHMS = ("md5", "sha1", "sha256")
CHUNK = 1 << 20  # hashlib lets other threads run while it works on more than 2 KiB


class FilesHash(files_hash.FilesHash):  # noqa: D101 - described by its declaration
    settings_section = SECTION
    settings = SETTINGS

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per regular file, with the wanted hashes."""
        wanted = [name for name in ALGORITHMS if where.wants(name)]
        for match in expand(self, where):
            if match is not None:
                yield from self._file(match, wanted, where)
            yield PAUSE

    def _file(self, match: Match, wanted: list[str], where: Where) -> Iterator[Row]:
        """Yield the row of one file, after pauses; none if it cannot be read."""
        row: dict[str, Any] | None = None
        with open_regular(self, match) as opened:
            if opened is not None and _is_wanted(opened.size, where):
                hashes = {}
                for hashes in self._hashes(match, opened, wanted):  # noqa: B007 - the last one
                    yield PAUSE
                row = {"path": match.path, "size": opened.size, **hashes}
        if row is not None:
            yield row

    def _hashes(
        self, match: Match, opened: RegularFile, wanted: list[str]
    ) -> Iterator[dict[str, str]]:
        """Yield nothing while at work, and the digests in the end."""
        limit = self.setting("max_hash_bytes")
        if not wanted:
            return
        if opened.size > limit:
            self.warn(f"{match.path} is not hashed: it is larger than {limit} bytes")
            return
        states = {name: hashlib.new(name, usedforsecurity=False) for name in wanted}
        for chunk in opened.chunks(CHUNK):
            for state in states.values():
                state.update(chunk)
            yield {}
        yield {name: state.hexdigest() for name, state in states.items()}


def _is_wanted(size: int, where: Where) -> bool:
    """Return whether a file of *size* can satisfy the query."""
    low, high, values = where.low("size"), where.high("size"), where.values("size")
    return (
        (low is None or size >= low)
        and (high is None or size <= high)
        and (values is None or size in values)
    )
