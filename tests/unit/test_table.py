"""What a table declares, and what it is told."""

import pytest

from tests.support import Beats, fruits
from zeek_agent_core.api import EQ, NONE, Column, Evented, Host, Prefix, Snapshot, Type, Where
from zeek_agent_core.host import platform


def test_a_parameter_has_an_underscore():
    """A leading underscore makes a parameter; without default it is required."""
    assert not Column("a", Type.TEXT, "a").is_parameter
    assert Column("_a", Type.TEXT, "a").is_required
    assert not Column("_a", Type.TEXT, "a", default="x").is_required
    assert Column("a", Type.TEXT, "a").pushdown is NONE


def test_a_table_is_described_by_its_docstring():
    """The first line of the docstring is the summary."""

    class Birds(Snapshot):
        """Birds.

        One row per bird.
        """

    assert Birds.summary() == "Birds."
    assert Birds.description() == "Birds.\n\nOne row per bird."


def test_warnings_are_counted():
    """What could not be read is counted, and the last of it kept."""
    source = fruits()
    source.warn("one")
    source.warn("two")
    assert (source.warnings, source.last_warning, source.source) == (2, "two", None)


def test_a_table_without_rows_says_so():
    """The two kinds of tables leave their rows to those who derive from them."""
    with pytest.raises(NotImplementedError):
        Snapshot(Host()).rows(Where(frozenset()))
    with pytest.raises(NotImplementedError):
        Evented.events(Beats(Host()))


def test_where_answers_questions():
    """A table asks for values, bounds and prefixes of a column by name."""
    where = Where(
        frozenset({"a"}),
        allowed={"a": {1}, "b": {1, 2}, "c": set()},
        lows={"a": 1},
        highs={"a": 2},
        prefixes={"a": Prefix("x", ignore_case=True)},
    )
    assert where.wants("a", "z")
    assert not where.wants("z")
    assert [where.equal(name) for name in "abcd"] == [1, None, None, None]
    assert [where.values(name) for name in "acd"] == [{1}, set(), None]
    assert (where.low("a"), where.high("a"), where.low("b")) == (1, 2, None)
    assert where.prefix("a") == Prefix("x", ignore_case=True)


def test_pushdown_is_a_set_of_flags():
    """No pushdown is false, any is true."""
    assert not NONE
    assert EQ


def test_paths_lie_below_the_root(tmp_path):
    """A host's root moves all its paths."""
    assert Host(tmp_path).path("/proc/modules") == tmp_path / "proc/modules"
    assert (Host().prefix, Host(tmp_path).prefix) == ("", str(tmp_path))
    assert str(Host().path("/etc")) == "/etc"
    assert platform() in ("linux", "darwin", "windows")
