"""Facts of processes from a directory laid out as ``/proc``, and from the real one."""

import subprocess

import pytest
from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._procfacts import COLUMNS, Facts
from zeek_agent_linux._proctree import Process, ProcessTree

STAT = "%d (%s) %s 7 1 1 0 -1 4194304 1 0 0 0 12 34 0 0 20 0 1 0 %d 8192 5 0 1 1 99\n"


@pytest.fixture
def proc(tmp_path):
    """Return a function that lays out a process, and the directory."""
    (tmp_path / "stat").write_text("cpu 1\nbtime 1700000000\n")

    def lay(pid, name="true", state="R", start=500, **files):
        directory = tmp_path / str(pid)
        directory.mkdir()
        (directory / "stat").write_text(STAT % (pid, name, state, start))
        (directory / "status").write_text(
            "Name:\tx\nTgid:\t1\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"
        )
        for key, value in files.items():
            if key in {"exe", "cwd"}:
                (directory / key).symlink_to(value)
            else:
                (directory / key).write_bytes(value)
        return directory

    lay.root = str(tmp_path)
    return lay


def facts(proc, columns=COLUMNS) -> Facts:
    """Return what reads *columns*."""
    return Facts(proc.root, BootTime(proc.root), columns)


WHOLE = {
    "exe": "/usr/bin/true",
    "cwd": "/tmp",
    "cmdline": b"true\0a b\0",
    "cgroup": b"0::/system.slice/docker-" + b"a" * 64 + b".scope\n",
    "loginuid": b"1000",
}


def test_whole_process(proc):
    """A process that is there gives all that is asked for."""
    proc(10, **WHOLE)
    process = Process(10, started=500 * TICK)
    extra = facts(proc).read(process)
    assert (process.name, process.exe) == ("/usr/bin/true", "/usr/bin/true")
    assert (process.cmdline, process.cwd, process.auid) == ("true a b", "/tmp", 1000)
    assert process.container == "a" * 64
    assert (extra["vsize"], extra["utime"], extra["priority"]) == (8192, 12 * TICK, "20")
    assert "short" not in extra


def test_script(proc):
    """A script is known by its own name, not by that of what runs it."""
    proc(10, name="script.sh", **WHOLE)
    process = Process(10)
    facts(proc).read(process)
    assert (process.name, process.exe) == ("script.sh", "/usr/bin/true")


def test_no_more_than_wanted(proc):
    """Files that no column needs are not opened: they are not even there."""
    proc(10, cmdline=b"x\0")
    process = Process(10, uid=0, gid=0)
    facts(proc, {"cmdline"}).read(process)
    assert process.cmdline == "x"
    assert not facts(proc, {"pid", "uid", "startup"}).are_wanted


def test_zombie(proc):
    """Of a zombie nothing is left but numbers, which are not what it had."""
    proc(10, state="Z", cmdline=b"")
    process = Process(10)
    extra = facts(proc).read(process)
    assert (process.cmdline, process.exe, process.cwd) == (None, None, None)
    assert extra.keys() == {"startup"}


def test_gone(proc):
    """Of a process that has ended nothing is known."""
    process = Process(10)
    assert facts(proc).read(process) == {}
    assert process == Process(10)


def test_another_process_of_that_id(proc):
    """What is read of a process that started later is not taken for the one that was meant."""
    proc(10, start=900, **WHOLE)
    process = Process(10, started=500 * TICK)
    assert facts(proc).read(process) == {}
    assert process.cmdline is None


def test_another_program(proc):
    """What is read after the process has executed yet another program is not taken."""
    proc(10, name="second", **WHOLE)
    process = Process(10)
    assert facts(proc).read(process, b"first") == {}
    assert (process.cmdline, process.name) == (None, None)


def test_inherited(proc):
    """What could not be read is the parent's: the directory for a guess, login and container."""
    proc(7, **WHOLE)
    process = Process(10, ppid=7)
    assert facts(proc).inherit(process, ProcessTree())
    assert (process.cwd, process.auid, process.container) == ("/tmp", 1000, "a" * 64)
    known = Process(11, ppid=7, cwd="/srv", auid=5)
    assert not facts(proc).inherit(known, ProcessTree())
    assert (known.cwd, known.auid) == ("/srv", 5)


def test_control_group_is_not_inherited_outside_of_containers(proc):
    """A process that was too short may have been put into another group by its parent."""
    proc(7, **WHOLE | {"cgroup": b"0::/init.scope\n"})
    process = Process(10, ppid=7)
    facts(proc).inherit(process, ProcessTree())
    assert process.cgroup is None


def test_no_parent(proc):
    """A parent that is gone as well has nothing to give."""
    process = Process(10, ppid=7)
    assert not facts(proc).inherit(process, ProcessTree())
    assert (process.cwd, process.auid) == (None, None)


def test_ids_of_the_real_kernel():
    """IDs are read if no event has told them: all four, or the effective ones alone."""
    with subprocess.Popen(["sleep", "30"], user=1234, group=4321) as child:
        for columns in ({"cmdline"}, {"cmdline", "ruid"}):
            process = Process(child.pid)
            Facts("/proc", BootTime("/proc"), columns).read(process)
            assert (process.uid, process.gid) == (1234, 4321)
            assert process.ruid == (1234 if "ruid" in columns else None)
        child.kill()
