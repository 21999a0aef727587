"""Sources of tables: audit events, by one of the three ways to get them."""

import logging
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, ClassVar

from zeek_agent_core.api import Host, Row, Source, Sourced, TableError, Where
from zeek_agent_core.errors import ConfigError
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.feed import Feed
from zeek_agent_linux._audit.hub import feeds_of
from zeek_agent_linux._audit.interest import Interest, interest_in
from zeek_agent_linux._audit.modes import AudispMode, Mode, MulticastMode, NetlinkMode
from zeek_agent_linux._audit.settings import DEFAULTS, OFF, SECTION, SYSCALLS, Settings
from zeek_agent_linux._audit.subscription import Subscription

log = logging.getLogger(__name__)


class AuditTable(Sourced):
    """A table whose rows are audit events; derive, and say which and how."""

    settings = DEFAULTS
    settings_section = SECTION
    groups: ClassVar[Mapping[str, frozenset[str]]] = {}
    """The system calls of the table, by the words of the setting `syscalls`."""

    def row(self, event: Event) -> dict[str, Any] | None:
        """Return the row of *event*, if the table has one for it."""
        raise NotImplementedError

    def look_ahead(self, events: Sequence[Event]) -> None:
        """Learn what comes next; for a table that needs other events to tell about one."""

    def check_settings(self) -> None:
        """Raise `ConfigError` for a value that means nothing."""
        super().check_settings()
        unknown = sorted(set(self.setting("syscalls")) - set(SYSCALLS))
        if unknown:
            names = f"{unknown[0]!r} is none of {', '.join(SYSCALLS)}"
            raise ConfigError(f"[tables.{SECTION}] syscalls: {names}")

    def calls(self) -> frozenset[str]:
        """Return the system calls of the table that the settings want audited."""
        wanted = Settings.of(self.host).syscalls
        return frozenset().union(*(calls for of, calls in self.groups.items() if of in wanted))

    def all_calls(self) -> frozenset[str]:
        """Return the system calls that the table has rows for."""
        return frozenset().union(*self.groups.values())

    def directories(self) -> Collection[str]:
        """Return the directories below which files are of interest; empty if all are."""
        return ()


class AuditSource(Source):
    """Audit events by one way."""

    mode: ClassVar[type[Mode]]
    table: AuditTable

    def __init__(self, table: AuditTable) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._settings = Settings.of(table.host)
        self._subscription: Subscription | None = None

    @property
    def _feed(self) -> Feed:
        return feeds_of(self.table.host)[self.mode.name]

    def _calls(self) -> frozenset[str]:
        """Return the calls to expect: if others load the rules, all that the table knows."""
        if self.mode.loads_rules(self._settings):
            return self.table.calls()
        return self.table.all_calls()

    def check(self) -> None:
        """Raise `TableError` if this way is not open."""
        calls = self._calls()
        if not calls:
            words = " or ".join(f'"{word}"' for word in self.table.groups)
            raise TableError(
                self.table.name, f"auditing of it is off: add {words} to [tables.audit] syscalls"
            )
        self.mode.check(self.table.host, calls)

    def _interest(self) -> Interest:
        return interest_in(
            self._calls(),
            self.table.wanted,
            but_pid=os.getpid() if self._settings.ignore_self else None,
            directories=self.table.directories(),
        )

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of what is audited."""
        feed, table = self._feed, self.table
        async with feed.subscribed(self._interest(), table.lose) as subscription:
            self._subscription = subscription
            if missing := ", ".join(feed.missing(subscription.interest)):
                table.warn(f"no audit rule records every {missing}")
                log.warning("table %s: no audit rule records every %s", table.name, missing)
            yield []
            async for events in subscription.batches():
                table.look_ahead(events)
                narrow = conditions(table.wanted)
                rows = [row for event in events if (row := self._row(event, narrow)) is not None]
                if rows:
                    yield rows

    def _row(self, event: Event, narrow: Collection[str]) -> dict[str, Any] | None:
        """Return the row of *event*, unless it does not meet what is wanted of columns *narrow*."""
        row = self.table.row(event)
        if row is None or (self._settings.ignore_self and row["pid"] == os.getpid()):
            return None
        admits = self.table.wanted.admits
        return row if all(admits(name, row.get(name)) for name in narrow) else None

    def wanted_changed(self) -> None:
        """Have the kernel record what the queries want now."""
        if self._subscription is not None:
            self._feed.interested(self._subscription, self._interest())


def conditions(wanted: Where) -> Collection[str]:
    """Return the columns on which there are conditions."""
    return {*wanted.allowed, *wanted.lows, *wanted.highs, *wanted.prefixes}


class Audisp(AuditSource):
    """Through auditd."""

    name = "audisp"
    mode = AudispMode


class Netlink(AuditSource):
    """As the audit daemon."""

    name = "netlink"
    mode = NetlinkMode


class Multicast(AuditSource):
    """Beside the audit daemon."""

    name = "multicast"
    mode = MulticastMode


def offered(host: Host, kind: type[AuditTable]) -> list[AuditTable]:
    """Return the table of a *kind*, where the kernel has auditing, and the settings let it."""
    is_off = Settings.of(host).source == OFF
    has_auditing = host.path("/proc/self/loginuid").exists()
    return [kind(host)] if has_auditing and not is_off else []


SOURCES: tuple[type[AuditSource], ...] = (Audisp, Netlink, Multicast)
"""In order of preference."""
