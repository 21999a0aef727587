"""Iterators over processes: numbers, paths and arguments.

Paths need a helper that only programs that never sleep may call, arguments one
that sleeps; so there are three. Sources: include/linux/sched.h,
include/linux/sched/signal.h, include/linux/mm_types.h, kernel/bpf/task_iter.c.
"""

import os

from zeek_agent_linux._bpf.assembler import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
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
from zeek_agent_linux._bpf.record import Record

TARGET = "bpf_iter_task"
META, TASK = Member(0, 8), Member(8, 8)
"""What the kernel gives to an iterator over tasks; the task is 0 after the last one."""
SEQ_FILE = Member(0, 8)
KERNEL_THREAD = 0x200000
EXITING = 0x4
"""PF_KTHREAD and PF_EXITING in the flags of a task."""
COUNTERS = 4
"""NR_MM_COUNTERS, of which these are resident: file pages, anonymous pages, shared memory."""
RESIDENT = (0, 1, 3)

NUMBERS = Record(
    start="Q", utime="Q", stime="Q", runtime="Q", told_utime="Q", told_stime="Q", user="Q",
    system="Q", vsize="Q", rsize="Q", group="Q", pid="I", ppid="I", uid="I", gid="I", ruid="I",
    rgid="I", priority="i", flags="I", tty_major="I", tty_minor="I", is_thread="I",
    is_divided="I", name="16s",
)  # fmt: skip
"""A process: its start, to a tick; its CPU times as ticks saw them and as the scheduler knows
them, without those of other threads that are alive, and those that ``/proc`` told last, all in
ns. Then what follows from them for a process without other threads, to a tick, unless there is
the mark that it takes a division. Memory in bytes. Of a further thread only its process and
times."""
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_SHIFT = os.sysconf("SC_PAGE_SIZE").bit_length() - 1


def numbers(kernel: Kernel, *, threads: bool) -> bytes:
    """Return the program that writes `NUMBERS` for each process, and for each thread if wanted."""
    a = Assembler()
    a.move(R6, R1)
    a.load(R7, R6, TASK)
    a.jump_if(R7, "==", 0, "end")
    a.load(R8, R7, kernel.member("task_struct", "tgid"))
    a.load(R9, R7, kernel.member("task_struct", "pid"))
    if not threads:
        a.jump_if(R8, "!=", R9, "end")
    row = Writer(a, NUMBERS)
    row.clear()
    row.put("pid", R8)
    if threads:
        a.jump_if(R8, "==", R9, "process")
        _times(row, kernel)
        row.put("is_thread", 1)
        a.jump("write")
        a.label("process")
    put_start(a, row, kernel)
    row.copy("name", R7, kernel.member("task_struct", "comm"))
    row.copy("flags", R7, kernel.member("task_struct", "flags"))
    row.copy("group", R7, kernel.member("task_struct", "cgroups"))
    _priority(a, row, kernel)
    a.load(R1, R7, kernel.member("task_struct", "real_parent"))
    row.copy("ppid", R1, kernel.member("task_struct", "tgid"), through=R2)
    _ids(a, row, kernel)
    _signals(a, row, kernel)
    _memory(a, row, kernel)
    a.label("write")
    write(a, row.start, NUMBERS.size)
    a.label("end")
    a.end()
    return a.code()


def start_time(kernel: Kernel) -> Member:
    """Return where a task has its start, in ns since boot (renamed in 5.5)."""
    has_new = kernel.has("task_struct", "start_boottime")
    return kernel.member("task_struct", "start_boottime" if has_new else "real_start_time")


