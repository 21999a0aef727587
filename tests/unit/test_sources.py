"""Tests of evented tables with several sources, which come and go as a test says."""

import asyncio
import itertools
import logging
import time

import pytest

from zeek_agent_core import sources as module
from zeek_agent_core.errors import ConfigError, TableError
from zeek_agent_core.events import Collector
from zeek_agent_core.host import Host
from zeek_agent_core.sources import Marked, Source, Sourced
from zeek_agent_core.table import Column
from zeek_agent_core.values import Type


class Scripted(Source):
    """Works, fails and yields as the test wants."""

    refusal = None
    """What `check` raises."""
    is_prompt = True

    def check(self):
        if self.refusal is not None:
            raise self.refusal

    async def events(self):
        kind = type(self)
        kind.queue = asyncio.Queue()
        kind.open += 1
        try:
            if self.is_prompt:
                yield []
            while True:
                item = await kind.queue.get()
                if isinstance(item, Exception):
                    raise item
                yield [item]
        finally:
            kind.open -= 1

    def existing(self):
        yield {"n": 0, "state": f"there, says {self.name}"}

    def wanted_changed(self):
        type(self).heard += 1


@pytest.fixture
def make(monkeypatch):
    """Return a function that makes a table with two sources of its own."""
    for name, seconds in {
        "READY_SECONDS": 0.1, "OVERLAP_SECONDS": 0.05, "FIRST_PAUSE": 0.1, "LONGEST_PAUSE": 0.4,
    }.items():  # fmt: skip
        monkeypatch.setattr(module, name, seconds)

    def made(**settings):
        class Good(Scripted):
            name = "good"
            open = heard = 0

        class Fair(Scripted):
            name = "fair"
            open = heard = 0

        class Things(Sourced):
            """Things."""

            name = "things_events"
            columns = (
                Column("time", Type.TIME, "when"),
                Column("n", Type.COUNT, "which"),
                Column("state", Type.TEXT, "how"),
            )
            sources = (Good, Fair)

        return Things(Host(settings={"things_events": settings})), Good, Fair

    return made


class Listener:
    """Runs the events of a table and keeps them."""

    def __init__(self, table):
        self.table = table
        self.rows = []

    async def __aenter__(self):  # noqa: D105
        self.task = asyncio.create_task(self._listen())
        return self

    async def _listen(self):
        async for rows in self.table.events():
            self.rows += rows

    async def __aexit__(self, *_):  # noqa: D105
        self.task.cancel()
        await asyncio.wait([self.task])
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("source")] == []

    def numbers(self):
        return [row["n"] for row in self.rows]


