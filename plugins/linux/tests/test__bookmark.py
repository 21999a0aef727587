"""Bookmarks in the state directory."""

import asyncio
import stat

from zeek_agent_linux._bookmark import Bookmark


async def test_what_was_read_outlives_the_agent(tmp_path):
    """The place up to which all was read is found again, in a file for the owner alone."""
    warnings = []
    state = tmp_path / "state"
    first = Bookmark(state, "logs", warnings.append)
    await first.open()
    assert first.place("journal") is None
    first.give("journal", "c1")
    first.give("journal", "c2")
    first.was_read("journal", "c1")
    await first.aclose()
    second = Bookmark(state, "logs", warnings.append)
    await second.open()
    assert second.place("journal") == "c1"
    await second.aclose()
    assert stat.S_IMODE((state / "logs.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert warnings == []


async def test_within_one_agent(tmp_path):
    """A source that fails is followed from what was given, a new query from what was read."""
    bookmark = Bookmark(tmp_path, "logs", print)
    await bookmark.open()
    bookmark.give("journal", 2)
    bookmark.was_read("journal", 1)
    await bookmark.aclose()
    await bookmark.open()
    assert bookmark.place("journal") == 2
    bookmark.rewind()
    assert bookmark.place("journal") == 1
    await bookmark.aclose()


async def test_it_is_written_while_the_agent_runs(tmp_path):
    """A while after it was read the place is in the file, whatever becomes of the agent."""
    bookmark = Bookmark(tmp_path, "logs", print)
    await bookmark.open()
    bookmark.was_read("journal", "c1")
    async with asyncio.timeout(10):
        while not (tmp_path / "logs.json").exists():
            await asyncio.sleep(0.01)
    assert '"c1"' in (tmp_path / "logs.json").read_text()
    await bookmark.aclose()


async def test_two_agents(tmp_path):
    """Of two agents with one directory the second leaves the first one's place alone."""
    warnings = []
    first, second = (
        Bookmark(tmp_path, "l", warnings.append),
        Bookmark(tmp_path, "l", warnings.append),
    )
    await first.open()
    await second.open()
    second.was_read("journal", "wrong")
    await second.aclose()
    first.was_read("journal", "right")
    await first.aclose()
    assert "another agent keeps" in warnings[0]
    assert "right" in (tmp_path / "l.json").read_text()


async def test_a_file_that_makes_no_sense(tmp_path):
    """A damaged file costs the place, and is told of."""
    for damage in ("{", "[1]", "\xff"):
        (tmp_path / "logs.json").write_text(damage, encoding="latin-1")
        warnings = []
        bookmark = Bookmark(tmp_path, "logs", warnings.append)
        await bookmark.open()
        assert bookmark.place("journal") is None
        assert "cannot use" in warnings[0]
        await bookmark.aclose()


async def test_without_a_directory():
    """Where nothing is to be kept the place lasts as long as the agent."""
    bookmark = Bookmark(None, "logs", print)
    await bookmark.open()
    bookmark.give("journal", 1)
    bookmark.was_read("journal", 1)
    await bookmark.aclose()
    bookmark.rewind()
    assert bookmark.place("journal") == 1
