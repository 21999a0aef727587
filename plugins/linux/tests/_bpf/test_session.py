"""Programs on the running kernel: attached, full, refused, and gone without a trace."""

import errno
import gc
import os
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._bpf import syscall
from zeek_agent_linux._bpf.assembler import R0, R1, R2, Assembler
from zeek_agent_linux._bpf.choice import Choice, reason_of
from zeek_agent_linux._bpf.iterator import Iterator
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs import datagram_calls, process_events, socket_events, tasks
from zeek_agent_linux._bpf.session import Program, Session, merge
from zeek_agent_linux.processes import Processes
from zeek_agent_linux.processes_events import ProcessesEvents
from zeek_agent_linux.sockets import Sockets
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.host import Host


@pytest.fixture(scope="module")
def kernel():
    """Return what is known of the running kernel."""
    return Kernel()


def files():
    """Return what the descriptors of this process are."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            found[path.name] = str(path.readlink())
        except OSError:
            continue  # that of the listing itself
    return found


def programs():
    """Return the number of the newest program of the kernel: a number for each ever loaded."""
    links = Path("/proc/self/fdinfo")
    return sum("prog_id" in (links / name).read_text() for name in files() if name.isdecimal())


def test_attach_and_detach_200_times(kernel):
    """After 200 rounds of all programs no descriptor is left, and so nothing in the kernel."""
    gc.collect()  # tables of other tests let go
    before = files()
    for _ in range(100):
        every = [*socket_events.programs(kernel), datagram_calls.PROGRAM]
        with Session(kernel, every, {**socket_events.MAPS, **datagram_calls.MAPS}, 1 << 14):
            assert programs() >= 4
        plain = [Program("sched_process_exit", process_events.exit_)]
        with Session(kernel, plain, {}, 1 << 14) as session:
            mine = files().keys() - before.keys()
            assert mine
            assert not any(os.get_inheritable(int(name)) for name in mine)
        session.close()
        assert session.files == []
    assert files() == before
    assert programs() == 0


def test_nothing_without_a_query():
    """Tables that nobody asks have nothing in the kernel."""
    gc.collect()
    before = files()
    tables = [kind(Host()) for kind in (Processes, Sockets, ProcessesEvents, SocketsEvents)]
    assert [table.source for table in tables] == ["/proc", "sock_diag", None, None]
    assert files() == before
    assert programs() == 0


def test_forgotten(kernel):
    """Whoever forgets to close leaves nothing all the same."""
    before = files()
    target = kernel.function(tasks.TARGET)
    iterator = Iterator("test", tasks.numbers(kernel, threads=False), target)
    session = Session(kernel, [Program("sched_process_exit", process_events.exit_)], {}, 1 << 14)
    assert len(files()) > len(before)
    del iterator, session
    gc.collect()
    assert files() == before


def test_iterators_200_times(kernel):
    """The same for iterators."""
    before = files()
    target = kernel.function(tasks.TARGET)
    for _ in range(200):
        with Iterator("test", tasks.numbers(kernel, threads=False), target) as iterator:
            assert iterator.read()
        iterator.close()
    assert files() == before


def test_refusal_has_the_reason(kernel):
    """A program that the kernel refuses is an error with its reason, and leaves nothing."""

    def wrong(*_):
        a = Assembler()
        a.load(R0, R1, 0, 8)
        a.load(R0, R2, 0, 8)
        a.end()
        return a.code()

    before = files()
    good, bad = (
        Program("sched_process_exit", process_events.exit_),
        Program("sched_process_exec", wrong),
    )
    with pytest.raises(
        OSError, match=r"refuses the program zeek_sched_process_exec: .*R2 !read_ok"
    ):
        Session(kernel, [good, bad], {}, 1 << 14)
    assert files() == before


def test_full_ring_is_counted(kernel):
    """Events that find no room are counted, each of them, and room made is used again."""
    plain = [Program("sched_process_exit", process_events.exit_)]
    with Session(kernel, plain, {}, 1 << 12) as session:
        shell = subprocess.run(
            ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do " + "(:); " * 15 + "done"],
            check=True,
        )
        assert shell.returncode == 0
        found, lost = 0, session.lost()
        while places := session.read().places:
            found += len(places)
        assert found + lost >= 151
        assert lost >= 20
        subprocess.run(["true"], check=True)
        assert session.read().places


def test_without_rights():
    """Who lacks the rights is told which, and gets the rows all the same."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        said = []
        os.setresuid(65534, 65534, 65534)
        try:
            choice = Choice("table x", Host(), Needy, said.append)
            assert choice.part() is None
            os.write(writer, said[0].encode())
        finally:
            os._exit(0)
    os.wait()
    said = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert "not permitted" in said
    assert "CAP_BPF" in said


class Needy:
    """Something that needs BPF."""

    def __init__(self, kernel):
        """Load a program."""
        code = tasks.numbers(kernel, threads=False)
        self.iterator = Iterator("test", code, kernel.function(tasks.TARGET))

    def close(self):
        """Let go."""
        self.iterator.close()


def test_choice_rests_after_a_failure():
    """What failed is not tried again at each query, but after a while."""
    said, tries, now = [], [], [0.0]

    def start(_kernel):
        tries.append(now[0])
        if now[0] < 1000:
            raise OSError(errno.EINVAL, "no such thing")
        return Needy(_kernel)

    choice = Choice("table x", Host(), start, said.append, clock=lambda: now[0])
    assert choice.part() is None
    assert choice.part() is None
    assert tries == [0.0]
    now[0] = 700.0
    assert choice.part() is None
    assert said == ["does without BPF: no such thing"]
    now[0] = 1400.0
    assert choice.part() is not None
    assert choice.is_at_work
    choice.close()
    assert tries == [0.0, 700.0, 1400.0]


@pytest.mark.parametrize("host", [Host(uses_bpf=False), Host("/nowhere")])
def test_turned_off(host):
    """Where BPF is not meant to be used nothing is tried, and nothing to warn of."""
    said = []
    assert Choice("table x", host, Needy, said.append).part() is None
    assert said == []


def test_reasons():
    """A refusal for want of rights says what is needed; others speak for themselves."""
    assert "CAP_BPF" in reason_of(OSError(errno.EPERM, "Operation not permitted"))
    assert reason_of(OSError("the kernel has no x")) == "the kernel has no x"


def test_detaching_is_quick(kernel):
    """Nothing happens any more once a session is closed."""
    session = Session(kernel, socket_events.programs(kernel), socket_events.MAPS, 1 << 14)
    descriptor = session.files[0]
    session.close()
    time.sleep(0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_other_machine(monkeypatch):
    """A machine whose system call is not known is an error that says so."""
    monkeypatch.setattr(syscall, "MACHINE", "s390x")
    with pytest.raises(OSError, match="not supported on s390x"):
        syscall.create_map(syscall.ARRAY, 4, 8, 1)


def stamped(times):
    """Return records of these *times*."""
    return [struct.pack("=QI", time, 7) for time in times]


@given(st.lists(st.integers(0, 99)), st.lists(st.integers(0, 99)))
def test_merge(times, late):
    """What took the other way comes in its turn: none too early, none twice, none lost."""
    records, rest = merge(stamped(sorted(times)), stamped(late))
    given_out = [struct.unpack_from("=Q", record)[0] for record in records.split()]
    assert given_out == sorted(given_out)
    left = [struct.unpack_from("=Q", record)[0] for record in rest]
    assert sorted(given_out + left) == sorted(times + late)
    assert not times or all(time > max(times) for time in left)
    assert times or not left
