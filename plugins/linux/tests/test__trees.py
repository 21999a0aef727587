"""Which directories are watched."""

import pytest
from zeek_agent_linux import _trees
from zeek_agent_linux._inotifier import InotifyNotifier
from zeek_agent_linux._trees import Plan, Watches, everywhere, overlapping

from zeek_agent_core.api import Prefix, Where


@pytest.fixture
def root(tmp_path):
    """Return a small file system."""
    for path in ("etc/ssh/keys", "etc/cron.d", "home/ann/.ssh", "home/bob/work", "srv/one/two"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "etc/link").symlink_to(tmp_path / "srv")
    (tmp_path / "etc/hosts").touch()
    return str(tmp_path)


def planned(root, *patterns, overlaps=everywhere, most=100):
    """Return the plan for *patterns*."""
    plan = Plan(root, most, overlaps)
    for pattern in patterns:
        plan.add(pattern)
    return plan


def whole(plan):
    """Return the directories in which everything is of interest."""
    return sorted(path for path, interest in plan.directories.items() if interest.is_whole)


def test_a_directory_with_all_below(root):
    """A directory is watched with all that is in it, but not where links lead to."""
    plan = planned(root, "/etc")
    assert whole(plan) == ["/etc", "/etc/cron.d", "/etc/ssh", "/etc/ssh/keys"]
    assert plan.directories["/"].wants("etc")
    assert not plan.directories["/"].wants("srv")


def test_wildcards(root):
    """On the way to what a pattern means just the names on that way are of interest."""
    plan = planned(root, "/home/*/.ssh")
    assert whole(plan) == ["/home/ann/.ssh"]
    assert plan.directories["/home"].is_passage
    assert plan.directories["/home"].leads("new")
    assert plan.directories["/home/bob"].wants(".ssh")
    assert not plan.directories["/home/bob"].wants("work")
    assert plan.directories["/"].leads("home")
    assert not plan.directories["/"].leads("etc")


def test_files(root):
    """A single file is of interest by its name, there or not."""
    plan = planned(root, "/etc/hosts", "/etc/*.conf")
    interest = plan.directories["/etc"]
    assert [interest.wants(name) for name in ("hosts", "a.conf", "other")] == [True, True, False]
    assert whole(plan) == []


def test_bound(root):
    """No more directories are watched than allowed, and it is known."""
    plan = planned(root, "/etc", "/srv", most=4)
    assert (len(plan.directories), plan.is_full) == (4, True)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"prefixes": {"path": Prefix("/etc/ssh", ignore_case=False)}},
         ["/etc", "/etc/ssh", "/etc/ssh/keys"]),
        ({"prefixes": {"path": Prefix("/ETC/SSH/K", ignore_case=True)}},
         ["/etc", "/etc/ssh", "/etc/ssh/keys"]),
        ({"prefixes": {"path": Prefix("/et", ignore_case=False)}},
         ["/etc", "/etc/cron.d", "/etc/ssh", "/etc/ssh/keys"]),
        ({"allowed": {"path": {"/etc/cron.d/job"}}}, ["/etc", "/etc/cron.d"]),
        ({"allowed": {"path": {"/srv/x"}}}, []),
        ({"allowed": {"path": {None}}}, []),
    ],
)  # fmt: skip
def test_conditions_save_watches(root, where, expected):
    """Only directories that may have what a query wants are watched."""
    plan = planned(root, "/etc", overlaps=overlapping(Where(frozenset(), **where)))
    assert whole(plan) == expected


@pytest.fixture
def watches(root):
    """Return watches of inotify on `/etc`."""
    with InotifyNotifier() as notifier:
        made = Watches(notifier, root, 100)
        made.apply(planned(root, "/etc"))
        yield made


def test_watches_follow_the_plan(watches, root):
    """What is no longer planned is no longer watched; what is new is told."""
    assert watches.apply(planned(root, "/srv/one")) == ["/srv/one", "/srv/one/two"] or set(
        watches.apply(planned(root, "/srv/one"))
    ) <= {"/srv/one", "/srv/one/two"}
    assert not watches.is_watched("/etc")
    assert watches.is_watched("/srv/one/two")


def test_a_directory_moves(watches):
    """Directories are known under their new names when one above them is renamed."""
    watches.moved("/etc/ssh", "/etc/new")
    assert watches.is_watched("/etc/new/keys")
    assert not watches.is_watched("/etc/ssh/keys")
    watches.moved("/etc/new", None)
    assert not watches.is_watched("/etc/new/keys")
    watches.moved("/no/such", "/etc/x")


def test_a_directory_goes(watches):
    """What is deleted is forgotten."""
    watches.deleted("/etc/ssh/keys")
    watches.deleted("/no/such")
    assert not watches.is_watched("/etc/ssh/keys")
    assert watches.is_watched("/etc/cron.d")
    watches.gone("no such watch")


def test_a_new_directory(watches, root, tmp_path):
    """All that a new directory has is watched, and what was in it is told."""
    (tmp_path / "etc/new/deep").mkdir(parents=True)
    (tmp_path / "etc/new/file").touch()
    found = sorted(watches.enter("/etc/new", everywhere))
    assert found == [("/etc/new/deep", True), ("/etc/new/file", False)]
    assert watches.is_watched("/etc/new/deep")
    assert list(watches.enter("/etc/gone", everywhere)) == []


def test_watches_are_bounded(root):
    """The bound holds for directories that come later, too."""
    with InotifyNotifier() as notifier:
        made = Watches(notifier, root, 5)
        made.apply(planned(root, "/etc", most=5))
        assert len(made) == 5
        list(made.enter("/srv", everywhere))
        assert (len(made), made.is_full) == (5, True)


def test_kernel_file_systems_are_left_out(tmp_path):
    """Where the kernel tells of nothing there is nothing to watch."""
    for name in ("proc/1", "sys/class", "etc"):
        (tmp_path / name).mkdir(parents=True)
    assert set(_trees.below(str(tmp_path), "/")) == {"/proc", "/sys", "/etc"}
    assert whole(planned(str(tmp_path), "/")) == ["/", "/etc"]
