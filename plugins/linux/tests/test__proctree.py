"""The tree of processes, told of forks, programs, changes and ends."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from zeek_agent_linux._proctree import Process, ProcessTree

SHELL = Process(
    10, 1, 5, "sh", 0, 0, 0, 0, "/bin/sh", "sh -l", "/root", auid=1000,
    cgroup="/docker/x", container="x",
)  # fmt: skip


def test_child_has_what_its_parent_has():
    """A child has the name, IDs, program, login and container of its parent, not its directory."""
    tree = ProcessTree()
    tree.add(SHELL)
    child = tree.fork(70, 10, 11)
    assert (child.pid, child.ppid, child.started) == (11, 10, 70)
    assert (child.name, child.exe, child.cmdline) == ("sh", "/bin/sh", "sh -l")
    assert (child.ruid, child.uid, child.rgid, child.gid) == (0, 0, 0, 0)
    assert (child.auid, child.cgroup, child.container) == (1000, "/docker/x", "x")
    assert child.cwd is None


def test_control_group_outside_of_containers():
    """Outside of a container a child may have been put into another control group."""
    tree = ProcessTree()
    tree.add(Process(1, cgroup="/init.scope"))
    assert tree.fork(1, 1, 2).cgroup is None


def test_other_ids():
    """A child has the IDs that its parent has at that moment, and each changes its own."""
    tree = ProcessTree()
    tree.add(Process(1, uid=0, ruid=0, gid=0, rgid=0))
    tree.fork(1, 1, 2)
    tree.set_users(2, 1000, 1001)
    tree.set_groups(2, 100, 101)
    grandchild = tree.fork(2, 2, 3)
    assert (grandchild.ruid, grandchild.uid, grandchild.rgid, grandchild.gid) == (
        1000, 1001, 100, 101,
    )  # fmt: skip
    assert tree.get(1).uid == 0


def test_source_that_knows_no_ids():
    """Where changes of IDs are not told, neither children nor new programs have any."""
    tree = ProcessTree(knows_ids=False)
    tree.add(Process(1, uid=0, ruid=0, gid=0, rgid=0))
    assert tree.fork(1, 1, 2).uid is None
    assert tree.execute(1).uid is None


def test_program():
    """A process that executes a program keeps its IDs, and has no name until it is known."""
    tree = ProcessTree()
    tree.add(SHELL)
    tree.fork(1, 10, 11)
    process = tree.execute(11)
    assert (process.name, process.exe, process.cmdline) == (None, None, None)
    assert (process.uid, process.auid, process.container) == (0, 1000, "x")
    tree.rename(11, "worker")
    assert process.name == "worker"


def test_unknown_process():
    """What is told of a process that was never seen is kept, and nothing else is made up."""
    tree = ProcessTree()
    assert tree.execute(5) == Process(5)
    assert tree.exit(9, 7) == Process(7, ended=9)
    assert tree.fork(3, 99, 100) == Process(100, 99, 3)


def test_last_thread_ends_the_process():
    """A process ends when the last of its threads does, whichever that is."""
    tree = ProcessTree()
    tree.fork(1, 1, 10)
    tree.thread(10, 11)
    tree.thread(10, 12)
    assert tree.process_of(12) == 10
    assert tree.exit(5, 11) is None
    assert tree.exit(6, 10) is None
    process = tree.exit(7, 12)
    assert process is not None
    assert (process.pid, process.ended) == (10, 7)
    assert tree.process_of(12) == 12
    assert len(tree) == 0


def test_program_ends_other_threads():
    """After a program was executed, the end of the first thread is that of the process."""
    tree = ProcessTree()
    tree.fork(1, 1, 10)
    tree.thread(10, 11)
    tree.execute(10)
    assert tree.exit(5, 10) is not None


def test_id_used_again():
    """A process whose ID is used again without its end being seen is another one."""
    tree = ProcessTree()
    tree.fork(1, 1, 10)
    tree.thread(10, 11)
    tree.set_users(10, 5, 5)
    again = tree.fork(9, 1, 10)
    assert (again.started, again.uid) == (9, None)
    assert tree.process_of(11) == 11
    assert tree.exit(10, 10) is again


def test_thread_id_used_by_a_process():
    """The ID of a thread that ended unseen belongs to the process that has it now."""
    tree = ProcessTree()
    tree.thread(10, 11)
    tree.fork(5, 1, 11)
    assert tree.process_of(11) == 11


def test_looked_up_by_time():
    """Of two processes that have had an ID, the one of the given time is found."""
    tree = ProcessTree()
    first = tree.fork(10, 1, 7)
    tree.exit(20, 7)
    second = tree.fork(30, 1, 7)
    assert tree.at(7, 9) is None
    assert tree.at(7, 15) is first
    assert tree.at(7, 25) is None
    assert tree.at(7, 35) is second


def test_memory_is_bounded():
    """Of processes that have ended, the newest are remembered, and no more than wanted."""
    tree = ProcessTree(keep=3)
    for pid in range(10):
        tree.fork(pid, 1, pid)
        tree.exit(pid, pid)
    assert [tree.at(pid, pid) is not None for pid in range(10)] == [False] * 7 + [True] * 3


def test_forgotten():
    """Processes whose end was missed can be forgotten, threads and all."""
    tree = ProcessTree()
    tree.fork(1, 1, 10)
    tree.thread(10, 11)
    tree.forget([10, 99])
    assert len(tree) == 0
    assert tree.process_of(11) == 11


PIDS = st.integers(1, 12)


class Followed(RuleBasedStateMachine):
    """Compares the tree with a plain model of what a kernel has."""

    def __init__(self):
        super().__init__()
        self.tree = ProcessTree(keep=4)
        self.threads: dict[int, set[int]] = {1: {1}}
        self.users = {1: 0}
        self.time = 0
        self.tree.add(Process(1, uid=0, ruid=0))

    def taken(self):
        return set().union(*self.threads.values())

    @rule(parent=PIDS, pid=PIDS)
    def fork(self, parent, pid):
        if parent in self.threads and pid not in self.taken():
            self.time += 1
            process = self.tree.fork(self.time, parent, pid)
            self.threads[pid], self.users[pid] = {pid}, self.users[parent]
            assert (process.ppid, process.uid) == (parent, self.users[pid])

    @rule(pid=PIDS, thread=PIDS)
    def start_thread(self, pid, thread):
        if self.threads.get(pid) and thread not in self.taken() and thread not in self.threads:
            self.tree.thread(pid, thread)
            self.threads[pid].add(thread)

    @rule(pid=PIDS)
    def execute(self, pid):
        if pid in self.threads:
            assert self.tree.execute(pid).uid == self.users[pid]
            self.threads[pid] = {pid}

    @rule(pid=PIDS, user=st.integers(0, 3))
    def change(self, pid, user):
        if pid in self.threads:
            self.tree.set_users(pid, user, user)
            self.users[pid] = user

    @rule(thread=PIDS)
    def exit(self, thread):
        for pid, threads in list(self.threads.items()):
            if thread in threads:
                self.time += 1
                threads.discard(thread)
                ended = self.tree.exit(self.time, thread)
                assert (ended is None) == bool(threads)
                if ended is not None:
                    assert (ended.pid, ended.ended, ended.uid) == (pid, self.time, self.users[pid])
                    del self.threads[pid], self.users[pid]

    @invariant()
    def same_processes(self):
        assert self.tree.alive.keys() == self.threads.keys()
        for pid, threads in self.threads.items():
            assert self.tree.get(pid).uid == self.users[pid]
            assert {self.tree.process_of(thread) for thread in threads} <= {pid}


TestFollowed = Followed.TestCase

CALLS = st.lists(
    st.tuples(st.sampled_from(["fork", "thread", "execute", "exit", "users", "forget"]), PIDS, PIDS)
)


@given(CALLS)
def test_any_order(calls):
    """Whatever is told, in whatever order, the tree holds no more than what it was told of."""
    tree = ProcessTree(keep=5)
    for time, (call, one, other) in enumerate(calls):
        match call:
            case "fork":
                tree.fork(time, one, other)
            case "thread":
                tree.thread(one, other)
            case "execute":
                tree.execute(one)
            case "exit":
                tree.exit(time, one)
            case "users":
                tree.set_users(one, other, other)
            case _:
                tree.forget([one])
        assert len(tree) <= 12
        assert all(pid == process.pid for pid, process in tree.alive.items())
        assert all(process.ended is None for process in tree.alive.values())
