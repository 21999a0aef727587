"""Keys and values of the registry by pattern."""

import errno
import fnmatch
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from zeek_agent_core.api import ParameterError, Table, TableError, Where, storable
from zeek_agent_windows._layouts import filetime

SECTION = "registry"
SETTINGS = MappingProxyType({"max_matches": 100_000, "max_value_bytes": 65_536})
LONGEST = 4096

ROOTS = {
    "HKEY_CLASSES_ROOT": 0x80000000,
    "HKEY_CURRENT_USER": 0x80000001,
    "HKEY_LOCAL_MACHINE": 0x80000002,
    "HKEY_USERS": 0x80000003,
    "HKEY_CURRENT_CONFIG": 0x80000005,
}
SHORT = {
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCU": "HKEY_CURRENT_USER",
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKU": "HKEY_USERS",
    "HKCC": "HKEY_CURRENT_CONFIG",
}
TYPES = (
    "REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN",
    "REG_LINK", "REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR",
    "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
)  # fmt: skip
"""By their numbers, see ``<winnt.h>``."""


class Info(NamedTuple):
    """What a key tells of itself."""

    subkeys: int
    values: int
    changed: int
    """FILETIME."""


class Registry(Protocol):
    """What is asked of the system; *path* is empty for a root itself."""

    def info(self, root: int, path: str) -> Info:
        """Return what a key tells of itself; `FileNotFoundError` if there is none."""

    def keys(self, root: int, path: str) -> Sequence[str]:
        """Return the names of the keys below a key."""

    def values(self, root: int, path: str) -> Sequence[tuple[str, Any, int]]:
        """Return name, data as `winreg` has it, and type of each value of a key."""


def registry() -> Registry:
    """Return the registry of this host; `OSError` where it is another system."""
    if sys.platform == "win32":
        return SystemRegistry()
    raise OSError(errno.ENOSYS, "this exists on Windows only")


class Pattern(NamedTuple):
    """A pattern, taken apart."""

    root: str
    parts: tuple[str, ...]


def parse_pattern(text: str) -> Pattern:
    """Take a pattern apart; raise `ParameterError` unless it begins with a root."""
    first, *parts = text[: LONGEST + 1].replace("/", "\\").split("\\")
    root = SHORT.get(first.upper(), first.upper())
    if "\0" in text or len(text) > LONGEST or root not in ROOTS:
        known = ", ".join(SHORT)
        raise ParameterError(
            f"registry pattern {text[:80]!r} begins with no root; "
            rf"write for example 'HKLM\SOFTWARE\*' (roots: {known})"
        )
    return Pattern(root, tuple(part for part in parts if part))


def matcher(part: str) -> Callable[[str], object] | None:
    """Return what a name must satisfy; None where the text is the name."""
    if re.search(r"[*?[]", part):
        return re.compile(fnmatch.translate(part), re.IGNORECASE).match
    return None


class Key(NamedTuple):
    """A key that matches."""

    shown: str
    root: int
    path: str


class Search:
    """One walk along a pattern."""

    def __init__(self, table: Table, asked: Registry, where: Where) -> None:
        """Search for *table* what *where* wants."""
        self._table, self._registry = table, asked
        self._prefix = where.prefix("path")
        self._limit = table.setting("max_matches")
        self.pattern = parse_pattern(where.parameters["_pattern"])

    def find(self) -> Iterator[Key | None]:
        """Yield the keys, sorted; None after each key that was listed."""
        root, parts = self.pattern
        found = 0
        stack = [("", 0)]
        while stack:
            path, at = stack.pop()
            while at < len(parts) and matcher(parts[at]) is None:
                path, at = _join(path, parts[at]), at + 1
            if at == len(parts):
                found += 1
                if found > self._limit:
                    raise self._too_many()
                yield Key(_join(root, storable(path)), ROOTS[root], path)
                continue
            names = self._names(root, path, parts[at])
            stack += [(_join(path, name), at + 1) for name in reversed(names)]
            yield None

    def _names(self, root: str, path: str, part: str) -> list[str]:
        matches = matcher(part)
        try:
            listed = self._registry.keys(ROOTS[root], path)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.warn(_join(root, path), error)
            return []
        names = [name for name in listed if matches is None or matches(name)]
        if len(names) > self._limit:
            raise self._too_many()
        shown = _join(root, path)
        return sorted((n for n in names if self._leads(_join(shown, n))), key=str.casefold)

    def _leads(self, shown: str) -> bool:
        """Return whether a path starts with the prefix, or is on the way to it."""
        if self._prefix is None:
            return True
        wanted = self._prefix.text.casefold()
        path = storable(shown).casefold()
        size = min(len(path), len(wanted))
        return path[:size] == wanted[:size]

    def warn(self, shown: str, error: OSError) -> None:
        """Count a key that could not be read."""
        self._table.warn(f"cannot read {shown}: {(error.strerror or str(error)).lower()}")

    def _too_many(self) -> TableError:
        return TableError(
            self._table.name,
            f"the pattern matches more than {self._limit} keys; narrow it, or raise "
            "max_matches in [tables.registry] of the configuration",
        )


def _join(path: str, name: str) -> str:
    return f"{path}\\{name}" if path and name else path or name


def changed(info: Info) -> int | None:
    """Return when a key was changed, in µs since the epoch."""
    return filetime(info.changed)


def type_name(number: int) -> str:
    """Return the name of a type."""
    return TYPES[number] if 0 <= number < len(TYPES) else f"unknown ({number})"


def data_text(data: Any, most: int) -> tuple[str | None, bool]:
    """Return data as text, and whether it was cut at *most* characters or bytes."""
    if data is None:
        return None, False
    if isinstance(data, int):
        return str(data), False
    if isinstance(data, bytes):
        return data[:most].hex(), len(data) > most
    text = json.dumps(data) if isinstance(data, list) else str(data)
    return storable(text[:most]), len(text) > most


if sys.platform == "win32":
    import winreg

    READ = winreg.KEY_READ | winreg.KEY_WOW64_64KEY

    class SystemRegistry:
        """The registry of this host, as 64-bit programs see it."""

        def info(self, root: int, path: str) -> Info:
            """Return what a key tells of itself."""
            with winreg.OpenKey(root, path, 0, READ) as key:
                return Info(*winreg.QueryInfoKey(key))

        def keys(self, root: int, path: str) -> Sequence[str]:
            """Return the names of the keys below a key."""
            with winreg.OpenKey(root, path, 0, READ) as key:
                return list(_counted(lambda number: winreg.EnumKey(key, number)))

        def values(self, root: int, path: str) -> Sequence[tuple[str, Any, int]]:
            """Return the values of a key."""
            with winreg.OpenKey(root, path, 0, READ) as key:
                return list(_counted(lambda number: winreg.EnumValue(key, number)))

    def _counted(ask: Callable[[int], Any]) -> Iterator[Any]:
        """Yield what *ask* returns for 0, 1, 2, ... until there is no more."""
        number = 0
        while True:
            try:
                yield ask(number)
            except OSError as error:
                if error.winerror == NO_MORE_ITEMS:
                    return
                raise
            number += 1

    NO_MORE_ITEMS = 259
