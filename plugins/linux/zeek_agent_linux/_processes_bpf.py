"""Rows of ``processes`` from the kernel's own structures, the same rows as those of ``/proc``.

A pass of a BPF iterator over all processes takes about a microsecond for each.
What cannot be told in this way is read from ``/proc``: long names of kernel
threads, arguments that a program has changed, control groups (once for all
processes that share them), and processes that the kernel shows there only.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from zeek_agent_core.api import Host, Row, Where, storable, text
from zeek_agent_linux import _cgroup, _procfs, _tty
from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._bpf import iterator, syscall
from zeek_agent_linux._bpf.choice import Choice
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._processes import CMDLINE_BYTES, PAGE, ProcSource

SHORT_NAME = 15
"""A name of so many bytes may be cut."""
CHECK_SECONDS = 600.0
"""After which BPF's list of processes is compared with that of ``/proc`` again."""
MOST_NAMES = 4096


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
        self._buffer = -1
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
            self._load("paths", tasks.paths(self._kernel, self._text_buffer()))
        return dict(parse_texts(self._iterators["paths"].read()))

    def arguments(self) -> dict[Identity, Texts]:
        """Return the arguments of each process."""
        if "arguments" not in self._iterators:
            code = tasks.arguments(self._kernel, self._text_buffer())
            self._load("arguments", code, syscall.SLEEPABLE)
        return dict(parse_texts(self._iterators["arguments"].read()))

    def _text_buffer(self) -> int:
        if self._buffer < 0:
            self._buffer = syscall.create_map(syscall.ARRAY, 4, tasks.BUFFER_BYTES, 1)
        return self._buffer

    def _load(self, name: str, code: bytes, flags: int = 0) -> None:
        self._iterators[name] = iterator.Iterator(f"zeek_{name}", code, self._target, flags)
        self._kernel.save()

    def close(self) -> None:
        """Let go of everything in the kernel; twice is fine."""
        for each in self._iterators.values():
            each.close()
        self._iterators.clear()
        if self._buffer >= 0:
            os.close(self._buffer)
            self._buffer = -1


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
    if own["start"] // TICK != int(fields[_procfs.STARTTIME]):
        wrong.append("startup")
    if not own["vsize"] or not own["files"] + own["anonymous"]:
        wrong.append("memory")
    if wrong:
        raise OSError(f"self-check failed: {', '.join(wrong)} differ from /proc")


