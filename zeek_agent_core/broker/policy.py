"""Pure: what the owner of this host lets Zeek ask; checked before a query runs, and while it does.

Tables and intervals are known when a query is installed. Paths may be computed
while it runs, so they are checked for every scan of a table and every row: a
row of a path that is not permitted is left out, also behind a symbolic link.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase

from zeek_agent_core.config import PolicyConfig
from zeek_agent_core.errors import ForbiddenError
from zeek_agent_core.limits import Limits
from zeek_agent_core.table import PAUSE, Table, Where
from zeek_agent_core.values import Row

PATTERN, PATH = "_pattern", "path"
_PART = re.compile(r"\*\*|\*|\?")
_WILDCARDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a query may run, and what it will not see."""

    refusal: str | None = None
    """Why it may not."""
    notes: tuple[str, ...] = ()
    """What the policy takes from its result."""

    @property
    def is_allowed(self) -> bool:
        """Whether it may run."""
        return self.refusal is None


class PathRules:
    """Patterns of paths: `*` stays in one component, `**` crosses, `/dir/**` is a whole tree."""

    def __init__(
        self,
        allowed: Collection[str],
        denied: Collection[str],
        resolve: Callable[[str], str] = os.path.realpath,
    ) -> None:
        """Permit what a pattern of *allowed* matches, all if there are none, but nothing *denied*.

        *resolve* follows symbolic links.
        """
        self._resolve = resolve
        self._allowed = [_compiled(p) for p in self._with_targets(allowed)]
        self._denied = [_compiled(p) for p in self._with_targets(denied)]
        self._fixed = [_fixed(pattern) for pattern in allowed]

    def _with_targets(self, patterns: Collection[str]) -> list[str]:
        """Return *patterns*, and what they are where their fixed part is a symbolic link."""
        found = dict.fromkeys(patterns)
        for pattern in patterns:
            base = _fixed(pattern).rpartition("/")[0] if _PART.search(pattern) else pattern
            if base:
                found[self._resolve(base) + pattern[len(base) :]] = None
        return list(found)

    def permits(self, path: str) -> bool:
        """Return whether *path*, and what it links to, may be seen."""
        return self._permits(path) and self._permits(self._resolve(path))

    def _permits(self, path: str) -> bool:
        if any(rule.fullmatch(path) for rule in self._denied):
            return False
        return not self._allowed or any(rule.fullmatch(path) for rule in self._allowed)

    def may_match(self, pattern: str) -> bool:
        """Return whether *pattern*, as a query gives it, can match anything permitted."""
        if not pattern.startswith("/"):
            return True  # `~` and drives are known only once they are expanded
        start = _fixed(pattern)
        if start == pattern and not self.permits(pattern):
            return False
        return not self._fixed or any(
            start.startswith(fixed) or fixed.startswith(start) for fixed in self._fixed
        )


def _fixed(pattern: str) -> str:
    return re.split(r"[*?\[{]", pattern, maxsplit=1)[0]


def _compiled(pattern: str) -> re.Pattern[str]:
    tree = pattern.removesuffix("/**")
    pieces, at = [], 0
    for match in _PART.finditer(tree):
        pieces += [re.escape(tree[at : match.start()]), _WILDCARDS[match[0]]]
        at = match.end()
    pieces.append(re.escape(tree[at:]))
    return re.compile("".join(pieces) + ("(?:/.*)?" if tree != pattern else ""), re.DOTALL)


class Policy:
    """The section `[policy]`, ready to decide."""

    def __init__(
        self, config: PolicyConfig, resolve: Callable[[str], str] = os.path.realpath
    ) -> None:
        """Decide as *config* says."""
        self._config = config
        self._paths = PathRules(config.paths, config.deny_paths, resolve)

    @property
    def is_open(self) -> bool:
        """Whether everything is allowed."""
        return self._config == PolicyConfig()

    def limits(self, limits: Limits) -> Limits:
        """Return *limits* with the policy's bound on rows."""
        most = self._config.max_rows
        return limits if most is None else replace(limits, rows=min(most, limits.rows))

    def check(self, tables: Collection[str], interval: timedelta | None = None) -> Decision:
        """Decide on a statement that reads *tables* every *interval*."""
        for table in sorted(tables):
            if not self.permits_table(table):
                return Decision(f"table {table} is not allowed")
        least = self._config.min_interval
        if interval and least and interval < timedelta(seconds=least):
            shown = f"{interval.total_seconds():g} s"
            return Decision(f"an interval of {shown} is not allowed; the least is {least:g} s")
        return Decision(notes=tuple(self._notes(tables)))

    def _notes(self, tables: Collection[str]) -> Iterator[str]:
        for pattern in self._config.mask:
            if any(fnmatchcase(table, pattern.partition(".")[0]) for table in tables):
                yield f"columns {pattern} are NULL"
        has_paths = self._config.paths or self._config.deny_paths
        if has_paths and any(table.startswith("files_") for table in tables):
            yield "paths that are not permitted are left out"
        if self._config.max_rows is not None:
            yield f"more than {self._config.max_rows} rows are an error"

    def permits_table(self, table: str) -> bool:
        """Return whether *table* may be read."""
        if any(fnmatchcase(table, pattern) for pattern in self._config.deny_tables):
            return False
        allowed = self._config.tables
        return not allowed or any(fnmatchcase(table, pattern) for pattern in allowed)

    def masked(self, table: Table) -> frozenset[str]:
        """Return the columns of *table* whose values stay here."""
        return frozenset(
            column.name
            for column in table.columns
            if any(fnmatchcase(f"{table.name}.{column.name}", p) for p in self._config.mask)
        )

    def guard(
        self, table: Table, where: Where, scan: Callable[[Where], Iterator[Row]]
    ) -> Iterator[Row]:
        """Return what of a *scan* of *table* may be seen; raise `ForbiddenError` if nothing."""
        if not self.permits_table(table.name):
            raise ForbiddenError(f"table {table.name} is not allowed by the policy of this host")
        masked = self.masked(table)
        pattern = where.parameters.get(PATTERN)
        has_paths = bool(self._config.paths or self._config.deny_paths)
        if not (has_paths and isinstance(pattern, str)):
            return _without(scan(where), masked) if masked else scan(where)
        if not self._paths.may_match(pattern):
            raise ForbiddenError(f"paths {pattern} are not allowed by the policy of this host")
        widened = replace(where, columns=where.columns | {PATH})
        return _without(self._permitted(table, scan(widened)), masked)

    def _permitted(self, table: Table, rows: Iterator[Row]) -> Iterator[Row]:
        last, is_permitted = None, False
        for row in rows:
            path = row.get(PATH)
            if path is None:
                yield PAUSE  # no path, no row
                continue
            if path != last:
                last, is_permitted = path, self._paths.permits(str(path))
                if not is_permitted:
                    table.warn("a path that the policy does not permit was left out")
            yield row if is_permitted else PAUSE


def _without(rows: Iterator[Row], masked: frozenset[str]) -> Iterator[Row]:
    """Yield *rows* without the columns *masked*: what is absent is NULL."""
    if not masked:
        yield from rows
        return
    for row in rows:
        yield row if row is PAUSE else {k: v for k, v in row.items() if k not in masked}
