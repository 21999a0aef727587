"""Rows of ``processes`` from the kernel's own structures, the same rows as those of ``/proc``.

A pass of a BPF iterator over all processes takes about a microsecond for each.
What cannot be told in this way is read from ``/proc``: long names of kernel
threads, arguments that a program has changed, control groups (once for all
processes that share them), and processes that the kernel shows there only.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from zeek_agent_core.api import (
    Chunk,
    ColumnRows,
    Host,
    Row,
    Where,
    column_chunk,
    storable,
    text,
)
from zeek_agent_linux import _cgroup, _procfs, _tty
from zeek_agent_linux._boottime import BootTime
from zeek_agent_linux._bpf.choice import Choice
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._processes import CMDLINE_BYTES, ProcSource
from zeek_agent_linux._taskcolumns import MOST_NAMES, Found, Names, TaskColumns
from zeek_agent_linux._tasks import Identity, Tasks, Texts

CHECK_SECONDS = 600.0
"""After which BPF's list of processes is compared with that of ``/proc`` again."""


class BpfSource:
    """Processes as the kernel has them; as ``/proc`` shows them where BPF does not work."""

    def __init__(self, host: Host, warn: Callable[[str], None], proc: ProcSource) -> None:
        """Serve from *proc* whatever BPF cannot serve, or not better."""
        self._proc = proc
        self._warn = warn
        self._choice = Choice("table processes", host, Tasks, warn)
        self._boot = BootTime("/proc")
        self._names = Names(self._long_name)
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
        boot = self._boot() if where.wants("startup") else 0
        found = TaskColumns(where, raw, boot, self._names)
        extra = _Extra(where, paths, arguments)
        if extra.is_wanted:
            return chain(extra.rows(found), self._hidden_rows(where))
        chunks: Iterator[Chunk] = (some.columns for some in found)
        if self._hidden:
            chunks = chain(chunks, self._hidden_columns(where))
        return ColumnRows(chunks)

    def _hidden_rows(self, where: Where) -> Iterator[Row]:
        """Return the processes that only ``/proc`` shows."""
        if not self._hidden:
            return iter(())
        allowed = {**where.allowed, "pid": frozenset(self._hidden)}
        return self._proc.rows(Where(where.columns, where.parameters, allowed))

    def _hidden_columns(self, where: Where) -> Iterator[Chunk]:
        yield column_chunk(self._hidden_rows(where), where.columns | {"pid"})

    def _find_hidden(self, raw: bytes) -> None:
        """Learn which processes only ``/proc`` shows; some kernels keep a few from BPF."""
        before = set(map(int, _procfs.listed("/proc")))
        part = self._choice.part()
        again = part.numbers(threads=False) if part else raw
        seen = set(tasks.NUMBERS.column(again, "pid"))
        after = set(map(int, _procfs.listed("/proc")))
        self._hidden = sorted((before & after) - seen)

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

    def rows(self, found: Iterable[Found]) -> Iterator[Row]:
        """Yield the rows of what was *found*, with those columns."""
        for raw, columns in found:
            fields = tasks.NUMBERS.some(raw, "start", "group", "flags", "tty_major", "tty_minor")
            for row, (start, group, flags, *terminal) in zip(
                ColumnRows([columns]), fields, strict=True
            ):
                if self._add(row, start, group, flags, terminal):
                    yield row

    def _add(
        self, row: dict[str, Any], start: int, group: int, flags: int, terminal: Sequence[int]
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
