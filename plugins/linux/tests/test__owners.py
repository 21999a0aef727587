"""Which process holds a socket, and what is remembered of it."""

import pytest
from zeek_agent_linux._owners import KEEP_SECONDS, KEEP_UNOWNED_SECONDS, Owners


class Proc:
    """A directory laid out as /proc, with processes that hold sockets."""

    def __init__(self, root):
        self.root = root
        self.now = 0.0
        self.owners = Owners(str(root), lambda: self.now)

    def run(self, pid, *sockets, started=1, parent=0):
        """Start a process, or change what it holds."""
        directory = self.root / str(pid)
        self.end(pid)
        (directory / "fd").mkdir(parents=True)
        fields = " ".join(["0"] * 17)
        (directory / "stat").write_text(f"{pid} (x) S {parent} {fields} {started} 0 0 0\n")
        for number, inode in enumerate(sockets):
            (directory / "fd" / str(number)).symlink_to(f"socket:[{inode}]")

    def end(self, pid):
        """End a process."""
        directory = self.root / str(pid)
        if directory.exists():
            for file in sorted(directory.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
            directory.rmdir()

    def find(self, *inodes):
        """Return owners and how many processes were looked at for them."""
        before = self.owners.scans
        found = self.owners.find(set(inodes))
        return {i: found[i] for i in inodes if i in found}, self.owners.scans - before


@pytest.fixture
def proc(tmp_path):
    """Return a /proc without processes."""
    return Proc(tmp_path)


def test_known_owners_are_not_looked_for(proc):
    """What was found is remembered, also between queries for other sockets."""
    proc.run(5, 11, 12)
    proc.run(6, 13)
    assert proc.find(11, 13) == ({11: 5, 13: 6}, 2)
    assert proc.find(12) == ({12: 5}, 0)
    assert proc.find(11, 12, 13) == ({11: 5, 12: 5, 13: 6}, 0)


def test_lowest_process_owns_a_shared_socket(proc):
    """The order of processes in the listing does not matter."""
    proc.run(9, 11)
    proc.run(10, 11)
    proc.run(5, 12, 11)
    proc.find(12, 13)
    assert proc.find(11)[0] == {11: 5}


def test_the_parent_owns_what_a_child_with_a_lower_id_inherited(proc):
    """Process IDs start again from the bottom; the older process is the owner all the same."""
    proc.run(30000, 11, started=5)
    proc.run(7, 11, started=9, parent=30000)
    assert proc.find(11)[0] == {11: 30000}


def test_unowned_sockets_are_not_looked_for_again(proc):
    """A socket without owner costs one search, until some time has passed."""
    proc.run(5, 11)
    assert proc.find(11, 99) == ({11: 5}, 1)
    assert proc.find(11, 99) == ({11: 5}, 0)
    proc.now = KEEP_UNOWNED_SECONDS + 1
    assert proc.find(11, 99) == ({11: 5}, 1)


def test_process_id_used_again_is_another_process(proc):
    """The start of a process tells it from an earlier one with its ID."""
    proc.run(5, 11)
    proc.find(11)
    proc.run(5, 12, started=2)
    assert proc.find(11)[0] == {}


def test_socket_of_an_ended_process_passes_on(proc):
    """When the owner ends, the next process that holds the socket has it."""
    proc.run(5, 11)
    proc.run(6, 11)
    assert proc.find(11)[0] == {11: 5}
    proc.end(5)
    assert proc.find(11)[0] == {11: 6}


def test_owner_is_looked_at_again_after_a_while(proc):
    """Even a process whose descriptors only seem unchanged is looked at in the end."""
    proc.run(5, 11)
    proc.find(11)
    proc.run(5, 12)
    proc.now = KEEP_SECONDS + 1
    assert proc.find(11)[0] == {}


def test_changed_processes_are_looked_at_first(tmp_path):
    """A new socket is found where descriptors came, without a look at the others."""
    proc = Proc(tmp_path)
    counts = {}
    proc.owners._count = lambda pid: counts.get(pid, 1)
    for pid in range(1, 9):
        proc.run(pid, pid + 100)
    proc.find(*range(101, 109))
    proc.run(7, 107, 200)
    counts[7] = 2
    assert proc.find(*range(101, 107), 200) == (
        {**{n: n - 100 for n in range(101, 107)}, 200: 7},
        1,
    )


def test_socket_zero_is_nobody(proc):
    """Sockets that no process has are not searched for."""
    proc.run(5, 11)
    assert proc.find(0) == ({}, 0)


def test_ancestors(proc):
    """The chain of parents ends at a process without one, or that is gone."""
    proc.run(5, 11)
    assert list(proc.owners.ancestors(5)) == []
    assert list(proc.owners.ancestors(6)) == []
