"""Processes through psutil, the real one of this host."""

import os
import subprocess

from zeek_agent_core.host import Host
from zeek_agent_core.portable.processes import LONGEST, Processes, command_line
from zeek_agent_core.testing.conformance import check_table


def test_conforms():
    """On the real host the table keeps the rules that all tables keep."""
    check_table(Processes(Host()), stable=["pid"])


def test_own_process(sql):
    """This process has its own facts, by `pid` as without a condition."""
    columns = "name, ppid, rsize > 0, vsize > 0, startup > 0, utime >= 0, exe, cwd"
    table = Processes(Host())
    (narrow,) = sql(f"SELECT {columns} FROM processes WHERE pid = {os.getpid()}", table)
    (wide,) = sql(f"SELECT {columns} FROM processes WHERE +pid = {os.getpid()}", table)
    assert narrow == wide
    assert narrow[1:6] == (os.getppid(), 1, 1, 1, 1)
    assert narrow[7] == os.getcwd()  # noqa: PTH109 - as psutil shows it


def test_no_such_process(sql):
    """Numbers that no process has give no row."""
    table = Processes(Host())
    assert sql("SELECT pid FROM processes WHERE pid IN (-1, 4294967295, 1 << 40, 'x')", table) == []


def test_zombie(sql):
    """A process that is dead but not collected has a row with what is known."""
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        condition = f"WHERE pid = {child.pid}"
        (row,) = sql(f"SELECT name, exe FROM processes {condition}", Processes(Host()))
        assert row == ("true", None)


def test_command_line():
    """Arguments are joined; long ones are cut between characters, none is NULL."""
    assert command_line(["a", "b c"]) == "a b c"
    assert command_line([]) is None
    assert command_line(None) is None
    cut = command_line(["ä" * LONGEST])
    assert len(cut.encode()) == LONGEST
    assert command_line(["\udcff"]) == "\\xff"
