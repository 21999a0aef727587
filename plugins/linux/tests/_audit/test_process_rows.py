"""Rows of ``process_events`` from events, with the values that the kernel gives."""

import pytest
from zeek_agent_linux._audit.process_rows import process_row
from zeek_agent_linux._audit.records import CWD, EXECVE, PATH, PROCTITLE

EXEC = "syscall=59 success=yes exit=0 a0=7f12 a1=7f34 items=2 ppid=500 pid=501"
FILE = 'item=0 name="/bin/echo" inode=260249 dev=fe:00 mode=0100755 ouid=0 ogid=0 nametype=NORMAL'
LOADER = 'item=1 name="/lib64/ld-linux-x86-64.so.2" inode=9 mode=0100755 ouid=1 ogid=1'


def unasked(pid, task):
    """Fail: no process may be looked at."""
    raise AssertionError(f"{pid} {task}")


def test_a_program_is_told_in_full(event):
    """Who executed what, with which arguments, where; a login that never was is NULL."""
    row = process_row(
        event(
            EXEC,
            (EXECVE, 'argc=3 a0="/bin/echo" a1=612062 a2="plain"'),
            (CWD, 'cwd="/home/u"'),
            (PATH, FILE),
            (PATH, LOADER),
            (PROCTITLE, "proctitle=78"),
        ),
        unasked,
    )
    assert row == {
        "syscall": "execve", "pid": 501, "ppid": 500, "auid": None, "uid": 1001, "euid": 1001,
        "gid": 1001, "egid": 1001, "exe": "/usr/bin/x", "exit": 0,
        "cmdline": '"/bin/echo" "a b" "plain"', "path": "/bin/echo", "mode": 33261,
        "inode": 260249, "ouid": 0, "ogid": 0, "cwd": "/home/u", "time": 1_700_000_000_123_000,
        "args": ["/bin/echo", "a b", "plain"], "comm": "x", "tty": None, "ses": None,
        "key": "zeek-agent", "success": True, "arch": "x86_64", "serial": 77,
    }  # fmt: skip


def test_a_call_that_failed_gives_no_row(event):
    """A program that is not there was not executed."""
    failed = "syscall=59 success=no exit=-2 items=1"
    missing = 'item=0 name="/nonexistent" nametype=UNKNOWN'
    assert process_row(event(failed, (CWD, 'cwd="/"'), (PATH, missing)), unasked) is None


@pytest.mark.parametrize("name", ["fork", "vfork", "clone"])
def test_a_new_process_is_told(event, name):
    """The caller is `pid`, what it made `child_pid`; there is no program, so no file."""
    number = {"fork": 57, "vfork": 58, "clone": 56}[name]
    call = f"syscall={number} success=yes exit=22520 a0=1200011 ppid=400 pid=500"
    row = process_row(event(call, (PROCTITLE, "proctitle=7368002D63")), unasked)
    assert (row["syscall"], row["pid"], row["exit"], row["child_pid"]) == (name, 500, 22520, 22520)
    assert (row["cmdline"], row.get("args"), row.get("path")) == ('"sh" "-c"', None, None)
    assert process_row(event(call), unasked).get("cmdline") is None


def test_a_thread_is_no_process(event):
    """A call to clone with the flag for threads gives no row."""
    assert process_row(event("syscall=56 success=yes exit=7 a0=3d0f00"), unasked) is None


@pytest.mark.parametrize(("answer", "child"), [(True, "none"), (False, 7), (None, None)])
def test_what_clone3_made_is_looked_at(event, answer, child):
    """Its flags are not recorded; a child that is gone may have been a thread."""
    row = process_row(event("syscall=435 success=yes exit=7 a0=7f00"), lambda *_: answer)
    assert ("none" if row is None else row["child_pid"]) == child


def test_numbers_belong_to_an_architecture(event):
    """The same number is another call in a 32-bit program."""
    own = event("arch=40000003 syscall=11 success=yes exit=0", (EXECVE, 'argc=1 a0="a"'))
    other = event("arch=40000003 syscall=59 success=yes exit=0")
    row = process_row(own, unasked)
    assert (row["syscall"], row["arch"], row["args"]) == ("execve", "i386", ["a"])
    assert process_row(other, unasked) is None


def test_what_is_lost_is_null(event):
    """A record that did not arrive costs its own columns, not the row."""
    row = process_row(event("syscall=59 success=yes exit=0", (PROCTITLE, "proctitle=61")), unasked)
    assert (row["cmdline"], row.get("path"), row.get("cwd")) == ('"a"', None, None)
