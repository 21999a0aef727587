"""Tests of subscriptions shown as they come."""

import asyncio

import pytest

from zeek_agent_core.query import Result, ResultColumn, Subscription
from zeek_agent_core.repl.cells import GREEN, RED, Style
from zeek_agent_core.repl.console import Console, Settings
from zeek_agent_core.repl.live import Follower
from zeek_agent_core.repl.screen import Screen
from zeek_agent_core.values import Type

COLUMNS = (ResultColumn("name", Type.TEXT), ResultColumn("n", Type.COUNT))
FIRST = Result(COLUMNS, rows=[("a", 1)])
SECOND = Result(COLUMNS, deleted=[("a", 1)], added=[("longer", 2)], is_first=False)
THIRD = Result(COLUMNS, added=[("b", 3)], is_first=False)


def shown(subscription, *results, mode="table"):
    """Return the lines for *results*."""
    follower = Follower(Console(None, Screen(), Settings(mode)), subscription)
    return [line for result in results for line in follower.lines(result)]


def test_differences():
    """The header stands once; marks tell what is new and gone; columns never get narrower."""
    assert shown(Subscription.SNAPSHOT_PLUS_DIFFERENCES, FIRST, SECOND, THIRD) == [
        "     name  n",
        "     ----  -",
        "     a     1",
        " -   a       1",
        " +   longer  2",
        " +   b       3",
    ]


def test_header_without_rows():
    """The header comes with the first result even if that has no rows."""
    assert shown(Subscription.DIFFERENCES, Result(COLUMNS), THIRD) == [
        "     name                   n",
        "     ----------------  ------",
        " +   b                      3",
    ]


def test_snapshots():
    """Snapshots have no marks and an empty line after each."""
    assert shown(Subscription.SNAPSHOTS, FIRST, FIRST) == [
        "name  n", "----  -", "a     1", "", "a     1", "",
    ]  # fmt: skip


def test_colours(monkeypatch):
    """On a terminal new rows are marked green and lost ones red."""
    monkeypatch.setattr(Console, "style", lambda _: Style(colours=True))
    lines = shown(Subscription.DIFFERENCES, SECOND)
    assert lines[-2].startswith(f"{RED} - ")
    assert lines[-1].startswith(f"{GREEN} + ")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("jsonl", ['{"change": "delete", "name": "a", "n": 1}',
                   '{"change": "add", "name": "longer", "n": 2}',
                   '{"change": "add", "name": "b", "n": 3}']),
        ("csv", ["change,name,n", "delete,a,1", "add,longer,2", "add,b,3"]),
    ],
)  # fmt: skip
def test_for_programs(mode, expected):
    """Other modes have the change as a column, and their header once."""
    assert shown(Subscription.DIFFERENCES, SECOND, THIRD, mode=mode) == expected


async def test_subscription_ends_when_cancelled(talk):
    """A command that goes on leaves no query behind once it is cancelled."""
    async with talk("jsonl") as run:
        task = asyncio.create_task(run(".snapshots SELECT 1 AS a"))
        while '{"a": 1}' not in run.output.getvalue():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await run("SELECT count(*) AS n FROM zeek_agent_queries") == '{"n": 0}\n'


async def test_watch_without_terminal(talk):
    """Without a terminal a watched result is written again and again."""
    async with talk("jsonl") as run:
        task = asyncio.create_task(run(".watch 0.1 SELECT 1 AS a"))
        while run.output.getvalue().count("1") < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
