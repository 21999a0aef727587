"""Rows of ``processes`` from the kernel's own structures, the same rows as those of ``/proc``.

A pass of a BPF iterator over all processes takes about a microsecond for each.
What cannot be told in this way is read from ``/proc``: long names of kernel
threads, arguments that a program has changed, control groups (once for all
processes that share them), and processes that the kernel shows there only.
"""

import os
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from zeek_agent_core.api import Host, Row, Where, storable, text
from zeek_agent_linux import _cgroup, _procfs, _tty
from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._bpf.choice import Choice
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._processes import CMDLINE_BYTES, ProcSource
from zeek_agent_linux._tasks import PRIORITIES, Identity, Tasks, Texts, adjusted, times_of_threads

SHORT_NAME = 15
"""A name of so many bytes may be cut."""
CHECK_SECONDS = 600.0
"""After which BPF's list of processes is compared with that of ``/proc`` again."""
MOST_NAMES = 4096
NO_TIMES = (0, 0, 0)


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
        raw = part.numbers(threads=where.wants("utime", "stime"))
        if time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + CHECK_SECONDS
            self._find_hidden(raw)
        extra = _Extra(where, paths, arguments)
        rows = self._found(raw, where, extra if extra.is_wanted else None)
        if not self._hidden:
            return rows
        allowed = {**where.allowed, "pid": frozenset(self._hidden)}
        return chain(rows, self._proc.rows(Where(where.columns, where.parameters, allowed)))

    def _find_hidden(self, raw: bytes) -> None:
        """Learn which processes only ``/proc`` shows; some kernels keep a few from BPF."""
        before = set(map(int, _procfs.listed("/proc")))
        part = self._choice.part()
        again = part.numbers(threads=False) if part else raw
        seen = set(tasks.NUMBERS.column(again, "pid"))
        after = set(map(int, _procfs.listed("/proc")))
        self._hidden = sorted((before & after) - seen)

    def _found(self, raw: bytes, where: Where, extra: "_Extra | None") -> Iterator[Row]:
        """Yield the rows of the processes in *raw*."""
        boot = self._boot() if where.wants("startup") else 0
        more = times_of_threads(raw) if where.wants("utime", "stime") else {}
        names, uids = where.values("name"), where.values("uid")
        name_of, known = self._name, self._names
        for (
            start, utime, stime, runtime, told_utime, told_stime, vsize, rsize, group, pid, ppid,
            uid, gid, ruid, rgid, priority, flags, major, minor, is_thread, _, raw_name,
        ) in tasks.NUMBERS.struct.iter_unpack(raw):  # fmt: skip
            if is_thread or (uids is not None and uid not in uids):
                continue
            name = known.get(raw_name) or name_of(raw_name, pid, start, flags)
            if names is not None and name not in names:
                continue
            if told_utime + told_stime >= runtime and pid not in more:
                user, system = told_utime, told_stime
            elif stime or told_utime or told_stime or pid in more:
                others = more.get(pid, NO_TIMES)
                user, system = adjusted(
                    utime + others[0], stime + others[1], runtime + others[2],
                    told_utime, told_stime,
                )  # fmt: skip
            else:
                user, system = runtime, 0
            row = {
                "name": name,
                "pid": pid,
                "ppid": ppid,
                "uid": uid,
                "gid": gid,
                "ruid": ruid,
                "rgid": rgid,
                "priority": PRIORITIES[priority],
                "startup": boot + start,
                "vsize": vsize,
                "rsize": rsize,
                "utime": user - user % TICK,
                "stime": system - system % TICK,
            }
            if extra is None or extra.add(row, start, group, flags, (major, minor)):
                yield row

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

    def add(
        self, row: dict[str, Any], start: int, group: int, flags: int, terminal: tuple[int, int]
    ) -> bool:
        """Add columns to the row of a process; False if it has ended meanwhile."""
        pid = row["pid"]
        if self._paths is not None:
            texts = self._paths.get((pid, start))
            if texts is None:
                return False
            self._add_paths(row, texts)
        try:
            if self._arguments is not None:
                row["cmdline"] = self._cmdline(pid, start)
            if self._has_group:
                row["cgroup"], row["container"] = self._group(pid, group, flags)
        except PermissionError:
            pass  # it must not be looked into
        except (FileNotFoundError, ProcessLookupError):
            return False
        if self._has_tty and terminal[0]:
            row["tty"] = _tty.terminal(_encoded(*terminal), self._terminals())
        return True

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
