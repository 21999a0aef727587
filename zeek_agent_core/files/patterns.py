"""File name patterns: from text to what each path component has to match."""

import fnmatch
import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from zeek_agent_core.api import ParameterError, storable

WILDCARD = re.compile(r"[*?[]")
ESCAPED = re.compile(r"\\x[89a-f][0-9a-f]")
"""How `storable` shows a byte that is not UTF-8."""
LONGEST = 4096
"""Longer paths exist on no supported system (PATH_MAX)."""

Matcher = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a pattern."""

    text: str
    matches: Matcher | None
    """What a name must satisfy; None where the text is the name."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An absolute pattern, taken apart."""

    drive: str
    """`C:` or `//server/share`; empty but on Windows."""
    parts: tuple[Part, ...]
    only_directories: bool
    separators: str

    def narrowed(self, path: str) -> "Pattern | None":
        """Return the pattern for *path* alone, as shown in results; None if it cannot match."""
        drive = len(self.drive)
        names = _names(path[drive:], self.separators)
        if path[:drive] != self.drive or len(names) != len(self.parts):
            return None
        parts = []
        for part, name in zip(self.parts, names, strict=True):
            narrow = self._narrow(part, name)
            if narrow is None:
                return None
            parts.append(narrow)
        return replace(self, parts=tuple(parts))

    def _narrow(self, part: Part, name: str) -> Part | None:
        r"""Return *part* for names shown as *name* alone; None if it matches no such name."""
        matches = part.matches
        if matches is None:
            return part if part.text == name else None
        if "\\" in name or self.separators != "/":
            # Only a listing tells the bytes behind `\xNN`, and how Windows spells a name.
            return Part(name, lambda other: storable(other) == name and matches(other))
        return Part(name, None) if matches(name) else None


@lru_cache(maxsize=256)
def parse_pattern(pattern: str, *, windows: bool = False) -> Pattern:
    """Take *pattern* apart; raise `ParameterError` unless it is absolute."""
    if "\0" in pattern or len(pattern) > LONGEST:
        raise ParameterError("a file pattern is at most 4096 characters long and without NUL")
    expanded = _with_home(pattern) if pattern.startswith("~") else pattern
    separators = "/\\" if windows else "/"
    drive, rest = _split_drive(expanded) if windows else ("", expanded)
    if not rest or rest[0] not in separators:
        example = "C:\\Users\\*" if windows else "/etc/*"
        raise ParameterError(
            f"file pattern {pattern!r} is not absolute; write for example {example!r}"
        )
    names = _names(rest, separators)
    parts = tuple(Part(name, _matcher(name, windows=windows)) for name in names)
    return Pattern(drive, parts, rest[-1] in separators, separators)


def _names(path: str, separators: str) -> list[str]:
    return [name for name in path.replace(separators[-1], separators[0]).split("/") if name]


def _with_home(pattern: str) -> str:
    """Replace a leading `~` or `~user` by the home directory, which is no pattern itself."""
    end = next((i for i, letter in enumerate(pattern) if letter in "/\\"), len(pattern))
    user = pattern[:end]
    home = os.path.expanduser(user)  # noqa: PTH111 - Path() raises where this leaves the text
    if home == user or WILDCARD.search(user):
        raise ParameterError(f"no home directory is known for {user!r} in file pattern {pattern!r}")
    return glob.escape(home) + pattern[end:]


def _split_drive(pattern: str) -> tuple[str, str]:
    r"""Split off `C:` or `\\server\share`."""
    found = re.match(r"[A-Za-z]:|[\\/]{2}[^\\/]+[\\/]+[^\\/]+", pattern)
    end = found.end() if found else 0
    return pattern[:end], pattern[end:] or ("\\" if end > len("C:") else "")


def _matcher(name: str, *, windows: bool) -> Matcher | None:
    """Return what a name must satisfy to match *name*; None for plain text.

    A name also matches itself: paths taken from results find their file, be
    there brackets or undecodable bytes in it.
    """
    if WILDCARD.search(name):
        flags = re.IGNORECASE if windows else 0
        expression = re.compile(fnmatch.translate(name), flags)
        return lambda other: expression.match(other) is not None or storable(other) == name
    if not windows and ESCAPED.search(name):
        return lambda other: storable(other) == name
    return None
