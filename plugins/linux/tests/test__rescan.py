"""Comparing files with what they were."""

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _rescan
from zeek_agent_linux._rescan import State
from zeek_agent_linux._trees import Plan, everywhere

STATES = st.builds(
    State,
    inode=st.tuples(st.just(1), st.integers(1, 6)),
    is_directory=st.booleans(),
    content=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    attributes=st.tuples(st.just(0), st.just(0), st.integers(0, 2)),
)
FILES = st.dictionaries(
    st.sampled_from(["/a", "/b", "/c", "/d"]), STATES, max_size=4
).filter(lambda files: len({state.inode for state in files.values()}) == len(files))  # fmt: skip


def told(old, new):
    """Return the changes as pairs."""
    return [(c.action, c.path, c.old_path) for c in _rescan.differences(old, new, 1)]


@given(FILES, FILES)
def test_changes_lead_from_old_to_new(old, new):
    """Made, renamed and deleted names turn the old ones into the new ones, once each."""
    names = set(old)
    for action, path, before in told(old, new):
        if action == "deleted":
            names.remove(path)
        elif action == "renamed":
            names.remove(before)
            names.add(path)
        elif action == "created":
            assert path not in names
            names.add(path)
    assert names == set(new)


@given(FILES)
def test_nothing_changes(files):
    """What is the same gives no change."""
    assert told(files, files) == []


def test_real_files(tmp_path):
    """Of real files each kind of change is found."""
    (tmp_path / "d").mkdir()
    for name in ("gone", "same", "grows", "mode", "old"):
        (tmp_path / "d" / name).write_text(name)

    def look():
        plan = Plan(str(tmp_path), 100, everywhere)
        plan.add("/d")
        files, is_whole = _rescan.look(str(tmp_path), plan)
        assert is_whole
        return files

    before = look()
    (tmp_path / "d/gone").unlink()
    (tmp_path / "d/grows").write_text("more than before")
    (tmp_path / "d/mode").chmod(0o600)
    (tmp_path / "d/old").rename(tmp_path / "d/new")
    (tmp_path / "d/sub").mkdir()
    assert sorted(told(before, look()), key=str) == [
        ("attributes", "/d/mode", None),
        ("created", "/d/sub", None),
        ("deleted", "/d/gone", None),
        ("modified", "/d/grows", None),
        ("renamed", "/d/new", "/d/old"),
    ]