async def until(condition):
    """Wait for *condition*, briefly."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def now():
    """Return the present moment as tables give it."""
    return time.time_ns() // 1000


async def test_the_first_serves(make):
    """Of several sources that work the first serves alone, and is closed at the end."""
    table, good, fair = make()
    async with Listener(table) as listener:
        await until(lambda: table.source)
        good.queue.put_nowait({"n": 1})
        await until(lambda: listener.rows)
        assert (table.source, good.open, fair.open) == ("good", 1, 0)
        assert table.last_warning is None
        table.wanted_changed()
        assert (good.heard, fair.heard) == (1, 0)
    assert (table.source, good.open) == (None, 0)
    assert table.losses == {}


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (PermissionError(1, "Operation not permitted"), "operation not permitted"),
        (OSError(2, "No such file or directory", "/sys/x"), "no such file or directory /sys/x"),
        (TableError("things_events", "the kernel is too old"), "the kernel is too old"),
        (ZeroDivisionError("oops"), "ZeroDivisionError: oops"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
async def test_the_next_serves_at_once(make, refusal, reason, caplog):
    """Where a source cannot work the next one serves, and it is said why."""
    caplog.set_level(logging.INFO)
    table, good, _ = make()
    good.refusal = refusal
    async with Listener(table):
        await until(lambda: table.source)
        assert table.source == "fair"
        assert table.last_warning == f"served by fair; good: {reason}"
    assert f"is served by fair, since good: {reason}" in caplog.text


async def test_back_to_the_better_one_without_gap(make):
    """When a better source works again no event is lost or doubled in the change."""
    table, good, fair = make()
    good.refusal = OSError("not now")
    async with Listener(table) as listener:
        await until(lambda: fair.open)
        sent = 0
        good.refusal = None
        while table.source != "good" or fair.open:
            sent += 1
            for kind in (good, fair):
                if kind.open:
                    kind.queue.put_nowait({"n": sent, "time": now()})
            await asyncio.sleep(0.001)
        await until(lambda: sent in listener.numbers())
        assert sorted(listener.numbers()) == list(range(1, sent + 1))
        assert sent > 30
    assert table.losses == {}


async def test_tried_ever_more_slowly(make, monkeypatch):
    """A source that does not work is tried again after pauses that double up to a bound."""
    table, good, _ = make()
    tries = []

    def check(_self):
        tries.append(time.monotonic())
        raise OSError("no")

    monkeypatch.setattr(good, "check", check)
    async with Listener(table):
        await until(lambda: len(tries) == 5)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    for pause, least in zip(pauses, [0.1, 0.2, 0.4, 0.4], strict=True):
        assert least * 0.95 <= pause < least + 0.3
    assert table.warnings == 1


async def test_a_failure_at_work(make, caplog):
    """A source that fails gives way to the next, which is counted as a gap, and rests."""
    table, good, fair = make()
    async with Listener(table) as listener:
        await until(lambda: table.source)
        good.queue.put_nowait({"n": 1})
        good.queue.put_nowait(OSError("gone"))
        await until(lambda: table.source == "fair")
        fair.queue.put_nowait({"n": 2})
        await until(lambda: len(listener.rows) == 2)
        assert table.losses == {"gap": 1}
        assert "source good failed: OSError: gone" in caplog.text
        await until(lambda: table.source == "good")
    assert listener.numbers() == [1, 2]


async def test_one_that_says_nothing_is_taken_to_work(make):
    """A source that does not tell when it is attached serves after a while."""
    table, good, _ = make()
    good.is_prompt = False
    async with Listener(table):
        await until(lambda: table.source)
        assert table.source == "good"


async def test_one_that_fails_at_once(make):
    """A source that passes its check and then fails gives way too."""
    table, good, _ = make()

    async def events(_self):
        raise OSError("busy")
        yield

    good.events = events
    async with Listener(table):
        await until(lambda: table.source == "fair")
        assert table.last_warning == "served by fair; good: OSError: busy"


async def test_nothing_works(make):
    """Where no source works all reasons are told, and the collector tries again."""
    table, good, fair = make()
    good.refusal, fair.refusal = OSError("a"), OSError("b")
    collector = Collector(table)
    task = asyncio.create_task(collector.run())
    await until(lambda: collector.error)
    task.cancel()
    await asyncio.wait([task])
    expected = "table things_events: good: OSError: a; fair: OSError: b"
    assert collector.error == f"TableError: {expected}"


async def test_the_setting_forces_a_source(make):
    """With a source named in the settings no other one is tried."""
    table, good, fair = make(source="fair")
    table.check_settings()
    async with Listener(table) as listener:
        await until(lambda: table.source)
        assert (table.source, table.last_warning) == ("fair", None)
        fair.queue.put_nowait(OSError("gone"))
        await asyncio.wait([listener.task])
        assert str(listener.task.exception()) == "table things_events: fair: OSError: gone"
    assert good.open == 0


def test_an_unknown_source_is_an_error(make):
    """A source that the table does not have is refused, with the names that it has."""
    table, *_ = make(source="best")
    with pytest.raises(ConfigError, match=r"\[tables.things_events\] source: 'best' is none of"):
        table.check_settings()


async def test_initial_state(make):
    """If asked for, what is there already comes first, and only once."""
    table, good, _ = make(initial=True)
    async with Listener(table) as listener:
        await until(lambda: table.source)
        good.queue.put_nowait({"n": 1})
        good.queue.put_nowait(OSError("gone"))
        await until(lambda: table.source == "fair")
    assert listener.rows == [{"n": 0, "state": "there, says good"}, {"n": 1}]


async def test_initial_state_that_cannot_be_read(make):
    """What is there already and cannot be read is a warning; events come all the same."""
    table, good, _ = make(initial=True)

    def existing(_self):
        raise PermissionError(1, "Operation not permitted")

    good.existing = existing
    async with Listener(table) as listener:
        await until(lambda: table.source)
        good.queue.put_nowait({"n": 1})
        await until(lambda: listener.rows)
    assert table.last_warning == "what is there already: operation not permitted"


def marking(kind):
    """Let sources of *kind* yield marked batches, and note which were read."""
    kind.read = []

    async def events(self):
        kind.queue = asyncio.Queue()
        yield []
        while True:
            numbers, mark = await kind.queue.get()
            yield Marked([{"n": n, "time": now()} for n in numbers], mark)

    kind.events = events
    kind.was_read = lambda _self, mark: kind.read.append(mark)


async def test_a_source_learns_what_was_read(make):
    """A source is told of the last batch that every query has as a whole."""
    table, good, _ = make()
    marking(good)
    table.was_read(5)
    async with Listener(table) as listener:
        await until(lambda: table.source)
        for numbers, mark in (([1, 2], "a"), ([3], "b"), ([4, 5, 6], "c")):
            good.queue.put_nowait((numbers, mark))
        await until(lambda: len(listener.rows) == 6)
        for count in (1, 2, 2, 5, 6, 9):
            table.was_read(count)
        assert good.read == ["a", "b", "c"]
    table.was_read(9)
    assert good.read == ["a", "b", "c"]


async def test_each_source_learns_of_its_own(make):
    """After a change of source each is told of what it gave itself."""
    table, good, fair = make()
    marking(fair)
    marking(good)
    good.refusal = OSError("not now")
    async with Listener(table) as listener:
        await until(lambda: table.source == "fair")
        fair.queue.put_nowait(([1], "f"))
        await until(lambda: len(listener.rows) == 1)
        good.refusal = None
        await until(lambda: table.source == "good")
        good.queue.put_nowait(([2], "g"))
        await until(lambda: len(listener.rows) == 2)
        table.was_read(2)
    assert (fair.read, good.read) == (["f"], ["g"])


async def test_what_is_there_already_is_counted(make):
    """Rows about what is there come before the first batch, and count as read with it."""
    table, good, _ = make(initial=True)
    marking(good)
    async with Listener(table) as listener:
        await until(lambda: listener.rows)
        good.queue.put_nowait(([1], "a"))
        await until(lambda: len(listener.rows) == 2)
        table.was_read(1)
        assert good.read == []
        table.was_read(2)
        assert good.read == ["a"]
