"""Changes put together to rows."""

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _changes
from zeek_agent_linux._actors import Actor
from zeek_agent_linux._changes import Change
from zeek_agent_linux._happenings import What

MV = Actor("mv", "/bin/mv", 0)
CHANGES = st.lists(
    st.builds(
        Change,
        time=st.just(1),
        action=st.sampled_from(["created", "modified", "deleted"]),
        path=st.sampled_from(["/a", "/b"]),
        old_path=st.none(),
        pid=st.sampled_from([None, 1, 2]),
        is_guess=st.booleans(),
    )
)


@given(CHANGES)
def test_everything_is_counted(changes):
    """The counts of the rows make up all changes but guesses that were told as well."""
    rows = _changes.Tally(changes).rows()
    told = {(change.action, change.path) for change in changes if not change.is_guess}
    extra = [c for c in changes if c.is_guess and (c.action, c.path) in told]
    assert sum(row["count"] for row in rows) == len(changes) - len(extra)


@given(CHANGES)
def test_nothing_alike_is_told_twice(changes):
    """There is one row for each action, path and process."""
    keys = [(row["action"], row["path"], row["pid"]) for row in _changes.Tally(changes).rows()]
    assert len(set(keys)) == len(keys)


def test_a_row():
    """A row has who did what to which file; undecodable bytes are shown."""
    change = Change(7, "renamed", "/b\udcff", "/a", is_directory=True, pid=9, actor=MV)
    assert _changes.Tally([change, change]).rows() == [
        {
            "time": 7,
            "action": "renamed",
            "path": "/b\\xff",
            "old_path": "/a",
            "is_directory": True,
            "pid": 9,
            "process": "mv",
            "exe": "/bin/mv",
            "uid": 0,
            "count": 2,
        }
    ]


def test_what_was_guessed_a_moment_ago():
    """What was told as created is not told again, unless it was deleted in between."""
    created = Change(7, "created", "/a", pid=1)
    assert _changes.Tally([created], before={"/a"}).rows() == []
    assert len(_changes.Tally([created], before={"/b"}).rows()) == 1
    again = [created._replace(action="deleted"), created]
    assert len(_changes.Tally(again, before={"/a"}).rows()) == 2
    guess = created._replace(is_guess=True)
    assert _changes.Tally([guess, created]).guesses() == {"/a"}


def test_order_of_what_was_merged():
    """A file that is there after it was both deleted and created was replaced."""
    both = What.CREATED | What.DELETED | What.MODIFIED
    assert _changes.actions(both, lambda: True) == ("deleted", "created", "modified")
    assert _changes.actions(both, lambda: False) == ("created", "modified", "deleted")
    assert _changes.actions(What.ATTRIBUTES, lambda: True) == ("attributes",)
    assert _changes.actions(What.MOVED_TO, lambda: True) == ()
