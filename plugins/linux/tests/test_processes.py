"""The table of processes, on captured files and on the running kernel."""

import ctypes
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from zeek_agent_linux import _boottime
from zeek_agent_linux.processes import Processes, zeek_agent_tables

from plugins.linux.tests.children import child
from zeek_agent_core.host import Host
from zeek_agent_core.testing.conformance import check_table

BOOT = 1_700_000_000 * 10**9
TICK = _boottime.TICK
ID = "3f" * 32


@pytest.fixture
def captured(host):
    """Return the table of a captured host."""
    return Processes(host("fixtures/processes"))


def set_name(name):
    """Set the name of this process (PR_SET_NAME)."""
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)


def test_original_columns(captured, sql):
    """Every column of the first agent comes from its field, whatever the name holds."""
    rows = sql(
        "SELECT name, pid, ppid, uid, gid, ruid, rgid, priority, startup, vsize, rsize, utime,"
        " stime FROM processes WHERE pid = 300",
        captured,
    )
    page = os.sysconf("SC_PAGE_SIZE")
    assert rows == [
        ("a) R (b c", 300, 1, 0, 50, 1000, 100, "20", BOOT + 123456 * TICK, 1000, 2 * page,
         TICK, 2 * TICK)
    ]  # fmt: skip


def test_our_columns(captured, sql):
    """Links, arguments, terminal, group and container are as the kernel shows them."""
    columns = "exe, cmdline, cwd, tty, cgroup, container"
    rows = sql(
        f"SELECT {columns} FROM processes WHERE pid IN (2, 300, 4000) ORDER BY pid", captured
    )
    assert rows == [
        (None, None, "/nowhere/root", None, "/", None),
        ("/tmp/a) R (b (deleted)", "./a) R (b x y", "/nowhere/work", "pts/3",
         f"/system.slice/docker-{ID}.scope", ID),
        (None, "caf\\xe9", None, "tty1", "/lxc.payload.web", "web"),
    ]  # fmt: skip


@pytest.mark.parametrize("columns", ["name", "name, ppid", "name, ruid"])
def test_name_is_the_same_from_any_file(captured, sql, columns):
    """Names that are no UTF-8 become text, whichever file serves the query."""
    names = [row[0] for row in sql(f"SELECT {columns}, pid FROM processes WHERE pid > 2", captured)]
    assert sorted(names) == ["a) R (b c", "caf\\xe9"]


def test_priority_of_real_time_process(captured, sql):
    """The priority is the kernel's number as text."""
    assert sql("SELECT priority FROM processes WHERE pid = 2", captured) == [("-100",)]


