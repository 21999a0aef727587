"""Which directories to watch for patterns of paths, and where each of them is now."""

import errno
import os
import stat
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from zeek_agent_core.api import Prefix, Where, storable
from zeek_agent_core.files.patterns import Part, parse_pattern
from zeek_agent_linux._happenings import Notifier

UNWATCHED = ("/proc", "/sys")
"""Where the kernel makes files up as they are looked at, and tells of nothing."""


@dataclass(slots=True)
class Interest:
    """What is of interest in one directory."""

    is_whole: bool = False
    """Everything, and all that is below."""
    ends: list[Part] = field(default_factory=list)
    """Names that a pattern ends with."""
    passages: list[Part] = field(default_factory=list)
    """Names on the way to what a pattern ends with."""

    @property
    def is_passage(self) -> bool:
        """Whether nothing in the directory is of interest itself."""
        return not self.is_whole and not self.ends

    def wants(self, name: str) -> bool:
        """Return whether what happens to *name* is of interest."""
        return self.is_whole or any(matches(part, name) for part in self.ends)

    def leads(self, name: str) -> bool:
        """Return whether what is in a directory *name* may be of interest."""
        return any(matches(part, name) for part in self.passages)


def matches(part: Part, name: str) -> bool:
    """Return whether *name* is what *part* of a pattern means."""
    return part.text == name if part.matches is None else part.matches(name)


Overlaps = Callable[[str], bool]
"""Whether a directory may have, or be, something of interest."""


def everywhere(_: str) -> bool:
    """Return True: everything is of interest."""
    return True


def nowhere(_: str) -> bool:
    """Return False: nothing is of interest."""
    return False


def overlapping(where: Where) -> Overlaps:
    """Return what tells directories that *where* has no interest in."""
    values, prefix = where.values("path"), where.prefix("path")
    wanted = [Prefix(value, ignore_case=False) for value in values or () if isinstance(value, str)]
    if values is None:
        wanted = [prefix] if prefix is not None else []
    if not wanted:
        return everywhere if values is None else nowhere

    def overlaps(path: str) -> bool:
        below = storable(path).rstrip("/") + "/"
        return any(
            each.begins(below) or Prefix(below, each.ignore_case).begins(each.text + "/")
            for each in wanted
        )

    return overlaps


class Plan:
    """The directories to watch, found by looking; for a thread."""

    def __init__(self, root: str, most: int, overlaps: Overlaps) -> None:
        """Look below *root*, a prefix of all paths, for at most *most* directories."""
        self._root = root
        self._most = most
        self._overlaps = overlaps
        self.directories: dict[str, Interest] = {}
        self.is_full = False

    def add(self, pattern: str) -> None:
        """Add what *pattern* wants."""
        self._add("/", parse_pattern(pattern).parts)

    def _add(self, directory: str, parts: Sequence[Part]) -> None:
        if not self._overlaps(directory):
            return
        interest = self._interest(directory)
        if interest is None:
            return
        if not parts:
            interest.is_whole = True
            self.add_below(directory)
            return
        part, *rest = parts
        (interest.passages if rest else interest.ends).append(part)
        names = [part.text] if part.matches is None else self._names(directory, part)
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118 - for each of many
            if os.path.isdir(self._root + path):  # noqa: PTH112
                self._add(path, rest)

    def _names(self, directory: str, part: Part) -> list[str]:
        with suppress(OSError):
            names = os.listdir(self._root + directory)  # noqa: PTH208 - names are wanted
            return sorted(name for name in names if matches(part, name))
        return []

    def _interest(self, directory: str) -> Interest | None:
        known = self.directories.get(directory)
        if known is not None:
            return known
        if len(self.directories) >= self._most:
            self.is_full = True
            return None
        return self.directories.setdefault(directory, Interest())

    def add_below(self, top: str) -> None:
        """Add all directories below *top*."""
        for path in below(self._root, top):
            if self._overlaps(path) and path not in UNWATCHED:
                interest = self._interest(path)
                if interest is None:
                    return
                interest.is_whole = True


def below(root: str, top: str) -> Iterator[str]:
    """Yield the directories below *top*, from the top down, links not followed."""
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(root + directory) as entries:
                found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:  # gone meanwhile, or not for us
            continue
        for name in found:
            path = os.path.join(directory, name)  # noqa: PTH118 - for each of many
            yield path
            if path not in UNWATCHED:
                waiting.append(path)


@dataclass(slots=True)
class Watched:
    """A directory that is watched."""

    path: str
    interest: Interest


