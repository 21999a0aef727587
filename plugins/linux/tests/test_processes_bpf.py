"""``processes`` through BPF has the rows that ``/proc`` has."""

import ctypes
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._boottime import TICK
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._processes import ProcSource
from zeek_agent_linux._processes_bpf import BpfSource
from zeek_agent_linux._tasks import Texts, adjusted, parse_texts
from zeek_agent_linux.processes import Processes

from plugins.linux.tests.children import child
from zeek_agent_core.host import Host
from zeek_agent_core.table import Where

COLUMNS = frozenset(column.name for column in Processes.columns)


def busy():
    """Have threads: one busy, one idle, some that have ended."""
    for _ in range(3):
        ended = threading.Thread(target=lambda: sum(range(100_000)))
        ended.start()
        ended.join()
    threading.Thread(target=signal.pause, daemon=True).start()
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass


def other_user():
    """Have different real and effective IDs."""
    os.setresgid(31, 32, 33)
    os.setresuid(21, 22, 22)


def new_title():
    """Write over the arguments, as setproctitle(3) does."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
    start, end = int(fields[45]), int(fields[46])
    ctypes.memset(start, ord("x"), end - start)


@pytest.fixture
def both():
    """Return what reads all processes through BPF, and from /proc."""
    warnings = []
    proc = ProcSource(Host(), warnings.append)
    bpf = BpfSource(Host(), warnings.append, proc)

    def read(columns=COLUMNS):
        where = Where(frozenset(columns))
        found = [{row["pid"]: row for row in each.rows(where)} for each in (bpf, proc, bpf)]
        assert bpf.name == "BPF"
        return found

    yield read
    bpf.close()
    assert not warnings


def differences(found, columns):
    """Return where rows differ that stayed the same from before to after."""
    before, between, after = found
    return [
        (pid, column, before[pid].get(column), between[pid].get(column))
        for pid in before.keys() & between.keys() & after.keys()
        for column in columns
        if before[pid].get(column) == after[pid].get(column) != between[pid].get(column)
    ]


def test_equal_to_proc(both, tmp_path):
    """All columns of all processes are equal: of zombies, other users, changed arguments too."""
    program = tmp_path / os.fsdecode(b"a (b) \xff")
    shutil.copy("/bin/sleep", program)
    odd = os.posix_spawn(program, [program, "60"], {})
    program.unlink()
    zombie = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
    long = os.posix_spawn("/bin/sleep", ["sleep", "0" * 10_000 + "60"], {})
    try:
        with child(busy) as one, child(other_user) as two, child(new_title) as three:
            found = both()
            mine = {odd, zombie, long, one, two, three, os.getpid(), 2}
            for each in found:
                assert mine <= each.keys()
            before, between, _ = found
            assert before.keys() - between.keys() <= gone(before)
            assert between.keys() - before.keys() <= gone(between, before)
            assert differences(found, COLUMNS) == []
            assert before[zombie]["vsize"] == 0
            assert before[zombie].get("exe") is None
            assert before[two]["uid"] == 22
            assert before[two]["ruid"] == 21
            assert len(before[long]["cmdline"]) > 10_000
            assert before[three]["cmdline"].startswith("xxx")
            assert before[odd]["exe"] == f"{tmp_path}/a (b) \\xff (deleted)"
            assert before[one]["utime"] + before[one]["stime"] >= TICK
    finally:
        for pid in (odd, long):
            os.kill(pid, signal.SIGKILL)
        for pid in (odd, zombie, long):
            os.waitpid(pid, 0)


def gone(*listings):
    """Return which of the processes listed have ended, or have only just begun."""
    pids = set().union(*listings)
    young = time.time_ns() - 2 * 10**9
    return {
        pid
        for pid in pids
        if not Path(f"/proc/{pid}").exists()
        or any(each.get(pid, {}).get("startup", 0) > young for each in listings)
    }


@pytest.mark.parametrize("column", sorted(COLUMNS - {"pid"}))
def test_each_column_alone(both, column):
    """A query for one column gets the same as one for all."""
    assert differences(both({"pid", column}), {column}) == []


def test_kernel_threads(both):
    """Kernel threads have their names in full, no program, no arguments, and a directory."""
    before, _, _ = both()
    kernel = [row for row in before.values() if row["ppid"] == 2]
    assert kernel
    assert all(row.get("exe") is None and row["cmdline"] is None for row in kernel)
    assert all(row["cwd"] == "/" and row["vsize"] == 0 for row in kernel)
    for row in kernel:
        comm = Path(f"/proc/{row['pid']}/comm")
        if comm.exists() and not row["name"].startswith("kworker/"):
            assert row["name"] == comm.read_text()[:-1]


def test_threads_are_no_processes(both):
    """A process with threads has one row."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        before, _, _ = both({"pid", "utime"})
        assert thread.native_id not in before
        assert os.getpid() in before
    finally:
        stop.set()
        thread.join()


def test_conditions(host, sql):
    """Conditions select the same rows; those on the process ID are answered from /proc."""
    table = Processes(host())
    with child(other_user) as pid:
        assert sql("SELECT pid FROM processes WHERE uid = 22 AND ppid > 0", table) == [(pid,)]
        name = Path(f"/proc/{pid}/comm").read_text()[:-1]
        rows = sql(f"SELECT pid FROM processes WHERE name = '{name}' AND uid IN (22, 23)", table)
        assert rows == [(pid,)]
        assert sql(f"SELECT uid, ppid FROM processes WHERE pid = {pid}", table) == [
            (22, os.getpid())
        ]
        assert table.source == "BPF"


def test_turned_off(sql):
    """Turned off, the table is served from /proc, and has no reason to warn."""
    table = Processes(Host(uses_bpf=False))
    assert sql("SELECT pid FROM processes WHERE ppid >= 0 AND name != ''", table)
    assert (table.source, table.warnings) == ("/proc", 0)


def test_falls_back(host, sql, monkeypatch):
    """If the kernel refuses, the rows come from /proc, and the table says why."""
    monkeypatch.setattr("zeek_agent_linux._bpf.syscall.NUMBERS", {os.uname().machine: 0xFFFF})
    table = Processes(host())
    assert sql("SELECT pid FROM processes WHERE ppid >= 0 AND name != ''", table)
    assert table.source == "/proc"
    assert table.last_warning.startswith("does without BPF: the kernel refuses the program")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**63),
            st.one_of(st.none(), st.binary(max_size=50)),
            st.one_of(st.none(), st.binary(max_size=50)),
        )
    )
)
def test_texts(rows):
    """Texts are read as they were written, whatever their lengths."""
    raw = b""
    for pid, start, first, second in rows:
        lengths = (tasks.NONE if text is None else len(text) for text in (first, second))
        raw += tasks.TEXTS.struct.pack(start, pid, *lengths, b"") + (first or b"") + (second or b"")
    assert list(parse_texts(raw)) == [
        ((pid, start), Texts(first, second, is_known=True)) for pid, start, first, second in rows
    ]


@given(st.binary(max_size=300))
def test_any_bytes(raw):
    """Bytes that the kernel never wrote end in a `ValueError`, nothing else."""
    with suppress(ValueError):
        list(parse_texts(raw))


@given(*[st.integers(0, 2**60)] * 5)
def test_times_add_up(utime, stime, runtime, told_utime, told_stime):
    """Both times together are what the scheduler counted, or what was told, if that is more."""
    user, system = adjusted(utime, stime, runtime, told_utime, told_stime)
    assert user + system == max(runtime, told_utime + told_stime)
    assert user >= told_utime
    assert system >= told_stime
