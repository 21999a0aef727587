"""What osquery has to offer: asks for its tables, and decides under which names ours appear."""

import logging
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from zeek_agent_osquery import _binary
from zeek_agent_osquery._connection import Connection
from zeek_agent_osquery._errors import RefusedError
from zeek_agent_osquery._osquery import Osquery, checked
from zeek_agent_osquery._table import NAME, Route

log = logging.getLogger(__name__)

INFO = "SELECT * FROM osquery_info LIMIT 1"
NAMES = "SELECT name FROM osquery_registry WHERE registry = 'table' AND active = 1"
EVENT_BASED = 4
"""Bit of a table's attributes: osquery collects its rows, and gives each once."""


class Remote(NamedTuple):
    """What osquery tells of one of its tables."""

    name: str
    routes: tuple[Route, ...]

    @property
    def is_evented(self) -> bool:
        """Whether osquery collects events for it."""
        if "events" in self.name:
            return True
        attributes = [r.get("attributes", "") for r in self.routes if r.get("id") == "attributes"]
        return any(a.isdigit() and int(a) & EVENT_BASED for a in attributes)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that osquery has for it."""
        return tuple(r.get("alias", "") for r in self.routes if r.get("id") == "alias")


class Catalog:
    """The tables of one osquery; asks for the columns of each once."""

    def __init__(self, osquery: Osquery) -> None:
        """Ask *osquery*."""
        self._osquery = osquery
        self._remotes: dict[str, Remote] = {}

    def look(self) -> list[Remote]:
        """Return the tables that may be offered; raise `OsqueryError` where osquery is away."""
        with self._osquery.connected() as connection:
            info = self._ask(connection, "query", _binary.text_field(1, INFO))
            facts = dict(info[0]) if info else {}
            instance = f"{facts.get('instance_id')} {facts.get('pid')} {facts.get('start_time')}"
            if instance != self._osquery.facts.instance:
                self._remotes.clear()
            remotes = self._all(connection)
        self._osquery.found(facts.get("version", ""), facts.get("uuid", ""), instance)
        return remotes

    def _all(self, connection: Connection) -> list[Remote]:
        names = self._names(connection)
        self._remotes = {name: self._remotes[name] for name in names if name in self._remotes}
        for name in names:
            if name in self._remotes or not self._is_wanted(name):
                continue
            try:
                routes = self._call(connection, name, "columns")
            except RefusedError as error:
                log.debug("table %s of osquery is left out: %s", name, error)
                continue
            self._remotes[name] = Remote(name, tuple(routes))
        return [remote for remote in self._remotes.values() if self._is_admitted(remote)]

    def _names(self, connection: Connection) -> list[str]:
        try:
            rows = self._ask(connection, "query", _binary.text_field(1, NAMES))
        except RefusedError:  # an osquery whose registry has no such columns
            found = self._call(connection, "osquery_registry", "generate")
            rows = [row for row in found if row.get("registry") == "table"]
        return sorted({row.get("name", "") for row in rows})

    def _call(self, connection: Connection, table: str, action: str) -> Sequence[Route]:
        fields = (
            _binary.text_field(1, "table"),
            _binary.text_field(2, table),
            _binary.map_field(3, {"action": action}),
        )
        return self._ask(connection, "call", *fields)

    def _ask(self, connection: Connection, method: str, *fields: bytes) -> Sequence[Route]:
        read = _binary.response(_binary.as_text, self._osquery.setting("max_rows"))
        return checked(self._osquery.call(method, fields, read, connection)).rows

    def _is_wanted(self, name: str) -> bool:
        """Return whether the name alone lets a table be offered."""
        if not NAME.match(name) or matches(name, self._osquery.setting("exclude")):
            return False
        return "events" not in name or matches(name, self._osquery.setting("include_events"))

    def _is_admitted(self, remote: Remote) -> bool:
        included = self._osquery.setting("include_events")
        return not remote.is_evented or matches(remote.name, included)


def matches(name: str, patterns: Collection[str]) -> bool:
    """Return whether *name* is one of *patterns*, in which `*` stands for anything."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def names(
    remotes: Sequence[Remote], prefix: str, taken: Collection[str], *, plain: bool
) -> Iterator[tuple[str, Remote]]:
    """Yield each name under which one of *remotes* is offered, once.

    All have their name behind *prefix*; with *plain* the name itself too, where
    it is not *taken*. Aliases come last.
    """
    seen = set(taken)
    candidates = [(prefix + remote.name, remote) for remote in remotes]
    if plain:
        candidates += [(remote.name, remote) for remote in remotes]
    aliases = [(alias, remote) for remote in remotes for alias in remote.aliases]
    candidates += [(prefix + alias, remote) for alias, remote in aliases]
    if plain:
        candidates += aliases
    for name, remote in candidates:
        if name not in seen and NAME.match(name):
            seen.add(name)
            yield name, remote
