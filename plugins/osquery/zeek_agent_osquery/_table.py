"""A table of osquery's as one of ours: made from what osquery tells of its columns."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntFlag
from typing import Any, ClassVar, NamedTuple

from zeek_agent_core.api import (
    EQ,
    NONE,
    PREFIX,
    RANGE,
    Column,
    Host,
    Pushdown,
    Row,
    Snapshot,
    TableError,
    Type,
    Where,
)
from zeek_agent_osquery import _sql
from zeek_agent_osquery._binary import Make
from zeek_agent_osquery._osquery import Osquery
from zeek_agent_osquery._question import answered
from zeek_agent_osquery._values import CONVERTERS, NUMBERS, TYPES, BadValueError, Convert

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

NEEDED = "; osquery needs a condition on it, or on another so marked"

Route = Mapping[str, str]
"""One entry of what osquery tells of a table: a column, an alias, an attribute."""


class Option(IntFlag):
    """Bits of a column's `op`."""

    INDEX = 1
    REQUIRED = 2
    ADDITIONAL = 4
    OPTIMIZED = 8
    HIDDEN = 16


class Field(NamedTuple):
    """Where the values of one of our columns come from."""

    source: str
    """Osquery's name of the column."""
    type: Type


class OsqueryTable(Snapshot):
    """Rows of a table of osquery's."""

    remote: ClassVar[str]
    """Osquery's name of the table."""
    fields: ClassVar[Mapping[str, Field]]
    """By our names of the columns."""
    scan_cost = 20_000.0  # a round trip, and a table that osquery makes for it

    def __init__(self, host: Host, osquery: Osquery) -> None:
        """Ask *osquery*."""
        super().__init__(host)
        self._osquery = osquery
        self._complained: set[str] = set()

    @property
    def source(self) -> str | None:
        """Which osquery serves the rows."""
        version = self._osquery.facts.version
        return f"osquery {version}" if version else "osquery"

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield what osquery answers; the same question is asked once in a statement."""
        needed = [column.name for column in self.columns if column.mandatory]
        self._check_given(needed, where)
        sources = {name: field.source for name, field in self.fields.items()}
        sql = _sql.select(self.remote, sources, where, needed)
        if sql is None:
            return
        most = self._osquery.setting("max_rows")
        yield from (
            yield from answered(
                self.name, where, most, sql, lambda: self._osquery.query(sql, self._shape)
            )
        )

    def _check_given(self, needed: Sequence[str], where: Where) -> None:
        """Refuse where none of the columns that osquery needs is given."""
        if not needed or any(_sql.is_given(name, where) for name in needed):
            return
        listed = " or ".join(needed)
        raise TableError(self.name, f"osquery has to know {listed}: give it by =, IN or LIKE")

    def _shape(self, keys: Sequence[bytes]) -> Make:
        """Return what makes a row of the values of *keys*."""
        ours = {
            field.source: (name, self._converter(name, CONVERTERS[field.type]))
            for name, field in self.fields.items()
        }
        named = [ours.get(key.decode("utf-8", "replace")) for key in keys]
        known = [entry for entry in named if entry is not None]
        if len(known) == len(keys):
            return lambda values: {
                name: convert(value) for (name, convert), value in zip(known, values, strict=True)
            }
        return lambda values: {
            entry[0]: entry[1](value)
            for entry, value in zip(named, values, strict=True)
            if entry is not None
        }

    def _converter(self, column: str, convert: Convert) -> Convert:
        """Return *convert* with NULL, and one complaint, for what is no value of the type."""

        def tolerant(raw: bytearray) -> Any:
            try:
                return convert(raw)
            except BadValueError as error:
                if column not in self._complained:
                    self._complained.add(column)
                    self.warn(f"column {column} is NULL where it is of the wrong type: {error}")
                return None

        return tolerant if convert in (CONVERTERS[kind] for kind in NUMBERS) else convert


def declare(remote: str, routes: Iterable[Route]) -> Callable[[str], type[OsqueryTable]] | None:
    """Return what makes the class of osquery's table *remote* for each of its names.

    *routes* is what osquery tells of it. None: it has no column that can be had.
    """
    routes = list(routes)
    aliases: dict[str, list[str]] = {}
    for route in [r for r in routes if r.get("id") == "columnAlias"]:
        aliases.setdefault(route.get("target", ""), []).append(route.get("name", "").lower())
    columns: list[Column] = []
    fields: dict[str, Field] = {}
    taken = {r.get("name", "").lower() for r in routes if r.get("id", "column") == "column"}
    for route in [r for r in routes if r.get("id", "column") == "column"]:
        source = route.get("name", "")
        if NAME.match(source.lower()) and source.lower() not in fields:
            older = [a for a in aliases.get(source, []) if NAME.match(a) and a not in taken]
            taken.update(older)
            column = _column(route, tuple(dict.fromkeys(older)))
            columns.append(column)
            fields[column.name] = Field(source, column.type)
    if not columns:
        return None

    def named(name: str) -> type[OsqueryTable]:
        alias = "" if name == remote else f", which osquery calls `{remote}`"
        body = {
            "__doc__": f"Rows of osquery's table `{remote}`.\n\nSee osquery's own description"
            f"{alias}.",
            "name": name,
            "remote": remote,
            "columns": tuple(columns),
            "fields": fields,
        }
        return type("OsqueryTable", (OsqueryTable,), body)

    return named


def _column(route: Route, aliases: tuple[str, ...]) -> Column:
    """Return the column that *route* describes."""
    kind = TYPES.get(route.get("type", ""), Type.TEXT)
    option = parse_option(route.get("op", "0"))
    needed = Option.REQUIRED in option
    described = route.get("description", "").strip() or f"{route.get('type', 'TEXT')} of osquery"
    return Column(
        route["name"].lower(),
        kind,
        " ".join(described.split()) + (NEEDED if needed else ""),
        pushdown=_pushdown(kind, is_needed=needed),
        aliases=aliases,
        hidden=Option.HIDDEN in option,
        mandatory=needed,
    )


def parse_option(text: str) -> Option:
    """Return the bits of a column's `op`; none where it is no number."""
    return Option(int(text) & 31) if text.isascii() and text.isdigit() else Option(0)


def _pushdown(kind: Type, *, is_needed: bool) -> Pushdown:
    if kind is Type.TEXT:
        return EQ | RANGE | PREFIX
    if kind is Type.BLOB:
        return EQ if is_needed else NONE
    return EQ | RANGE
