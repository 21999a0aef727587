"""Programs at the tracepoints of the scheduler: processes that fork, execute and end.

Sources: include/trace/events/sched.h, fs/exec.c, kernel/exit.c, fs/d_path.c.
All of them run in the process they tell of, or in its parent.
"""

from zeek_agent_linux._bpf import syscall
from zeek_agent_linux._bpf.assembler import (
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    R8,
    R9,
    R10,
    Assembler,
    Helper,
    Writer,
)  # fmt: skip
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs.parts import MASK, ROOM, Path, describe, hand_over
from zeek_agent_linux._bpf.record import Record
from zeek_agent_linux._bpf.session import Maps, MapSpec, Program

FORK, EXEC, EXIT = 1, 2, 3
EXE_DELETED, CWD_DELETED, EXE_CUT, CWD_CUT, ARGUMENTS_CUT, ARGUMENTS_MISSING = 1, 2, 4, 8, 16, 32

EVENT = Record(
    time="Q", start="Q", group="Q", cgroup="Q", groups="Q", utime="Q", stime="Q", runtime="Q",
    vsize="Q", files="q", anonymous="q", shared="q", kind="I", pid="I", ppid="I", uid="I",
    gid="I", ruid="I", rgid="I", auid="I", priority="i", status="I", flags="I", path="I",
    exe="I", cwd="I", arguments="I", unused="I", name="16s",
)  # fmt: skip
"""A process and what happened to it: times in ns, since boot; memory in pages. For `EXEC` the
texts follow whose lengths it has: path as executed, program and directory (names from the last
to the first), arguments."""
ARGUMENT_BYTES = 8191
BUFFER_BYTES = MASK + 1 + ARGUMENT_BYTES + 1
GROUP_EXIT = 0x4
"""SIGNAL_GROUP_EXIT in include/linux/sched/signal.h."""

MAPS = {"buffer": MapSpec(syscall.PERCPU_ARRAY, 4, BUFFER_BYTES, 1)}
FIRST, SECOND, THIRD = Member(0, 8), Member(8, 8), Member(16, 8)
"""The arguments of a tracepoint."""


def fork(kernel: Kernel, maps: Maps) -> bytes:
    """Tell of a new process: reads the child, after the parent its second argument."""
    a = Assembler()
    a.load(R7, R1, SECOND)
    a.load(R1, R7, kernel.member("task_struct", "tgid"))
    a.load(R2, R7, kernel.member("task_struct", "pid"))
    a.jump_if(R1, "!=", R2, "end")  # a thread
    row = Writer(a, EVENT)
    row.clear()
    row.put("kind", FORK)
    describe(a, row, kernel)
    hand_over(a, maps, R10, row.start, EVENT.size)
    return a.code()


def exit_(kernel: Kernel, maps: Maps) -> bytes:
    """Tell of a process whose last thread ends: reads that thread, and what it shares.

    Kernels from 6.16 on say whether it is the last one; before, the number of
    threads that are left does, which two that end together may both see as 0.
    """
    a = Assembler()
    a.load(R7, R1, FIRST)
    a.load(R8, R7, kernel.member("task_struct", "signal"))
    if kernel.arguments("sched_process_exit") > 1:
        a.load(R2, R1, SECOND)
        a.math(R2, "&", 0xFF)
        a.jump_if(R2, "==", 0, "end")
    else:
        a.load(R2, R8, kernel.member("signal_struct", "live.counter"))
        a.jump_if(R2, "!=", 0, "end")
    row = Writer(a, EVENT)
    row.clear()
    row.put("kind", EXIT)
    a.load(R2, R8, kernel.member("signal_struct", "flags"))
    a.load(R1, R8, kernel.member("signal_struct", "group_exit_code"))
    a.jump_if(R2, "&", GROUP_EXIT, "has status")
    a.load(R1, R7, kernel.member("task_struct", "group_leader"))
    a.load(R1, R1, kernel.member("task_struct", "exit_code"))
    a.label("has status")
    row.put("status", R1)
    describe(a, row, kernel)
    hand_over(a, maps, R10, row.start, EVENT.size)
    return a.code()


