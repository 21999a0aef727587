"""The conformance kit passes good tables and names what is wrong with bad ones."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from zeek_agent_core.api import (
    EQ,
    NONE,
    PREFIX,
    RANGE,
    Column,
    Evented,
    Host,
    Row,
    Snapshot,
    Table,
    Type,
    Where,
)
from zeek_agent_core.testing.conformance import ConformanceError, check_table, findings

ANIMALS = [("ant", 6, None), ("bee", 6, "hive_1"), ("Cat", 4, "house"), ("cow", 4, "50%*")]


class Animals(Snapshot):
    """Animals of a small farm.

    One row per animal.
    """

    name = "animals"
    columns = (
        Column("name", Type.TEXT, "what it is called", pushdown=EQ | PREFIX | RANGE),
        Column("legs", Type.COUNT, "number of legs", pushdown=EQ | RANGE),
        Column("home", Type.TEXT, "where it lives", pushdown=EQ | PREFIX),
        Column("_herd", Type.INT, "how often each one is there", default=1),
    )
    examples = ("SELECT name FROM animals WHERE legs > 4", "SELECT * FROM animals(2)")

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield what is wanted."""
        for name, legs, home in ANIMALS * where.parameters["_herd"]:
            if where.values("name") is not None and name not in where.values("name"):
                continue
            if where.low("legs") is not None and legs < where.low("legs"):
                continue
            prefix = where.prefix("home")
            if prefix and not (home or "").lower().startswith(prefix.text.lower()):
                continue
            yield {"name": name, "legs": legs, "home": home}


class Ticks(Evented):
    """One row for each tick."""

    name = "ticks_events"
    columns = (Column("number", Type.COUNT, "how many so far"),)
    examples = ("SELECT max(number) FROM ticks_events",)

    async def events(self) -> AsyncIterator[Row]:
        """Yield a number now and then."""
        number = 0
        while True:
            yield {"number": number}
            number += 1
            await asyncio.sleep(0.01)


def found(table: Table, **options) -> str:
    """Return the message of the kit about *table*."""
    with pytest.raises(ConformanceError) as caught:
        check_table(table, **options)
    return str(caught.value)


def bad(base: type[Table], **changes) -> Table:
    """Return a table that is like *base* but for *changes*."""
    changes.setdefault("__doc__", base.__doc__)
    return type("Bad", (base,), changes)(Host("/"))


def yielding(*rows: object, columns: tuple[Column, ...] = Animals.columns, **changes) -> Table:
    """Return a table that yields *rows*."""
    return bad(Animals, rows=lambda _self, _where: iter(rows), columns=columns, **changes)


@pytest.mark.parametrize("kind", [Animals, Ticks])
def test_a_good_table_passes(kind):
    """A table that keeps all rules has no findings."""
    check_table(kind(Host("/")))


async def test_findings_can_be_awaited():
    """Within an event loop, the findings themselves are there."""
    assert await findings(Animals(Host("/"))) == []


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (Animals, {"name": "Animals"}, "not lower case"),
        (Animals, {"name": "animals_events"}, "only evented tables"),
        (Animals, {"name": "farm__animals"}, "not snake case"),
        (Animals, {"columns": ()}, "no columns"),
        (Animals, {"__doc__": "Animals of a farm"}, "full stop"),
        (Animals, {"__doc__": None, "description": classmethod(lambda _: "")}, "no docstring"),
        (Animals, {"platforms": ("linux", "beos")}, "unknown platforms: beos"),
        (Animals, {"platforms": ()}, "no platform"),
        (Animals, {"examples": ("SELECT nose FROM animals",)}, "no such column: nose"),
        (Ticks, {"name": "ticks"}, "ends in `_events`"),
        (Ticks, {"retention": timedelta(0)}, "retention"),
        (Ticks, {"capacity": 0}, "capacity"),
    ],
)
def test_a_wrong_declaration_is_named(base, changes, message):
    """Names, descriptions, platforms and examples are checked."""
    assert message in found(bad(base, **changes))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("name", Type.TEXT, " "), "no description"),
        (Column("name", Type.TEXT, "two\nlines"), "single line"),
        (Column("a__b", Type.TEXT, "a"), "not snake case"),
        (Column("name", Type.NULL, "a"), "null is no type"),
        (Column("name", Type.TEXT, "a", mandatory=True), "for lack of pushdown"),
        (Column("name", Type.TEXT, "a", element=Type.INT), "has no elements"),
        (Column("name", Type.TEXT, "a", default="x"), "only parameters"),
        (Column("_name", Type.SET, "a", default="x"), "cannot be a set"),
        (Column("_name", Type.INT, "a", default="x"), "the default 'x' is no int"),
        (Column("_name", Type.INT, "a", EQ, default=1), "takes no pushdown"),
        (Column("_name", Type.INT, "a"), "no argument for the required parameter _name"),
    ],
)
def test_a_wrong_column_is_named(column, message):
    """Names, descriptions, types, defaults and pushdown of columns are checked."""
    assert message in found(yielding(columns=(column,), examples=()))


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Type.COUNT, -1, "a count cannot be -1"),
        (Type.COUNT, "1", "is no count"),
        (Type.INT, 1 << 63, "64 bits"),
        (Type.BOOL, 2, "is no bool"),
        (Type.ADDRESS, "", "is no IP address"),
        (Type.TEXT, 5, "is no text"),
        (Type.TEXT, "\udcff", "undecodable"),
        (Type.SET, "abc", "is no set"),
    ],
)
def test_a_wrong_value_is_named(kind, value, message):
    """Every value must be one of its column's declared type."""
    table = yielding({"a": value}, columns=(Column("a", kind, "a value"),), examples=())
    assert message in found(table)


