"""Tests of collecting events and of reading each of them once."""

import asyncio
import logging
import statistics
import sys
import threading
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core import events as module
from zeek_agent_core.events import TURN, Collector, EventBuffer, Events
from zeek_agent_core.host import Host
from zeek_agent_core.table import Column, Evented
from zeek_agent_core.values import Type


class Ticks(Evented):
    """Yields what the test puts into its queue; an exception is raised."""

    name = "ticks_events"
    columns = (Column("time", Type.TIME, "when"), Column("n", Type.COUNT, "which"))
    retention = timedelta(seconds=60)
    capacity = 5

    def __init__(self):
        super().__init__(Host())
        self.queue = asyncio.Queue()
        self.opened = self.closed = self.at_once = 0

    async def events(self):
        assert self.opened == self.closed, "the source is open twice"
        self.opened += 1
        self.at_once = max(self.at_once, self.opened - self.closed)
        try:
            while True:
                item = await self.queue.get()
                if isinstance(item, Exception):
                    raise item
                if item is None:
                    return
                yield item
        finally:
            await asyncio.sleep(0.01)
            self.closed += 1


def spawn(work, name):
    """Start a task."""
    return asyncio.create_task(work, name=name)


@pytest.fixture
async def ticks():
    """Return a table and its collection."""
    table = Ticks()
    events = Events([table], spawn)
    yield table, events
    task = events.collectors[table.name].task
    if task is not None:
        task.cancel()
        await asyncio.wait([task])