def put_start(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put the start of the task in R7, cut to a tick as in ``/proc``; uses R1 and R2."""
    a.load(R1, R7, start_time(kernel))
    a.move(R2, R1)
    a.math(R2, "%", TICK)
    a.math(R1, "-", R2)
    row.put("start", R1)


TIMES = (
    ("utime", "utime", "utime"),
    ("stime", "stime", "stime"),
    ("runtime", "se.sum_exec_runtime", "sum_sched_runtime"),
)
"""Times in a record, in a task, and in what its threads share of those that have ended."""


def _times(row: Writer, kernel: Kernel) -> None:
    """Put the CPU time of the thread in R7."""
    for field, own, _ in TIMES:
        row.copy(field, R7, kernel.member("task_struct", own))


def _priority(a: Assembler, row: Writer, kernel: Kernel) -> None:
    a.load(R1, R7, kernel.member("task_struct", "prio"))
    a.add(R1, -100)  # MAX_RT_PRIO: what /proc shows begins there
    row.put("priority", R1)


def _ids(a: Assembler, row: Writer, kernel: Kernel) -> None:
    a.load(R1, R7, kernel.member("task_struct", "real_cred"))
    for field, member in (("uid", "euid"), ("gid", "egid"), ("ruid", "uid"), ("rgid", "gid")):
        row.copy(field, R1, kernel.member("cred", member), through=R2)


def _signals(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put CPU times with those of threads that have ended, and the controlling terminal."""
    a.load(R8, R7, kernel.member("task_struct", "signal"))
    for field, own, ended in TIMES:
        a.load(R1, R7, kernel.member("task_struct", own))
        a.load(R2, R8, kernel.member("signal_struct", ended))
        a.add(R1, R2)
        row.put(field, R1)
    if kernel.has("signal_struct", "prev_cputime.utime"):
        row.copy("told_utime", R8, kernel.member("signal_struct", "prev_cputime.utime"))
        row.copy("told_stime", R8, kernel.member("signal_struct", "prev_cputime.stime"))
    _divide(a, row)
    a.load(R1, R8, kernel.member("signal_struct", "tty"))
    a.jump_if(R1, "==", 0, "no terminal")
    a.load(R2, R1, kernel.member("tty_struct", "index"))
    a.load(R3, R1, kernel.member("tty_struct", "driver"))
    row.copy("tty_major", R3, kernel.member("tty_driver", "major"), through=R4)
    a.load(R4, R3, kernel.member("tty_driver", "minor_start"))
    a.add(R2, R4)
    row.put("tty_minor", R2)
    a.label("no terminal")


def _divide(a: Assembler, row: Writer) -> None:
    """Put the times in the program and in the kernel, where there is nothing to work out.

    What ``/proc`` has told never shrinks; without ticks in the kernel all is the program's.
    """
    a.load(R1, R10, row.offset("told_utime"), 8)
    a.load(R2, R10, row.offset("told_stime"), 8)
    a.load(R3, R10, row.offset("runtime"), 8)
    a.move(R4, R1)
    a.add(R4, R2)
    a.jump_if(R4, ">=", R3, "has times")
    a.load(R4, R10, row.offset("stime"), 8)
    a.math(R4, "|", R2)
    a.jump_if(R4, "==", 0, "program's time")
    row.put("is_divided", 1)
    a.jump("has no times")
    a.label("program's time")
    a.move(R1, R3)
    a.label("has times")
    for field, register in (("user", R1), ("system", R2)):
        a.move(R4, register)
        a.math(R4, "%", TICK)
        a.math(register, "-", R4)
        row.put(field, register)
    a.label("has no times")


def _memory(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Memory of the task in R7; kernel threads and zombies have none."""
    a.load(R8, R7, kernel.member("task_struct", "mm"))
    a.jump_if(R8, "==", 0, "write")
    put_memory(a, row, kernel)


def put_memory(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put the bytes of the memory at R8: those that are mapped, and resident; uses R1 and R2."""
    a.load(R1, R8, kernel.member("mm_struct", "total_vm"))
    a.math(R1, "<<", PAGE_SHIFT)
    row.put("vsize", R1)
    a.move(R2, 0)
    for number, place in enumerate(resident(kernel)):
        a.load(R1, R8, place)
        a.jump_if(R1, "s<", 0, f"count {number}")  # a sum that is not complete
        a.add(R2, R1)
        a.label(f"count {number}")
    a.math(R2, "<<", PAGE_SHIFT)
    row.put("rsize", R2)


def resident(kernel: Kernel) -> list[Member]:
    """Return where the counts of resident pages are.

    Up to 6.1 they are an array in a struct, since then an array of counters.
    """
    counters = kernel.member("mm_struct", "rss_stat")
    first = kernel.member("mm_struct", "rss_stat.count")
    step = counters.size // COUNTERS if first.size == 8 else 8  # noqa: PLR2004 - one number
    return [Member(first.offset + step * number, 8) for number in RESIDENT]


def write(a: Assembler, start: int, size: int) -> None:
    """Write the record on the stack to the reader."""
    a.load(R1, R6, META)
    a.load(R1, R1, SEQ_FILE)
    a.stack(R2, start)
    a.move(R3, size)
    a.call(Helper.SEQ_WRITE)


TEXTS = Record(start="Q", pid="I", first="i", second="i", text="4s")
"""Begins a record of text: a process, and the lengths of the one or two texts that follow."""
PATH_BYTES = 4096
ARGUMENT_BYTES = 4096
BUFFER_BYTES = 2 * PATH_BYTES
NONE, UNKNOWN = -1, -2
"""Lengths of text that does not exist, and of text that must be found elsewhere."""


def paths(kernel: Kernel, buffer: int) -> bytes:
    """Return the program that writes `TEXTS`, program and current directory of each process.

    *buffer* is an array of one element of `BUFFER_BYTES`.
    """
    a, row = _texts(kernel, buffer)
    row.put("first", NONE)
    row.put("second", NONE)
    a.load(R1, R7, kernel.member("task_struct", "mm"))
    a.jump_if(R1, "==", 0, "no program")
    a.load(R1, R1, kernel.member("mm_struct", "exe_file"))
    a.jump_if(R1, "==", 0, "no program")
    a.add(R1, kernel.member("file", "f_path").offset)
    _path(a, row, "first", 0)
    a.label("no program")
    a.load(R1, R7, kernel.member("task_struct", "fs"))
    a.jump_if(R1, "==", 0, "write")
    a.add(R1, kernel.member("fs_struct", "pwd").offset)
    _path(a, row, "second", PATH_BYTES)
    a.label("write")
    write(a, row.start, TEXTS.size)
    for field, place in (("first", 0), ("second", PATH_BYTES)):
        _write_text(a, row, field, place)
    a.label("end")
    a.end()
    return a.code()


def _path(a: Assembler, row: Writer, field: str, place: int) -> None:
    """Put the path of the `struct path` at R1 into the buffer at R9."""
    a.move(R2, R9)
    a.add(R2, place)
    a.move(R3, PATH_BYTES)
    a.call(Helper.D_PATH)
    row.put(field, R0)


def arguments(kernel: Kernel, buffer: int) -> bytes:
    """Return the program that writes `TEXTS` and the arguments of each process.

    It must be loaded as one that may sleep. Where the kernel's rules for
    ``/proc/<pid>/cmdline`` are less simple than a copy, the length is `UNKNOWN`.
    """
    a, row = _texts(kernel, buffer)
    row.put("first", NONE)
    a.load(R8, R7, kernel.member("task_struct", "mm"))
    a.jump_if(R8, "==", 0, "write")
    a.load(R3, R8, kernel.member("mm_struct", "arg_start"))
    a.load(R2, R8, kernel.member("mm_struct", "arg_end"))
    a.jump_if(R2, "<=", R3, "write")
    a.math(R2, "-", R3)
    row.put("first", UNKNOWN)
    a.jump_if(R2, ">", ARGUMENT_BYTES, "write")
    a.move(R8, R2)
    a.move(R1, R9)
    a.move(R4, R7)
    a.move(R5, 0)
    a.call(Helper.COPY_FROM_USER_TASK)
    a.jump_if(R0, "!=", 0, "write")
    row.put("first", R8)
    a.label("write")
    write(a, row.start, TEXTS.size)
    _write_text(a, row, "first", 0)
    a.label("end")
    a.end()
    return a.code()


def _texts(kernel: Kernel, buffer: int) -> tuple[Assembler, Writer]:
    """Begin a program: R7 is a process, R9 the buffer, a record of it is on the stack."""
    a = Assembler()
    a.move(R6, R1)
    a.load(R7, R6, TASK)
    a.jump_if(R7, "==", 0, "end")
    a.load(R1, R7, kernel.member("task_struct", "tgid"))
    a.load(R2, R7, kernel.member("task_struct", "pid"))
    a.jump_if(R1, "!=", R2, "end")
    row = Writer(a, TEXTS)
    row.clear()
    row.put("pid", R1)
    put_start(a, row, kernel)
    a.store(R10, row.offset("text"), 0, 4)  # the key: element 0
    a.stack(R2, row.offset("text"))
    a.load_map(R1, buffer)
    a.call(Helper.MAP_LOOKUP)
    a.jump_if(R0, "==", 0, "end")
    a.move(R9, R0)
    return a, row


def _write_text(a: Assembler, row: Writer, field: str, place: int) -> None:
    """Write the text at a place of the buffer, if its length is one."""
    a.load(R3, R10, row.offset(field), 4)
    a.jump_if(R3, ">", PATH_BYTES, f"no {field}")  # negative ones are large numbers
    a.jump_if(R3, "==", 0, f"no {field}")
    a.load(R1, R6, META)
    a.load(R1, R1, SEQ_FILE)
    a.move(R2, R9)
    a.add(R2, place)
    a.call(Helper.SEQ_WRITE)
    a.label(f"no {field}")
