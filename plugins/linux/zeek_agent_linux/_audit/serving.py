"""The source `audit` of tables that have other sources too.

An audit rule costs every process of the host time at every system call, so
auditing is not begun for such a table unless its settings name the source. By
itself the source serves only where another daemon's rules record all that is
needed anyway.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar

from zeek_agent_core.api import Row, Source, Sourced, TableError
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.feed import Feed
from zeek_agent_linux._audit.hub import feeds_of
from zeek_agent_linux._audit.interest import Interest, interest_in
from zeek_agent_linux._audit.modes import MODES, AudispMode, Mode, MulticastMode, machine
from zeek_agent_linux._audit.netlink import Control, refusal
from zeek_agent_linux._audit.rules import EUID, PID, uncovered
from zeek_agent_linux._audit.settings import OFF, Settings
from zeek_agent_linux._audit.subscription import Subscription

FIELDS = {"pid": PID, "uid": EUID}
"""The columns of such tables that rules know; `uid` is the effective one."""


class ServingSource(Source):
    """Audit events, by whichever way is open."""

    name = "audit"
    needed: ClassVar[frozenset[str]]
    """System calls that must all be recorded for the source to serve by itself."""
    every: ClassVar[float | None] = None
    """Seconds after which `work` is called even if nothing has happened."""

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._settings = Settings.of(table.host)
        self._mode: type[Mode] | None = None
        self._feed: Feed | None = None
        self._subscription: Subscription | None = None

    def calls(self) -> frozenset[str]:
        """Return the system calls that queries want recorded now."""
        raise NotImplementedError

    def work(self, events: Sequence[Event]) -> Sequence[Row]:
        """Return the rows of *events*."""
        raise NotImplementedError

    def check(self) -> None:
        """Find a way; raise `TableError` if there is none, or it would cost the host."""
        modes: Sequence[type[Mode]] = MODES
        if self.table.setting("source") != self.name:
            self._check_rules()
            if self._settings.source == OFF:
                raise TableError(self.table.name, "auditing is off by the settings")
            modes = (AudispMode, MulticastMode)
        self._mode = self._open_one(modes)

    def _open_one(self, modes: Sequence[type[Mode]]) -> type[Mode]:
        """Return the first of *modes* that is open; raise `TableError` if none is."""
        reasons = []
        for mode in modes:
            try:
                mode.check(self.table.host, self.needed)
            except (OSError, TableError) as error:
                reason = error.strerror if isinstance(error, OSError) else error.reason
                reasons.append(f"{mode.name}: {reason}")
            else:
                return mode
        raise TableError(self.table.name, "; ".join(reasons))

    def _check_rules(self) -> None:
        """Raise `TableError` unless another daemon runs, with rules for all that is needed."""
        try:
            with Control() as control:
                daemon, loaded = control.status().pid, control.rules()
        except OSError as error:
            raise refusal(error) from error
        missing = uncovered(machine()[0], self.needed, loaded) if machine() else list(self.needed)
        if daemon in {0, os.getpid()} or missing:
            raise TableError(
                self.table.name,
                "no other audit daemon has rules for it, and ours would cost every process: "
                f'set [tables.{self.table.section()}] source = "audit" if that is wanted',
            )

    def _interest(self) -> Interest:
        ignored = os.getpid() if self._settings.ignore_self else None
        return interest_in(self.calls(), self.table.wanted, but_pid=ignored, fields=FIELDS)

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of what is audited."""
        mode = self._mode
        if mode is None:  # nobody has asked before
            mode = await asyncio.to_thread(self._open_one, MODES)
        feed = self._feed = feeds_of(self.table.host)[mode.name]
        async with feed.subscribed(self._interest(), self.table.lose) as subscription:
            self._subscription = subscription
            yield []
            async for events in subscription.batches(self.every):
                rows = self.work([event for event in events if not self._is_own(event.call)])
                if rows:
                    yield rows

    def _is_own(self, call: Mapping[str, str]) -> bool:
        return self._settings.ignore_self and call.get("pid") == str(os.getpid())

    def wanted_changed(self) -> None:
        """Have the kernel record what the queries want now."""
        if self._subscription is not None and self._feed is not None:
            self._feed.interested(self._subscription, self._interest())
