"""Finds the files that match a pattern, in a stable order, one directory at a time."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Prefix, Table, TableError, Where, storable
from zeek_agent_core.files.patterns import Matcher, Part, Pattern, parse_pattern

SECTION = "files"
SETTINGS = MappingProxyType(
    {"max_matches": 100_000, "max_line_bytes": 1 << 20, "max_hash_bytes": 1 << 30}
)
"""Settings of all `files_*` tables, with their defaults."""


@dataclass(frozen=True, slots=True)
class Match:
    """A path that matches."""

    path: str
    r"""As users see it; bytes that are not UTF-8 are `\xNN`."""
    real: str
    """What opens it: the host's root is in front, undecodable bytes are surrogates."""


def expand(table: Table, where: Where) -> Iterator[Match | None]:
    """Yield what matches the parameter `_pattern`, sorted; None stands for a pause.

    Conditions on the column `path` save listing and looking. Directories that
    cannot be read are warned of.
    """
    windows = table.host.platform == "windows"
    pattern = parse_pattern(where.parameters["_pattern"], windows=windows)
    patterns = [pattern]
    wanted = where.values("path")
    if wanted is not None:
        paths = sorted(path for path in wanted if isinstance(path, str))
        narrowed = [pattern.narrowed(path) for path in paths]
        patterns = [known for known in narrowed if known is not None]
    limit = table.setting("max_matches")
    search = Search(table, where.prefix("path"), limit)
    for each in patterns:
        yield from search.find(each)


class Search:
    """One walk along a pattern."""

    def __init__(self, table: Table, prefix: Prefix | None, limit: int) -> None:
        """Search for *table*, below *prefix* only, up to *limit* matches."""
        self.table = table
        self.prefix = prefix
        self.limit = limit
        windows = table.host.platform == "windows"
        self.separator = "\\" if windows else "/"
        self.root = table.host.prefix.rstrip("\\") if windows else table.host.prefix

    def find(self, pattern: Pattern) -> Iterator[Match | None]:
        """Yield the matches depth first, each directory sorted; None after each listing."""
        self.drive = pattern.drive
        self.start = self.root or pattern.drive
        parts = pattern.parts
        found = 0
        stack = [(self.start, 0)]
        while stack:
            base, at = stack.pop()
            is_known = at > 0
            while at < len(parts) and parts[at].matches is None:
                base, at, is_known = self._join(base, parts[at].text), at + 1, False
            if at == len(parts):
                if is_known or self._exists(base, pattern):
                    found += 1
                    if found > self.limit:
                        raise self._too_many()
                    yield Match(self._shown(base), base)
                continue
            directories = pattern.only_directories or at + 1 < len(parts)
            names = self._list(base, parts[at], directories_only=directories)
            stack += [(self._join(base, name), at + 1) for name in reversed(names)]
            yield None

    def _join(self, base: str, name: str) -> str:
        return f"{base}{self.separator}{name}"

    def _shown(self, real: str) -> str:
        path = self.drive + (real[len(self.start) :] or self.separator)
        return path if path.isascii() else storable(path)

    def _exists(self, path: str, pattern: Pattern) -> bool:
        target = path if path != self.start else path + self.separator
        try:
            if not pattern.only_directories:
                os.lstat(target)
                return True
            return stat.S_ISDIR(os.stat(target).st_mode)  # noqa: PTH116 - speed
        except OSError as error:
            self._warn("look at", path, error)
            return False

    def _list(self, directory: str, part: Part, *, directories_only: bool) -> list[str]:
        """Return the sorted names in *directory* that can lead to a match."""
        matches = part.matches
        names: list[str] = []
        try:
            with os.scandir(directory + self.separator) as entries:
                for entry in entries:
                    if self._is_wanted(
                        entry, directory, matches, directories_only=directories_only
                    ):
                        names.append(entry.name)
                        if len(names) > self.limit:
                            raise self._too_many()
        except OSError as error:
            self._warn("list", directory, error)
        return sorted(names, key=os.fsencode)

    def _is_wanted(
        self, entry: Any, directory: str, matches: Matcher | None, *, directories_only: bool
    ) -> bool:
        name = entry.name
        if matches is not None and not matches(name):
            return False
        if self.prefix is not None and not self._leads(self._join(directory, name), self.prefix):
            return False
        if not directories_only:
            return True
        try:
            return bool(entry.is_dir())
        except OSError as error:
            self._warn("look at", self._join(directory, name), error)
            return False

    def _leads(self, real: str, prefix: Prefix) -> bool:
        """Return whether *real* starts with *prefix*, or is on the way to it."""
        shown, wanted = self._shown(real), prefix.text
        size = min(len(shown), len(wanted))
        if prefix.ignore_case:
            return shown[:size].lower() == wanted[:size].lower()
        return shown[:size] == wanted[:size]

    def _warn(self, action: str, path: str, error: OSError) -> None:
        """Count what could not be read; what is not there, or no directory, is no match."""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self.table.warn(f"cannot {action} {self._shown(path)}: {reason(error)}")

    def _too_many(self) -> TableError:
        return TableError(
            self.table.name,
            f"the pattern matches more than {self.limit} paths; narrow it, or raise "
            "max_matches in [tables.files] of the configuration",
        )


def reason(error: OSError) -> str:
    """Return what the system says of *error*, as part of a message."""
    return (error.strerror or str(error)).lower()