class Watches:
    """The watches of one notifier, by watch and by path."""

    def __init__(self, notifier: Notifier, root: str, most: int) -> None:
        """Watch through *notifier* below *root*, at most *most* directories."""
        self._notifier = notifier
        self._root = root
        self._most = most
        self._known: dict[Hashable, Watched] = {}
        self._paths: dict[str, Hashable] = {}
        self.refused: dict[str, OSError] = {}
        """Directories that cannot be watched, since the last `apply`."""
        self.is_full = False
        """Whether there are more directories than may be watched."""

    def __len__(self) -> int:
        """Return how many directories are watched."""
        return len(self._known)

    def get(self, watch: Hashable) -> Watched | None:
        """Return the directory of a watch."""
        return self._known.get(watch)

    def at(self, path: str) -> Watched | None:
        """Return the directory *path*, if it is watched."""
        watch = self._paths.get(path)
        return None if watch is None else self._known.get(watch)

    def is_watched(self, path: str) -> bool:
        """Return whether the directory *path* is watched."""
        return path in self._paths

    def apply(self, plan: Plan) -> list[str]:
        """Watch what *plan* wants, and nothing else; return what is watched anew, as a whole."""
        self.refused, self.is_full = {}, plan.is_full
        before = set(self._paths)
        for path in [path for path in self._paths if path not in plan.directories]:
            self.forget(path)
        for path, interest in plan.directories.items():
            self._watch(path, interest)
        return [path for path in self._paths.keys() - before if plan.directories[path].is_whole]

    def enter(self, top: str, overlaps: Overlaps) -> Iterator[tuple[str, bool]]:
        """Watch the new directory *top* and all below it; yield what was in them already.

        Each is a path, and whether it is a directory. A directory is watched
        first and looked into then, so that nothing is missed in between.
        """
        waiting = [top]
        while waiting:
            directory = waiting.pop()
            if not overlaps(directory) or not self._watch(directory, Interest(is_whole=True)):
                continue
            try:
                with os.scandir(self._root + directory) as entries:
                    found = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries]
            except OSError:
                continue
            for name, is_directory in found:
                path = os.path.join(directory, name)  # noqa: PTH118 - for each of many
                yield path, is_directory
                if is_directory:
                    waiting.append(path)

    def _watch(self, path: str, interest: Interest) -> bool:
        known = self._paths.get(path)
        if known is None and len(self._known) >= self._most:
            self.is_full = True
            return False
        try:
            watch = self._notifier.add(self._root + path, is_passage=interest.is_passage)
        except OSError as error:
            if error.errno == errno.ENOSPC:  # the kernel's own bound
                self.is_full = True
            elif not isinstance(error, FileNotFoundError | NotADirectoryError):
                self.refused[path] = error
            return False
        if known is not None and known != watch:
            self._known.pop(known, None)
        other = self._known.get(watch)
        if other is not None and other.path != path and self._is_there(other.path):
            return False  # the same directory under another name
        if other is not None:
            self._paths.pop(other.path, None)
        self._known[watch] = Watched(path, interest)
        self._paths[path] = watch
        return True

    def _is_there(self, path: str) -> bool:
        with suppress(OSError):
            return stat.S_ISDIR(os.stat(self._root + path).st_mode)  # noqa: PTH116
        return False

    def gone(self, watch: Hashable) -> None:
        """Forget a watch that the kernel has removed."""
        known = self._known.pop(watch, None)
        if known is not None and self._paths.get(known.path) == watch:
            del self._paths[known.path]

    def forget(self, path: str) -> None:
        """Watch the directory *path* no more."""
        watch = self._paths.pop(path, None)
        if watch is not None:
            self._known.pop(watch, None)
            self._notifier.remove(watch, self._root + path)

    def deleted(self, path: str) -> None:
        """Forget the directory *path*; it was empty before it could be deleted."""
        watch = self._paths.pop(path, None)
        if watch is not None:
            self._known.pop(watch, None)

    def moved(self, old: str, new: str | None) -> None:
        """Note that the directory *old* is at *new* now, or nowhere that is of interest."""
        for path in self._at_or_below(old):
            watch = self._paths.pop(path)
            known = self._known.pop(watch)
            if new is None:
                self._notifier.remove(watch, self._root + path)
                continue
            known.path = new + path[len(old) :]
            self._known[watch] = known
            self._paths[known.path] = watch

    def _at_or_below(self, path: str) -> list[str]:
        if path not in self._paths:
            return []
        start = path + "/"
        return [each for each in self._paths if each == path or each.startswith(start)]