def test_wrong_rows_are_named():
    """Rows are mappings whose keys are declared."""
    assert "nose: it is not declared" in found(yielding({"nose": 1}, examples=()))
    assert "not a mapping" in found(yielding(("ant", 6), examples=()))


def test_a_failing_table_is_named():
    """A table that raises is a finding, not a crash of the kit."""

    def rows(_self, _where):
        raise FileNotFoundError(2, "No such file or directory", "/proc/farm")

    assert "reading all of it fails: FileNotFoundError" in found(
        bad(Animals, rows=rows, examples=())
    )


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (lambda w, row: w.values("name") is None or row["name"] == "ant", '"name" = '),
        (lambda w, row: w.low("legs") is None or row["legs"] > w.low("legs"), '"legs" >= '),
        (lambda w, row: w.high("legs") is None or row["legs"] < w.high("legs"), '"legs" <= '),
        (
            lambda w, row: (
                w.prefix("home") is None or (row["home"] or "").startswith(w.prefix("home").text)
            ),
            '"home" LIKE ',
        ),
    ],
)
def test_wrong_pushdown_is_named(condition, message):
    """A condition under which the table produces too little is a finding."""

    def rows(_self, where):
        for name, legs, home in ANIMALS:
            row = {"name": name, "legs": legs, "home": home}
            if condition(where, row):
                yield row

    assert message in found(bad(Animals, rows=rows))


def test_a_subset_that_differs_is_named():
    """A column must not depend on which others are read."""

    def rows(_self, where):
        yield {"name": "ant" if where.wants("legs") else "bee", "legs": 6}

    message = found(bad(Animals, rows=rows))
    assert "column name differs when read alone" in message


def test_columns_that_change_are_left_out_on_request():
    """With the stable columns named, the others may change from read to read."""

    class Clock(Snapshot):
        """A clock that is never the same twice."""

        name = "clocks"
        columns = (
            Column("name", Type.TEXT, "a name", pushdown=EQ),
            Column("reads", Type.COUNT, "how often it was read", pushdown=NONE),
        )
        reads = 0

        def rows(self, _where: Where) -> Iterator[Row]:
            self.reads += 1
            yield {"name": "wall", "reads": self.reads}

    assert "name the columns that do" in found(Clock(Host("/")))
    check_table(Clock(Host("/")), stable=["name"])


def test_files_left_open_are_named(tmp_path: Path):
    """A read that is stopped early must close what it opened."""
    kept: list[object] = []

    def rows(_self, _where):
        kept.append((tmp_path / "farm").open("w"))
        yield {"name": "ant"}
        yield {"name": "bee"}
        kept.pop().close()

    try:
        assert "leaves files open" in found(bad(Animals, rows=rows))
    finally:
        for file in kept:
            file.close()


def test_a_generator_that_refuses_to_stop_is_named():
    """A generator that goes on after it was closed is a finding."""

    def rows(_self, _where):
        yield {"name": "bee"}
        try:
            yield {"name": "ant"}
        except GeneratorExit:
            yield {"name": "Cat"}

    assert "stopping a read early fails" in found(bad(Animals, rows=rows))


class Endings:
    """Ways in which events() must not go."""

    async def ends(self) -> AsyncIterator[Row]:
        """End by itself."""
        yield {"number": 1}

    async def raises(self) -> AsyncIterator[Row]:
        """Fail."""
        yield {"number": 1}
        raise OSError(5, "no")

    async def swallows(self) -> AsyncIterator[Row]:
        """Take the cancellation for an end."""
        yield {"number": 1}
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return

    async def lingers(self) -> AsyncIterator[Row]:
        """Need long to stop."""
        yield {"number": 1}
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1.2)

    async def leaks(self) -> AsyncIterator[Row]:
        """Leave a task behind."""
        self.kept = asyncio.create_task(asyncio.sleep(0.3), name="kept")
        while True:
            yield {"number": 1}
            await asyncio.sleep(0.01)

    async def lies(self) -> AsyncIterator[Row]:
        """Yield what was not declared."""
        yield {"size": 1}
        await asyncio.sleep(60)

    messages: ClassVar[dict[str, str]] = {
        "ends": "ends by itself",
        "raises": "events() fails: ",
        "swallows": "swallows its cancellation",
        "lingers": "still runs 1 s after",
        "leaks": "leaves tasks behind: kept",
        "lies": "column size: it is not declared",
    }


@pytest.mark.parametrize("ending", sorted(Endings.messages))
def test_events_that_end_badly_are_named(ending):
    """An evented table runs until it is cancelled, then stops at once and cleanly."""
    assert Endings.messages[ending] in found(bad(Ticks, events=getattr(Endings, ending)))


class Hives(Snapshot):
    """Bees of the hives that are asked for."""

    name = "hives"
    columns = (
        Column("hive", Type.TEXT, "which one", pushdown=EQ, mandatory=True),
        Column("bees", Type.COUNT, "how many", hidden=True),
    )
    examples = ("SELECT bees FROM hives WHERE hive = 'north'",)

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the hives."""
        for hive in where.values("hive") or ():
            yield {"hive": hive, "bees": 1000}


def test_a_mandatory_column_is_left_to_the_examples():
    """A table that cannot be read as a whole is read as its examples do, and no more."""
    check_table(Hives(Host()))

    class Wrong(Hives):
        """Hives whose example is wrong."""

        examples = ("SELECT wasps FROM hives WHERE hive = 'north'",)

    with pytest.raises(ConformanceError, match="wasps"):
        check_table(Wrong(Host()))