async def until(condition):
    """Wait for *condition*, briefly."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def row(number):
    """Return an event."""
    return {"n": number}


def numbers(rows):
    """Return which events *rows* are."""
    return [event["n"] for event in rows]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5))), st.integers(1, 8))
def test_cursors_read_exactly_once(steps, capacity):
    """Readers at their own pace get each event once; what they miss is counted as dropped."""
    buffer = EventBuffer(capacity, 1e9)
    cursors, got, made = [0, 0], [[], []], 0
    for reader, count in steps:
        if reader < 2:
            newest = buffer.last
            got[reader] += numbers(buffer.rows(cursors[reader], newest))
            cursors[reader] = newest
            buffer.read = min(cursors)
        else:
            for _ in range(count):
                made += 1
                buffer.add([row(made)], 0.0)
    for reader in (0, 1):
        got[reader] += numbers(buffer.rows(cursors[reader]))
        assert got[reader] == sorted(set(got[reader]))
    least = min(len(got[0]), len(got[1]))
    assert made - least <= buffer.dropped
    if not buffer.dropped:
        assert got == [list(range(1, made + 1))] * 2


@given(st.integers(0, 20), st.integers(0, 25), st.one_of(st.none(), st.integers(0, 25)))
def test_rows_between_two_positions(made, after, upto):
    """A reader gets what is behind one position, up to and with another."""
    buffer = EventBuffer(10, 1e9)
    for number in range(1, made + 1):
        buffer.add([row(number)], 0.0)
    held = range(max(made - 10, 0) + 1, made + 1)
    last = made if upto is None else upto
    assert numbers(buffer.rows(after, upto)) == [n for n in held if after < n <= last]


def test_overflow_is_counted():
    """The oldest events give way; only those that nobody has read count as dropped."""
    buffer = EventBuffer(3, 1e9)
    for number in range(5):
        buffer.add([row(number)], 0.0)
    assert (numbers(buffer.rows(0)), buffer.dropped) == ([2, 3, 4], 2)
    buffer.read = 5
    buffer.add([row(5)], 0.0)
    assert (buffer.dropped, len(buffer)) == (2, 3)


def test_expiry():
    """Events older than the retention go, whether or not new ones arrive."""
    buffer = EventBuffer(100, 10)
    buffer.add([row(1)], 0.0)
    buffer.add([row(2)], 5.0)
    buffer.expire(10.0)
    assert len(buffer) == 2
    buffer.add([row(3)], 11.0)
    assert numbers(buffer.rows(0)) == [2, 3]
    buffer.expire(100.0)
    assert (len(buffer), buffer.last, buffer.dropped) == (0, 3, 3)
    assert numbers(buffer.rows(0)) == []


def test_reading_while_another_thread_adds():
    """A reader in another thread misses nothing and gets nothing twice."""
    buffer = EventBuffer(100_000, 1e9)

    def fill():
        for number in range(1, 20_001):
            buffer.add([row(number)], 0.0)

    thread = threading.Thread(target=fill)
    thread.start()
    got, cursor = [], 0
    while len(got) < 20_000:
        newest = buffer.last
        got += numbers(buffer.rows(cursor, newest))
        cursor = newest
    thread.join()
    assert got == list(range(1, 20_001))


async def test_collects_while_a_query_needs_it(ticks):
    """A source runs from the first query that needs it to the last, and only then."""
    table, events = ticks
    assert table.opened == 0
    events.acquire([table.name, "unknown"], "a reader")
    events.acquire([table.name], "another")
    table.queue.put_nowait(row(1))
    await until(lambda: events.positions([table.name]) == {table.name: 1})
    events.release([table.name], "another")
    await asyncio.sleep(0.02)
    assert (table.opened, table.closed) == (1, 0)
    events.release([table.name, "unknown"], "a reader")
    await until(lambda: table.closed == 1)
    assert len(events.collectors[table.name].buffer) == 0


async def test_rows_get_a_time(ticks):
    """An event without a time gets that of its arrival; one with a time keeps it."""
    table, events = ticks
    events.acquire([table.name], "a reader")
    table.queue.put_nowait(row(1))
    table.queue.put_nowait({"n": 2, "time": 42})
    await until(lambda: events.positions([table.name]) == {table.name: 2})
    first, second = events.rows(table.name, 0)
    assert abs(first["time"] / 1e6 - time.time()) < 5
    assert second == {"n": 2, "time": 42}
    assert numbers(events.rows(table.name, 1, 2)) == [2]


async def test_source_is_never_open_twice(ticks):
    """A source stopped and wanted again at once opens only after it has closed."""
    table, events = ticks
    for _ in range(3):
        events.acquire([table.name], "a reader")
        await asyncio.sleep(0.005)
        events.release([table.name], "a reader")
    events.acquire([table.name], "a reader")
    table.queue.put_nowait(row(1))
    await until(lambda: events.positions([table.name])[table.name] == 1)
    assert table.at_once == 1
    assert events.collectors[table.name].error is None


async def test_the_table_learns_what_was_read(ticks):
    """A table is told how many of its rows every query has, counted anew when it starts anew."""
    table, events = ticks
    told = []
    table.was_read = told.append
    for _ in range(2):
        events.acquire([table.name], "a reader")
        for number in range(3):
            table.queue.put_nowait(row(number))
        buffer = events.collectors[table.name].buffer
        first = buffer.last
        await until(lambda: buffer.last == first + 3)  # noqa: B023 - used at once
        events.mark_read(table.name, first + 2)
        events.release([table.name], "a reader")
        await asyncio.wait([events.collectors[table.name].task])
    assert told == [2, 2]


async def test_stops_within_a_second(ticks):
    """A source lets go soon after the last query that needed it."""
    table, events = ticks
    events.acquire([table.name], "a reader")
    await until(lambda: table.opened)
    began = time.monotonic()
    events.release([table.name], "a reader")
    await asyncio.wait([events.collectors[table.name].task])
    assert time.monotonic() - began < 1
    assert table.closed == 1


class Clock:
    """Stands in for sleeping: notes for how long, and returns at once."""

    def __init__(self):
        self.pauses = []

    async def __call__(self, seconds):
        if seconds:
            self.pauses.append(seconds)
        await asyncio.sleep(0)


async def failing(table, count):
    """Run a collector of *table* until it has paused *count* times; return the pauses."""
    clock = Clock()
    collector = Collector(table, sleep=clock)
    task = asyncio.create_task(collector.run())
    await until(lambda: len(clock.pauses) >= count)
    task.cancel()
    await asyncio.wait([task])
    return clock.pauses[:count], collector


async def test_restart_with_back_off(caplog):
    """A source that fails starts again, ever more slowly, and is logged once."""
    table = Ticks()
    for _ in range(9):
        table.queue.put_nowait(OSError("gone"))
    pauses, collector = await failing(table, 9)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert caplog.text.count("table ticks_events: OSError: gone; trying again") == 1
    assert collector.error == "OSError: gone"


async def test_a_source_that_would_end_the_program():
    """A source that calls `sys.exit` is started again as one that raises."""

    class Rude(Ticks):
        async def events(self):
            sys.exit(3)
            yield

    pauses, collector = await failing(Rude(), 2)
    assert (pauses, collector.error) == ([1, 2], "SystemExit: 3")


async def test_recovery(caplog):
    """An event after a failure ends it: the pause is short again and the log says so."""
    caplog.set_level(logging.INFO)
    table = Ticks()
    for item in [OSError("a"), OSError("b"), row(1), None, row(2), OSError("b")]:
        table.queue.put_nowait(item)
    pauses, collector = await failing(table, 4)
    assert pauses == [1, 2, 1, 1]
    assert [record.getMessage() for record in caplog.records if record.name == module.__name__] == [
        "table ticks_events: OSError: a; trying again",
        "table ticks_events: OSError: b; trying again",
        "table ticks_events works again",
        "table ticks_events: its events ended; trying again",
        "table ticks_events works again",
        "table ticks_events: OSError: b; trying again",
    ]
    assert numbers(collector.buffer.rows(0)) == [1, 2]


async def test_rows_that_are_no_rows(caplog):
    """A source that yields nonsense fails like one that raises."""
    table = Ticks()
    table.queue.put_nowait(17)
    _, collector = await failing(table, 1)
    assert collector.error.startswith("TypeError")


class Flood(Evented):
    """Yields without ever waiting."""

    name = "flood_events"
    columns = (Column("n", Type.COUNT, "which"),)

    async def events(self):
        number = 0
        while True:
            number += 1
            yield row(number)


async def test_a_flood_lets_others_run():
    """A source that never waits does not keep the agent from anything else."""
    collector = Collector(Flood(Host()))
    task = asyncio.create_task(collector.run())
    turns = []
    for _ in range(5):
        began = time.monotonic()
        await asyncio.sleep(0)
        turns.append(time.monotonic() - began)
    assert statistics.median(turns) < 10 * TURN
    assert collector.buffer.last > 5
    task.cancel()
    await asyncio.wait([task])