def execute(kernel: Kernel, maps: Maps) -> bytes:
    """Tell of a program that has just been loaded: reads the task, and `linux_binprm`.

    R6 is the position in the buffer, R7 the task, R9 the buffer; the path as it
    was executed comes first, since `linux_binprm` is at hand.
    """
    a = Assembler()
    row = Writer(a, EVENT)
    flags = row.offset("flags")
    a.load(R7, R1, FIRST)
    a.load(R8, R1, THIRD)
    row.clear()
    row.put("kind", EXEC)
    a.stack(R2, row.offset("unused"))  # a zero: the element of the buffer
    a.load_map(R1, maps.extra["buffer"])
    a.call(Helper.MAP_LOOKUP)
    a.jump_if(R0, "==", 0, "lost")
    a.move(R9, R0)
    _filename(a, row, kernel)
    describe(a, row, kernel)
    path = Path(a, kernel, row.start, R9, R6)
    start = path.end - 8
    a.store(R10, start, R6)
    a.load(R1, R7, kernel.member("task_struct", "mm"))
    a.load(R1, R1, kernel.member("mm_struct", "exe_file"))
    a.jump_if(R1, "==", 0, "exe done")
    a.load(R2, R1, kernel.member("file", "f_path.mnt"))
    a.load(R3, R1, kernel.member("file", "f_path.dentry"))
    path.write("exe", R2, R3, deleted=EXE_DELETED, cut=EXE_CUT, flags=flags)
    _length(a, row, "exe", start)
    a.load(R1, R7, kernel.member("task_struct", "fs"))
    a.jump_if(R1, "==", 0, "cwd done")
    a.load(R2, R1, kernel.member("fs_struct", "pwd.mnt"))
    a.load(R3, R1, kernel.member("fs_struct", "pwd.dentry"))
    path.write("cwd", R2, R3, deleted=CWD_DELETED, cut=CWD_CUT, flags=flags)
    _length(a, row, "cwd", start)
    _arguments(a, row, kernel, flags)
    for offset in range(0, EVENT.size, 8):  # the record goes before the texts
        a.load(R1, R10, row.start + offset, 8)
        a.store(R9, offset, R1)
    hand_over(a, maps, R9, 0, R6)
    return a.code()


def _filename(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Copy what was given to execve(2); for a script, its own path."""
    a.load(R3, R8, kernel.member("linux_binprm", "filename"))
    a.move(R1, R9)
    a.add(R1, EVENT.size)
    a.move(R2, ROOM)
    a.call(Helper.PROBE_READ_KERNEL_STR)
    a.jump_if(R0, "s>=", 0, "has filename")
    a.move(R0, 0)
    a.label("has filename")
    a.math(R0, "&", 2 * ROOM - 1)
    row.put("path", R0)
    a.move(R6, R0)
    a.add(R6, EVENT.size)
    a.math(R6, "&", MASK)


def _length(a: Assembler, row: Writer, field: str, start: int) -> None:
    """Note how far the position has moved since *start*, and where it is now."""
    a.load(R1, R10, start, 8)
    a.move(R2, R6)
    a.math(R2, "-", R1)
    row.put(field, R2)
    a.store(R10, start, R6)


def _arguments(a: Assembler, row: Writer, kernel: Kernel, flags: int) -> None:
    """Copy the arguments from the new program's memory, where they have just been written."""
    a.load(R1, R7, kernel.member("task_struct", "mm"))
    a.load(R3, R1, kernel.member("mm_struct", "arg_start"))
    a.load(R8, R1, kernel.member("mm_struct", "arg_end"))
    a.math(R8, "-", R3)
    a.jump_if(R8, "<=", ARGUMENT_BYTES, "all arguments")
    a.load(R1, R10, flags, 4)
    a.math(R1, "|", ARGUMENTS_CUT)
    a.store(R10, flags, R1, 4)
    a.move(R8, ARGUMENT_BYTES)
    a.label("all arguments")
    a.move(R1, R9)
    a.add(R1, R6)
    a.move(R2, R8)
    a.call(Helper.PROBE_READ_USER)
    a.jump_if(R0, "==", 0, "has arguments")
    a.load(R1, R10, flags, 4)
    a.math(R1, "|", ARGUMENTS_MISSING)
    a.store(R10, flags, R1, 4)
    a.move(R8, 0)
    a.label("has arguments")
    row.put("arguments", R8)
    a.add(R6, R8)


STARTS = [Program("sched_process_exec", execute)]
ENDS = [Program("sched_process_fork", fork), Program("sched_process_exit", exit_)]
"""What is attached once more is wanted than the programs that are executed."""
