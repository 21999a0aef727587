"""The processes of the host through iterators of the kernel."""

import os
from collections.abc import Iterator
from itertools import compress, count
from typing import NamedTuple

from zeek_agent_linux import _procfs
from zeek_agent_linux._boottime import TICK
from zeek_agent_linux._bpf import iterator, syscall
from zeek_agent_linux._bpf.descriptors import Descriptors
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._memo import Memo


class Texts(NamedTuple):
    """Two texts of a process, or one: path and directory, or arguments; None if it has none."""

    first: bytes | None
    second: bytes | None
    is_known: bool
    """Whether `first` could be told."""


Identity = tuple[int, int]
"""Process ID and start in ns since boot."""


class Tasks:
    """The iterators over processes, each loaded when it is first used."""

    def __init__(self, kernel: Kernel) -> None:
        """Load the one that every query needs, and check it; raises `OSError`."""
        self._kernel = kernel
        self._iterators: dict[str, iterator.Iterator] = {}
        self._buffers = Descriptors()
        self._target = kernel.function(tasks.TARGET)
        try:
            check_own(self)
        except OSError:
            self.close()
            raise

    def numbers(self, *, threads: bool) -> bytes:
        """Return records of `tasks.NUMBERS`."""
        name = "threads" if threads else "tasks"
        if name not in self._iterators:
            self._load(name, tasks.numbers(self._kernel, threads=threads))
        return self._iterators[name].read()

    def paths(self) -> dict[Identity, Texts]:
        """Return program and current directory of each process."""
        if "paths" not in self._iterators:
            self._load("paths", tasks.paths(self._kernel, self._buffer()))
        return dict(parse_texts(self._iterators["paths"].read()))

    def arguments(self) -> dict[Identity, Texts]:
        """Return the arguments of each process."""
        if "arguments" not in self._iterators:
            code = tasks.arguments(self._kernel, self._buffer())
            self._load("arguments", code, syscall.SLEEPABLE)
        return dict(parse_texts(self._iterators["arguments"].read()))

    def _buffer(self) -> int:
        """Return a new buffer: passes of different iterators may be made at the same time."""
        return self._buffers.add(syscall.create_map(syscall.ARRAY, 4, tasks.BUFFER_BYTES, 1))

    def _load(self, name: str, code: bytes, flags: int = 0) -> None:
        self._iterators[name] = iterator.Iterator(f"zeek_{name}", code, self._target, flags)
        self._kernel.save()

    def close(self) -> None:
        """Let go of everything in the kernel; twice is fine."""
        for each in self._iterators.values():
            each.close()
        self._iterators.clear()
        self._buffers.close()


def parse_texts(raw: bytes) -> Iterator[tuple[Identity, Texts]]:
    """Yield what records of `tasks.TEXTS` hold; `ValueError` if one is cut."""
    unpack, size, offset = tasks.TEXTS.struct.unpack_from, tasks.TEXTS.size, 0
    while offset < len(raw):
        if offset + size > len(raw):
            raise ValueError("truncated record of a process")
        start, pid, first, second, _ = unpack(raw, offset)
        offset += size
        parts: list[bytes | None] = []
        for length in (first, second):
            if length > 0:
                if offset + length > len(raw):
                    raise ValueError("truncated text of a process")
                parts.append(raw[offset : offset + length])
                offset += length
            else:
                parts.append(b"" if length == 0 else None)
        is_known = first >= 0 or first == tasks.NONE
        yield (pid, start), Texts(parts[0], parts[1], is_known)


def check_own(part: Tasks) -> None:
    """Raise `OSError` unless the agent's own process is what ``/proc`` says it is."""
    pid = os.getpid()
    found = [dict(zip(tasks.NUMBERS.names, fields, strict=True))
             for fields in tasks.NUMBERS.struct.iter_unpack(part.numbers(threads=False))
             if fields[tasks.NUMBERS.names.index("pid")] == pid]  # fmt: skip
    if len(found) != 1:
        raise OSError("self-check failed: the agent's own process is not found")
    name, fields = _procfs.parse_stat(_procfs.read("/proc/self/stat"))
    real, effective, real_group, group = _procfs.parse_ids(_procfs.read("/proc/self/status"))
    own = found[0]
    expected = {
        "ppid": int(fields[_procfs.PPID]), "priority": int(fields[_procfs.PRIORITY]),
        "uid": effective, "gid": group, "ruid": real, "rgid": real_group,
        "name": name.ljust(16, b"\0"),
    }  # fmt: skip
    wrong = [key for key, value in expected.items() if own[key] != value]
    if own["start"] != int(fields[_procfs.STARTTIME]) * TICK:
        wrong.append("startup")
    if not own["vsize"] or not own["rsize"]:
        wrong.append("memory")
    if wrong:
        raise OSError(f"self-check failed: {', '.join(wrong)} differ from /proc")


def times_of_threads(raw: bytes) -> dict[int, tuple[int, int, int]]:
    """Return the CPU times of all threads but the first, by process."""
    more: dict[int, tuple[int, int, int]] = {}
    record = tasks.NUMBERS
    for at in compress(count(), record.column(raw, "is_thread")):  # few processes have any
        fields = record.struct.unpack_from(raw, at * record.size)
        _, *own = fields[:4]
        pid = fields[_PID]
        utime, stime, runtime = more.get(pid, (0, 0, 0))
        more[pid] = utime + own[0], stime + own[1], runtime + own[2]
    return more


_PID = tasks.NUMBERS.names.index("pid")


def adjusted(
    utime: int, stime: int, runtime: int, told_utime: int, told_stime: int
) -> tuple[int, int]:
    """Return CPU times as ``/proc`` tells them, in ns.

    Ticks say how the time divides, the scheduler how much it is; and what was
    told never shrinks (cputime_adjust in kernel/sched/cputime.c).
    """
    if told_utime + told_stime >= runtime:
        return told_utime, told_stime
    if stime == 0:
        system = 0
    elif utime == 0:
        system = runtime
    else:
        system = min(stime * runtime // (stime + utime), runtime)
    system = max(system, told_stime)
    user = runtime - system
    if user < told_utime:
        user = told_utime
        system = runtime - user
    return user, system


PRIORITIES = Memo[int, str](str)
"""Priorities as text; there are not many."""