def test_thread_is_no_process(host, sql):
    """The ID of a mere thread gives no row, although its files can be read."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert Path(f"/proc/{thread.native_id}/status").exists()
        statement = f"SELECT pid FROM processes WHERE pid = {thread.native_id}"
        assert sql(statement, Processes(host())) == []
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("condition", ["pid = 0", "pid = -1", "pid = 2.5", "pid = 'x'", "pid = 99"])
def test_impossible_process(captured, sql, condition):
    """A condition that no process can meet gives no rows and no error."""
    assert sql(f"SELECT * FROM processes WHERE {condition}", captured) == []


def test_unreadable_process_is_skipped(tmp_path, host, sql):
    """Truncated text is warned of, once for each process."""
    for pid, text in (("7", "7 (a) S 1"), ("8", "")):
        (tmp_path / "proc" / pid).mkdir(parents=True)
        (tmp_path / "proc" / pid / "stat").write_text(text)
    table = Processes(host(tmp_path))
    assert sql("SELECT pid, ppid FROM processes", table) == []
    assert table.warnings == 2


def test_vanished_process_is_skipped(tmp_path, host, sql):
    """A process that ends after it was listed gives no row."""
    (tmp_path / "proc" / "7").mkdir(parents=True)
    table = Processes(host(tmp_path))
    assert sql("SELECT pid, ppid FROM processes", table) == []
    assert sql("SELECT pid, name FROM processes", table) == []
    assert sql("SELECT pid, ruid FROM processes", table) == []
    assert table.warnings == 0


def test_conforms(host):
    """The table keeps the rules on captured files."""
    check_table(Processes(host("fixtures/processes")))


@pytest.mark.parametrize("statement", Processes.examples)
def test_examples_live(host, sql, statement):
    """Every example of the documentation runs on the running kernel."""
    sql(statement, Processes(host()))


def test_own_process(host, sql):
    """This process is described as it sees itself."""
    columns = "ppid, uid, gid, ruid, rgid, exe, cwd"
    ids = os.geteuid(), os.getegid(), os.getuid(), os.getgid()
    expected = (os.getppid(), *ids, os.path.realpath(sys.executable), str(Path.cwd()))
    rows = sql(f"SELECT {columns} FROM processes WHERE pid = {os.getpid()}", Processes(host()))
    assert rows == [expected]


def test_start_of_a_process(host, sql):
    """The start is the moment of the fork, and does not change."""
    before = time.time_ns()
    with child(lambda: None) as pid:
        after = time.time_ns()
        one, two = (
            sql(f"SELECT startup FROM processes WHERE pid = {pid}", Processes(host()))
            for _ in range(2)
        )
    assert one == two
    assert before - 2 * TICK <= one[0][0] <= after + TICK


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"a) S 1 (b", "a) S 1 (b"), (b"x\ny", "x\ny"), (b"\xff\xfe", "\\xff\\xfe"), (b" ", " ")],
)
def test_odd_names_live(host, sql, name, shown):
    """Names with parentheses, spaces, newlines and other bytes arrive by every way."""
    with child(lambda: set_name(name)) as pid:
        table = Processes(host())
        assert sql(f"SELECT name FROM processes WHERE pid = {pid}", table) == [(shown,)]
        found = sql(f"SELECT name, pid, ppid FROM processes WHERE +pid = {pid}", table)
        assert found == [(shown, pid, os.getpid())]


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user ID")
def test_effective_and_real_ids_live(host, sql):
    """Real and effective IDs are told apart by every way to read them."""

    def change():
        os.setresgid(31, 32, 33)
        os.setresuid(21, 22, 22)

    with child(change) as pid:
        table = Processes(host())
        ids = "uid, gid, ruid, rgid"
        asked = sql(f"SELECT {ids} FROM processes WHERE pid = {pid}", table)
        listed = sql(f"SELECT {ids} FROM processes WHERE +pid = {pid}", table)
        effective = sql(f"SELECT uid, gid FROM processes WHERE +pid = {pid}", table)
        by_user = sql("SELECT pid FROM processes WHERE uid = 22", table)
    assert asked == listed == [(22, 32, 21, 31)]
    assert effective == [(22, 32)]
    assert by_user == [(pid,)]


def test_program_with_an_odd_path(host, sql, tmp_path):
    """The path of a program that is gone and no UTF-8 ends in a note."""
    program = tmp_path / os.fsdecode(b"a (b) \xff")
    shutil.copy("/bin/sleep", program)
    pid = os.posix_spawn(program, [program, "60"], {})
    try:
        program.unlink()
        rows = sql(f"SELECT name, exe, cmdline FROM processes WHERE pid = {pid}", Processes(host()))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    path = f"{tmp_path}/a (b) \\xff"
    assert rows == [("a (b) \\xff", f"{path} (deleted)", f"{path} 60")]


def test_zombie_has_a_row(host, sql):
    """A process that has ended but was not waited for is still listed."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    columns = "name, exe, cmdline, vsize"
    try:
        rows = sql(f"SELECT {columns} FROM processes WHERE pid = {pid}", Processes(host()))
    finally:
        os.waitpid(pid, 0)
    assert rows == [("true", None, None, 0)]


def test_only_needed_files_are_read(sql, monkeypatch):
    """The listing alone serves `pid`, one file each serves `name`."""
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: opened.append(path) or real(path, *rest))
    table = Processes(Host(uses_bpf=False))
    sql("SELECT pid FROM processes", table)
    assert opened == []
    count = len(sql("SELECT pid, name FROM processes", table))
    assert len(opened) >= count
    assert all(path.endswith("/comm") for path in opened)


def test_offered_where_there_is_proc(host, tmp_path):
    """Without /proc there is no table; with it, the table says what serves it."""
    assert zeek_agent_tables(host(tmp_path)) == []
    assert [table.source for table in zeek_agent_tables(host())] == ["/proc"]