class BpfSource:
    """Processes as the kernel has them; as ``/proc`` shows them where BPF does not work."""

    def __init__(self, host: Host, warn: Callable[[str], None], proc: ProcSource) -> None:
        """Serve from *proc* whatever BPF cannot serve, or not better."""
        self._proc = proc
        self._warn = warn
        self._choice = Choice("table processes", host, Tasks, warn)
        self._boot = BootTime("/proc")
        self._names: dict[bytes, str] = {}
        self._long: dict[Identity, str] = {}
        self._hidden: list[int] = []
        self._check_at = 0.0

    @property
    def name(self) -> str:
        """What serves the rows right now."""
        return "BPF" if self._choice.is_at_work else self._proc.name

    def close(self) -> None:
        """Let go of everything in the kernel; the next query loads it anew."""
        self._choice.close()

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the processes that *where* wants."""
        if where.values("pid") is not None or where.columns <= {"pid"}:
            return self._proc.rows(where)
        part = self._choice.part()
        if part is None:
            return self._proc.rows(where)
        try:
            return self._through(part, where)
        except OSError as error:
            self._choice.failed(error)
            return self._proc.rows(where)

    def _through(self, part: Tasks, where: Where) -> Iterator[Row]:
        """Make the passes that *where* needs, now; return the rows, made as they are taken."""
        paths = part.paths() if where.wants("exe", "cwd") else None
        arguments = part.arguments() if where.wants("cmdline") else None
        has_times = where.wants("utime", "stime")
        raw = part.numbers(threads=has_times)
        more = _threads(raw) if has_times else {}
        found = self._found(raw, where, more)
        if time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + CHECK_SECONDS
            self._find_hidden(raw)
        extra = _Extra(where, paths, arguments)
        return self._all(extra.of(found) if extra.is_wanted else (row for row, *_ in found), where)

    def _all(self, rows: Iterator[Row], where: Where) -> Iterator[Row]:
        yield from rows
        if self._hidden:
            pids = frozenset(self._hidden)
            allowed = {**where.allowed, "pid": pids}
            yield from self._proc.rows(Where(where.columns, where.parameters, allowed))

    def _find_hidden(self, raw: bytes) -> None:
        """Learn which processes only ``/proc`` shows; some kernels keep a few from BPF."""
        before = set(map(int, _procfs.listed("/proc")))
        part = self._choice.part()
        again = part.numbers(threads=False) if part else raw
        seen = set(tasks.NUMBERS.column(again, "pid"))
        after = set(map(int, _procfs.listed("/proc")))
        self._hidden = sorted((before & after) - seen)

    def _found(
        self, raw: bytes, where: Where, more: dict[int, tuple[int, int, int]]
    ) -> Iterator[tuple[dict[str, Any], int, int, int, int, int, int]]:
        """Yield of each process the original columns, and what finds the others."""
        boot = self._boot() if where.wants("startup") else 0
        names, uids = where.values("name"), where.values("uid")
        name_of, known = self._name, self._names
        for (
            start, utime, stime, runtime, dead_utime, dead_stime, dead_runtime, told_utime,
            told_stime, vsize, files, anonymous, shared, group, pid, ppid, uid, gid, ruid, rgid,
            priority, flags, _, major, minor, is_thread, raw_name,
        ) in tasks.NUMBERS.struct.iter_unpack(raw):  # fmt: skip
            if is_thread or (uids is not None and uid not in uids):
                continue
            name = known.get(raw_name) or name_of(raw_name, pid, start, flags)
            if names is not None and name not in names:
                continue
            if pid in more:
                of_threads = more[pid]
                utime += of_threads[0]
                stime += of_threads[1]
                runtime += of_threads[2]
            user, system = adjusted(
                utime + dead_utime, stime + dead_stime, runtime + dead_runtime,
                told_utime, told_stime,
            )  # fmt: skip
            yield (
                {
                    "name": name,
                    "pid": pid,
                    "ppid": ppid,
                    "uid": uid,
                    "gid": gid,
                    "ruid": ruid,
                    "rgid": rgid,
                    "priority": str(priority),
                    "startup": boot + start // TICK * TICK,
                    "vsize": vsize * PAGE,
                    "rsize": (max(files, 0) + max(anonymous, 0) + max(shared, 0)) * PAGE,
                    "utime": user // TICK * TICK,
                    "stime": system // TICK * TICK,
                },
                pid, start, group, flags, major, minor,
            )  # fmt: skip

    def _name(self, raw: bytes, pid: int, start: int, flags: int) -> str:
        """Return the name of a process as ``/proc`` has it."""
        short = raw.partition(b"\0")[0]
        if flags & tasks.KERNEL_THREAD and len(short) == SHORT_NAME:
            return self._long_name(short, pid, start)
        if len(self._names) >= MOST_NAMES:
            self._names.clear()
        name = _procfs.name(short)
        if not flags & tasks.KERNEL_THREAD:
            self._names[raw] = name
        return name

    def _long_name(self, short: bytes, pid: int, start: int) -> str:
        """Return the name of a kernel thread; ``/proc`` alone has it in full."""
        known = self._long.get((pid, start))
        if known is None:
            try:
                known = _procfs.name(_procfs.read(f"/proc/{pid}/comm")[:-1])
            except OSError:
                return _procfs.name(short)
            if len(self._long) >= MOST_NAMES:
                self._long.clear()
            self._long[pid, start] = known
        return known


def _threads(raw: bytes) -> dict[int, tuple[int, int, int]]:
    """Return the CPU times of all threads but the first, by process."""
    more: dict[int, tuple[int, int, int]] = {}
    names = tasks.NUMBERS.names
    pid_at, flag_at = names.index("pid"), names.index("is_thread")
    for fields in tasks.NUMBERS.struct.iter_unpack(raw):
        if fields[flag_at]:
            utime, stime, runtime = more.get(fields[pid_at], (0, 0, 0))
            more[fields[pid_at]] = utime + fields[1], stime + fields[2], runtime + fields[3]
    return more


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


class _Extra:
    """Adds the columns that cost more."""

    def __init__(
        self,
        where: Where,
        paths: dict[Identity, Texts] | None,
        arguments: dict[Identity, Texts] | None,
    ) -> None:
        self._paths = paths
        self._arguments = arguments
        self._has_group = where.wants("cgroup", "container")
        self._has_tty = where.wants("tty")
        self._drivers: list[_tty.Driver] | None = None
        self._groups: dict[tuple[int, int], tuple[str | None, str | None]] = {}
        self.is_wanted = (
            paths is not None or arguments is not None or self._has_group or self._has_tty
        )

    def of(
        self, found: Iterator[tuple[dict[str, Any], int, int, int, int, int, int]]
    ) -> Iterator[Row]:
        """Yield the rows; a process that ended meanwhile gives none."""
        for row, pid, start, group, flags, major, minor in found:
            if self._paths is not None:
                texts = self._paths.get((pid, start))
                if texts is None:
                    continue
                self._add_paths(row, texts)
            try:
                if self._arguments is not None:
                    row["cmdline"] = self._cmdline(pid, start)
                if self._has_group:
                    row["cgroup"], row["container"] = self._group(pid, group, flags)
            except PermissionError:
                pass  # it must not be looked into
            except (FileNotFoundError, ProcessLookupError):
                continue
            if self._has_tty and major:
                row["tty"] = _tty.terminal(_encoded(major, minor), self._terminals())
            yield row

    @staticmethod
    def _add_paths(row: dict[str, Any], texts: Texts) -> None:
        if texts.first:
            row["exe"] = storable(os.fsdecode(texts.first[:-1]))
        if texts.second:
            row["cwd"] = storable(os.fsdecode(texts.second[:-1]))

    def _cmdline(self, pid: int, start: int) -> str | None:
        texts = (self._arguments or {}).get((pid, start))
        if texts is None:
            raise ProcessLookupError
        raw = texts.first
        if not texts.is_known or (raw and raw[-1]):
            # Too long, not in memory, or overwritten by the program itself.
            raw = _procfs.read_up_to(f"/proc/{pid}/cmdline", CMDLINE_BYTES)
        line = _procfs.parse_cmdline(raw or b"")
        return None if line is None else text(line)

    def _group(self, pid: int, group: int, flags: int) -> tuple[str | None, str | None]:
        """Return control group and container, read once for all processes of one set."""
        key = group, flags & tasks.EXITING
        if key not in self._groups:
            raw = _procfs.read_up_to(f"/proc/{pid}/cgroup", 65536)
            self._groups[key] = _cgroup.parse_cgroup(text(raw))
        return self._groups[key]

    def _terminals(self) -> list[_tty.Driver]:
        if self._drivers is None:
            try:
                raw = _procfs.read_up_to("/proc/tty/drivers", 65536)
                self._drivers = _tty.parse_drivers(text(raw))
            except OSError:
                self._drivers = []
        return self._drivers


def _encoded(major: int, minor: int) -> int:
    """Return a device in the form of ``stat`` (new_encode_dev in include/linux/kdev_t.h)."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
