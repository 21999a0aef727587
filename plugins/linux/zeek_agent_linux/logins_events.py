"""``logins_events``: who comes and goes, from ``wtmp`` and ``btmp`` or the journal."""

import asyncio
import os
import pwd
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, hookimpl
from zeek_agent_core.schema import logins_events
from zeek_agent_linux import _journal, _loginmessages, _utmp
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._inotify import CREATE, MODIFY, MOVED_TO, Inotify
from zeek_agent_linux._kept import Kept, KeptTable
from zeek_agent_linux._libsystemd import Journal
from zeek_agent_linux._readable import Readable
from zeek_agent_linux._tail import Tail, as_place

LOG = "/var/log"
WTMP, BTMP, UTMP = "/var/log/wtmp", "/var/log/btmp", "/run/utmp"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
EARLIER = 10_000
"""Records before the bookmark that are looked at, to know who may log out."""
COALESCE = 0.1
"""Seconds for which what comes is gathered."""


class WtmpSource(Kept):
    """The records of `wtmp` and `btmp`, woken by inotify."""

    name = "wtmp"
    place = "wtmp"
    table: "LoginsEvents"

    def check(self) -> None:
        """Raise `OSError` if there is no `wtmp` that can be read."""
        os.close(os.open(self.table.host.prefix + WTMP, os.O_RDONLY | os.O_CLOEXEC))

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what is recorded, from the bookmark on."""
        table, prefix = self.table, self.table.host.prefix
        form = _utmp.layout()
        logs = {path: Tail(prefix + path, form.size) for path in (WTMP, BTMP)}
        sessions = _utmp.Sessions()
        async with table.kept_bookmark():
            with Inotify() as inotify:
                inotify.add(prefix + LOG, MODIFY | CREATE | MOVED_TO)
                try:
                    await asyncio.to_thread(self._start, logs, sessions)
                    await self.begin(_places(logs))
                    yield ()
                    ready = Readable([inotify.fileno()])
                    while True:
                        count, rows = await asyncio.to_thread(self._take, logs, sessions)
                        if rows:
                            yield self.marked(rows, _places(logs))
                            await self.hold()
                        if not count:
                            await ready.wait(0)
                            await asyncio.sleep(COALESCE)
                            while inotify.read():
                                pass
                finally:
                    for log in logs.values():
                        log.close()

    def _start(self, logs: Mapping[str, Tail], sessions: _utmp.Sessions) -> None:
        """Go to the bookmark; learn who is logged in, to know who logs out."""
        kept = self.table.bookmark.place(self.place)
        for path, log in logs.items():
            log.start(as_place(kept.get(path)) if isinstance(kept, dict) else None)
        before = [_utmp.parse(raw, _utmp.layout()) for raw in logs[WTMP].before(EARLIER)]
        for record in [*before, *(() if isinstance(kept, dict) else self._logged_in())]:
            sessions.row(record)
        if not os.access(self.table.host.prefix + BTMP, os.R_OK):
            self.table.warn(f"cannot read {BTMP}: logins that failed are not told of")

    def _logged_in(self) -> list[_utmp.Record]:
        form = _utmp.layout()
        try:
            raw = self.table.host.path(UTMP).read_bytes()
        except OSError:
            return []
        cut = [raw[at : at + form.size] for at in range(0, len(raw), form.size)]
        records = [_utmp.parse(one, form) for one in cut if len(one) == form.size]
        return [record for record in records if record.kind == _utmp.USER]

    def _take(self, logs: Mapping[str, Tail], sessions: _utmp.Sessions) -> tuple[int, list[Row]]:
        """Return how many records came, and what they tell."""
        form, earliest = _utmp.layout(), self.table.earliest
        came = [_utmp.parse(raw, form) for raw in logs[WTMP].read()]
        failed = [_utmp.parse(raw, form) for raw in logs[BTMP].read()]
        rows = [row for record in came if (row := sessions.row(record)) is not None]
        rows += [_utmp.described(record, "failed") for record in failed]
        rows = [with_uid(row) for row in rows if row["time"] >= earliest]
        return len(came) + len(failed), sorted(rows, key=lambda row: row["time"])

    def existing(self) -> Iterable[Row]:
        """Yield a row for each session there is."""
        for record in self._logged_in():
            yield with_uid(_utmp.described(record, "present"))


def _places(logs: Mapping[str, Tail]) -> dict[str, Any]:
    return {path: list(log.place) for path, log in logs.items() if log.place is not None}


class JournalSource(Kept):
    """The messages of sshd, logind and login in the journal."""

    name = "journal"
    place = "journal"
    table: "LoginsEvents"

    def check(self) -> None:
        """Raise `OSError` if there is no journal that can be read."""
        _journal.check(self.table.host.prefix, self.table.setting("directory"))

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what messages tell, from the bookmark on; and that the host was booted since."""
        table = self.table
        async with table.kept_bookmark():
            kept = table.bookmark.place(self.place)
            place = {"boot": await asyncio.to_thread(self._boot), "cursor": None}
            place |= {"cursor": kept.get("cursor")} if isinstance(kept, dict) else {}
            is_new = isinstance(kept, dict) and kept.get("boot") != place["boot"]
            boots = [{"time": self._booted(), "action": "boot"}] if is_new else []
            async with aclosing(self._chunks(place["cursor"])) as chunks:
                async for chunk in chunks:
                    place = {**place, "cursor": chunk.cursor or place["cursor"]}
                    is_due = chunk.is_end or (chunk.rows and self._is_later(chunk.rows, boots))
                    rows = sorted([*(boots if is_due else ()), *chunk.rows], key=_time)
                    boots = [] if is_due else boots
                    if rows:
                        yield self.marked(rows, place)
                        await self.hold()
                    elif chunk.is_start:
                        await self.begin(place)
                        yield ()

    async def _chunks(self, cursor: object) -> AsyncGenerator[_journal.Chunk, None]:
        """Yield what is read of the journal, with the losses counted."""
        table = self.table
        read = partial(_row, _loginmessages.Messages())
        follower = _journal.Follower(table.setting("directory"), table.start(cursor), read)
        names = [b"SYSLOG_IDENTIFIER=" + name for name in _loginmessages.IDENTIFIERS]
        follower.matches = [names]
        async with aclosing(follower.chunks()) as chunks:
            async for chunk in chunks:
                table.lose("damaged", chunk.damaged)
                yield chunk

    @staticmethod
    def _is_later(rows: Sequence[Row], boots: Sequence[Row]) -> bool:
        return any(rows[-1]["time"] >= boot["time"] for boot in boots)

    def _boot(self) -> str:
        """Return the ID of this boot."""
        try:
            return self.table.host.path(BOOT_ID).read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def _booted(self) -> int:
        """Return when the host was booted."""
        return BootTime(f"{self.table.host.prefix}/proc")() // 1000


def _time(row: Row) -> int:
    return int(row["time"])


def _row(messages: _loginmessages.Messages, journal: Journal) -> Row | None:
    row = messages.row(journal.get, journal.time())
    return None if row is None else with_uid(row)


def with_uid(row: Row) -> dict[str, Any]:
    """Return *row* with the user's ID, if the host has such a user and let it in."""
    user = row.get("user")
    # Whoever fails may have made the name up, and a directory service is slow to say so.
    if not user or row["action"] == "failed":
        return dict(row)
    try:
        return {**row, "uid": pwd.getpwnam(user).pw_uid}
    except (KeyError, ValueError):
        return dict(row)


class LoginsEvents(KeptTable, logins_events.LoginsEvents):  # noqa: D101 - as declared
    origin = Origin(
        source="wtmp and btmp; messages of sshd, logind and login in the journal",
        needs="root for failed logins",
        verified="tests with files as login writes them, and a real journald",
    )
    __doc__ = logins_events.LoginsEvents.__doc__
    sources = (WtmpSource, JournalSource)


@hookimpl
def zeek_agent_tables(host: Host) -> list[LoginsEvents]:
    """Offer the table."""
    return [LoginsEvents(host)]
