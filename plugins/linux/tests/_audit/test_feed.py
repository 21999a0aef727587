"""One stream for many tables, played by a test: who gets what, and what happens when it fails."""

import asyncio
import os
import threading
from contextlib import suppress

import pytest
from zeek_agent_linux._audit import subscription as module
from zeek_agent_linux._audit.feed import Feed
from zeek_agent_linux._audit.interest import Interest
from zeek_agent_linux._audit.records import EOE, SYSCALL

from zeek_agent_core.api import TableError

INTEREST = Interest(frozenset({"execve"}))


class Stream:
    """A pipe that says that there is something to read, and records from a list."""

    def __init__(self):
        self.overflows = self.drops = 0
        self.records = []
        self.failure = None
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)

    def fileno(self):
        return self.reading

    def send(self, *records):
        self.records += records
        os.write(self.writing, b"x")

    def drain(self, take, most):
        with suppress(BlockingIOError):
            os.read(self.reading, 100)
        if self.failure:
            raise self.failure
        sent, self.records = self.records, []
        self.overflows += self.drops
        self.drops = 0
        for record in sent:
            take(record)
        return len(sent)

    def close(self):
        os.close(self.reading)
        os.close(self.writing)


class Mode:
    """A mode without kernel."""

    name = "played"
    keeper = None

    def __init__(self, refusal=None):
        self.refusal = refusal
        self.stream = None
        self.is_closed = False
        self.checks = self.losses = 0

    def open(self):
        if self.refusal:
            raise self.refusal
        self.stream = Stream()

    def check_up(self):
        self.checks += 1

    def lost(self):
        lost, self.losses = self.losses, 0
        return lost

    def missing(self, calls):
        return []

    def close(self):
        self.is_closed = True
        if self.stream:
            self.stream.close()


class Table:
    """What a table does with a feed."""

    def __init__(self):
        self.losses = {}
        self.serials = []

    def lose(self, cause, count):
        self.losses[cause] = self.losses.get(cause, 0) + count

    async def read(self, feed):
        async with feed.subscribed(INTEREST, self.lose) as subscription:
            async for events in subscription.batches():
                self.serials += [event.stamp.serial for event in events]


@pytest.fixture
def modes():
    """Return the modes that a feed has opened, the newest last."""
    return []


@pytest.fixture
def feed(modes):
    """Return a feed that a test plays."""

    def make():
        modes.append(Mode())
        return modes[-1]

    return Feed(make, check_seconds=0.05)


def event(serial):
    """Return the records of an event."""
    stamp = f"1700000000.123:{serial}"
    return (SYSCALL, stamp, "arch=c000003e syscall=59 success=yes"), (EOE, stamp, "")


async def until(condition):
    """Wait until *condition* holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def stopped(*tasks):
    """End *tasks*."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_all_tables_get_all_events(feed, modes):
    """There is one stream, whoever comes and goes; it ends with the last table."""
    one, other = Table(), Table()
    first = asyncio.create_task(one.read(feed))
    await until(lambda: modes and modes[0].stream)
    modes[0].stream.send(*event(1))
    await until(lambda: one.serials == [1])
    second = asyncio.create_task(other.read(feed))
    await until(lambda: len(feed._subscriptions) == 2)
    modes[0].stream.send(*event(2))
    await until(lambda: (one.serials, other.serials) == ([1, 2], [2]))
    await stopped(first)
    assert not modes[0].is_closed
    modes[0].stream.send(*event(3))
    await until(lambda: other.serials == [2, 3])
    await stopped(second)
    assert modes[0].is_closed
    assert len(modes) == 1


async def test_a_feed_begins_again(feed, modes):
    """After the last table has gone, the next one opens the stream anew."""
    for count in (1, 2):
        table = Table()
        task = asyncio.create_task(table.read(feed))
        await until(lambda count=count: len(modes) == count and modes[-1].stream)
        modes[-1].stream.send(*event(count))
        await until(lambda table=table, count=count: table.serials == [count])
        await stopped(task)
    assert [mode.is_closed for mode in modes] == [True, True]


@pytest.mark.parametrize("error", [OSError("cut"), TableError("audit", "gone"), KeyError("odd")])
async def test_a_failure_is_told_to_all(feed, modes, error):
    """Whatever goes wrong, every table hears of it, and the stream is closed."""
    tables = Table(), Table()
    tasks = [asyncio.create_task(table.read(feed)) for table in tables]
    await until(lambda: modes and modes[0].stream and len(feed._subscriptions) == 2)
    modes[0].stream.failure = error
    modes[0].stream.send()
    assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [
        type(error)
    ] * 2
    assert modes[0].is_closed


async def test_what_cannot_be_opened_is_told(modes):
    """A stream that does not open is an error for the table, and leaves nothing behind."""
    mode = Mode(TableError("audit", "busy"))
    feed = Feed(lambda: mode)
    with pytest.raises(TableError, match="busy"):
        await Table().read(feed)
    assert mode.is_closed
    assert not feed._subscriptions


async def test_a_stop_while_it_opens_leaves_nothing(modes):
    """A thread that is about to open the stream is waited for, then all is closed."""
    mode, may_open = Mode(), threading.Event()
    opened = mode.open

    def slowly():
        may_open.wait()
        opened()

    mode.open = slowly
    task = asyncio.create_task(Table().read(Feed(lambda: mode)))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not mode.is_closed
    may_open.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert mode.is_closed


async def test_a_table_that_does_not_read_loses_its_own(feed, modes, monkeypatch):
    """What waits for one table is bounded; the others get everything."""
    monkeypatch.setattr(module, "MOST_QUEUED", 3)
    slow, quick = Table(), Table()
    task = asyncio.create_task(quick.read(feed))
    async with feed.subscribed(INTEREST, slow.lose):
        for serial in range(1, 6):
            modes[0].stream.send(*event(serial))
            await until(lambda serial=serial: len(quick.serials) == serial)
        assert slow.losses == {"queue": 2}
    assert quick.losses == {}
    await stopped(task)


async def test_losses_are_told_to_all(feed, modes):
    """What the kernel lost, and what came without its beginning, is counted for each table."""
    table = Table()
    task = asyncio.create_task(table.read(feed))
    await until(lambda: modes and modes[0].stream)
    mode = modes[0]
    mode.stream.send(*event(1))
    await until(lambda: table.serials == [1])
    mode.losses = 7
    mode.stream.drops = 1
    mode.stream.send(*event(5), (SYSCALL, "odd", ""), (1307, "1700000000.123:6", 'cwd="/"'))
    mode.stream.send((EOE, "1700000000.123:6", ""))
    await until(lambda: table.losses == {"kernel": 7, "netlink": 3, "record": 1, "incomplete": 1})
    assert mode.checks
    await stopped(task)


async def test_rest_is_told_in_the_end(feed, modes):
    """An event that was still waiting for its end when the feed stopped is not forgotten."""
    table = Table()
    async with feed.subscribed(INTEREST, table.lose) as subscription:
        modes[0].stream.send(event(9)[0])
        await until(lambda: feed._reader._assembler.is_waiting)
        feed._task.cancel()
        async for events in subscription.batches():
            assert [each.stamp.serial for each in events] == [9]
            break


async def test_silence_is_a_batch_without_events(feed):
    """A table that has something to do now and then is woken up."""
    async with feed.subscribed(INTEREST, Table().lose) as subscription:
        async for events in subscription.batches(0.01):
            assert events == []
            break
