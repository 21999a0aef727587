"""``devices_events``: what the kernel tells of devices, over netlink."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing
from time import time_ns

from zeek_agent_core.api import Host, Origin, Row, Source, hookimpl
from zeek_agent_core.schema import devices_events
from zeek_agent_linux import _uevent
from zeek_agent_linux._readable import Readable


class UeventSource(Source):
    """The kernel's own events, by netlink."""

    name = "uevent"

    def check(self) -> None:
        """Raise `OSError` if the socket cannot be opened."""
        with closing(_uevent.Uevents()):
            pass

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to devices."""
        table = self.table
        with closing(_uevent.Uevents()) as uevents:
            ready = Readable([uevents.fileno()])
            things = _uevent.Things(f"{table.host.prefix}/sys")
            yield ()
            await asyncio.to_thread(things.learn)
            while True:
                await ready.wait(0)
                received = uevents.receive()
                now = time_ns() // 1000
                table.lose("kernel", received.lost)
                table.lose("forged", received.forged)
                wanted = [event for event in received.events if self._is_wanted(event)]
                yield await asyncio.to_thread(_rows, wanted, things, now)

    def _is_wanted(self, event: _uevent.Settings) -> bool:
        where = self.table.wanted
        names = {"action": "ACTION", "subsystem": "SUBSYSTEM"}
        return all(where.admits(column, event.get(name)) for column, name in names.items())

    def existing(self) -> Iterable[Row]:
        """Yield a row for each device that is there."""
        things = _uevent.Things(f"{self.table.host.prefix}/sys")
        return _rows([things.settings(path) for path in things.present()], things, None)


def _rows(events: Iterable[_uevent.Settings], things: _uevent.Things, now: int | None) -> list[Row]:
    rows = []
    for event in events:
        row = _uevent.row(event, things.facts(event.get("DEVPATH", ""), event))
        rows.append(row if now is None else {"time": now, **row})
    return rows


class DevicesEvents(devices_events.DevicesEvents):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="uevents of the kernel, `/sys` for names",
        needs="nothing",
        verified="tests with uevents of the running kernel",
    )
    sources = (UeventSource,)


@hookimpl
def zeek_agent_tables(host: Host) -> list[DevicesEvents]:
    """Offer the table."""
    return [DevicesEvents(host)]
