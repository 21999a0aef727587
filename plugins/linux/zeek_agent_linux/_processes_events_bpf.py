"""``processes_events`` from programs at the scheduler's tracepoints.

Everything is collected in the kernel at the moment it happens, so a process
that lives for a millisecond is told of as completely as any other.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from zeek_agent_core.api import Row, Source, Sourced, Where, storable, text
from zeek_agent_linux import _processes_bpf, _procfs, _procseed
from zeek_agent_linux._boottime import TICK, BootTime
from zeek_agent_linux._bpf.choice import explained
from zeek_agent_linux._bpf.kernel import Kernel, kernel_of
from zeek_agent_linux._bpf.opening import finished, opened
from zeek_agent_linux._bpf.programs import process_events as programs
from zeek_agent_linux._bpf.programs import tasks
from zeek_agent_linux._bpf.ring import Records
from zeek_agent_linux._bpf.session import Session
from zeek_agent_linux._cgroupids import NONE, GroupSets
from zeek_agent_linux._kernelclock import KernelClock
from zeek_agent_linux._memo import Memo
from zeek_agent_linux._processes import ProcSource
from zeek_agent_linux._procrows import EventRow, ProcessRows, set_status
from zeek_agent_linux._readable import Readable
from zeek_agent_linux._tasks import PRIORITIES, Tasks, adjusted

UNSET = 0xFFFFFFFF
"""The login's user ID of a process that belongs to no login."""
CHECK_STATUS = 127 << 8
"""How a child ends that could not execute its program."""
MOST_TEXTS, MOST_BYTES = 8192, 1024
"""Texts that are remembered, and how long the record of some may be for that."""
SEEDED = frozenset({"pid", "startup", "name", "exe", "cmdline", "cwd"})


Fields = tuple[Any, ...]
KIND, START, PID, PPID, STATUS, FLAGS, PATH, NAME = (
    programs.EVENT.names.index(name)
    for name in ("kind", "start", "pid", "ppid", "status", "flags", "path", "name")
)
FLAGS_OFFSET = programs.EVENT.places["flags"][0]
"""With the flags begins what is the same whenever the same is executed."""


class Texts(NamedTuple):
    """What a process executes, or what it has from the process that made it."""

    name: str | None
    exe: str | None
    cmdline: str | None
    cwd: str | None


Program = tuple[int, Texts, bool]
"""When a process started, in ns since boot; what it executes; whether it was not made with it.

A process that executes nothing of its own may be in another directory than its parent.
"""


class BpfSource(Source):
    """Every process, however short it lives, with all that it is asked for."""

    name = "BPF"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._clock = KernelClock(BootTime("/proc"))
        self._rows = ProcessRows(table)
        self._programs: dict[int, Program] = {}
        self._readable = Readable([])
        self._groups = GroupSets(self._members)
        self._tasks: Tasks | None = None
        self._kernel: Kernel | None = None
        self._has_groups = True
        self._is_kept = True
        self._paths = Memo[bytes, str](lambda raw: storable(os.fsdecode(raw)), MOST_TEXTS)
        self._walks = Memo[bytes, str](lambda raw: storable(os.fsdecode(joined(raw))), MOST_TEXTS)
        self._texts: dict[bytes, Texts] = {}

    def check(self) -> None:
        """Load and attach, and see whether a child of the agent is told of as it was."""
        try:
            kernel = kernel_of(self.table.host)
            with _session(kernel, ends=True) as session:
                _check(session)
            kernel.save()
        except OSError as error:
            raise explained(error) from error

    def existing(self) -> Iterable[Row]:
        """Return all processes that run."""
        return _procseed.running(self.table.host, self.table.wanted.columns)

    def wanted_changed(self) -> None:
        """Look at once whether more is wanted than before."""
        self._readable.wake()

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what happens to processes."""
        kernel = self._kernel = kernel_of(self.table.host)
        self._rows.refresh()
        has_ends = self._needs_ends()
        session = await opened(lambda: _session(kernel, ends=has_ends))
        self._readable = Readable(session.files)
        try:
            yield []
            if not self.table.wanted.columns.isdisjoint({"cgroup", "container"}):
                self._tasks = await opened(lambda: Tasks(kernel))
            if has_ends:
                await self._seed()
            while True:
                await self._readable.wait()
                async for rows in self._drained(session):
                    yield rows
                self._rows.refresh()
                if not has_ends and self._needs_ends():
                    has_ends = True
                    await finished(lambda: session.attach(kernel, programs.ENDS))
                    await self._seed()
        finally:
            session.close()
            if self._tasks is not None:
                self._tasks.close()
                self._tasks = None

    def _needs_ends(self) -> bool:
        """Return whether a query wants to know more than which programs are executed."""
        return self._rows.wants_stopped or self._rows.wants_forked

    async def _seed(self) -> None:
        """Learn what is executed already."""
        self._programs = await asyncio.to_thread(self._running)

    def _running(self) -> dict[int, Program]:
        host, warn = self.table.host, self.table.warn
        source = _processes_bpf.BpfSource(host, warn, ProcSource(host, warn))
        try:
            return {
                row["pid"]: (
                    self._clock.started(row.get("startup", 0)),
                    Texts(*(row.get(name) for name in Texts._fields)),
                    True,
                )
                for row in source.rows(Where(SEEDED))
            }
        finally:
            source.close()

    async def _drained(self, session: Session) -> AsyncIterator[Sequence[Row]]:
        """Yield all that has gathered, in slices that take a few milliseconds."""
        while (records := session.read()).places:
            yield self._work(records)
            await asyncio.sleep(0)
        lost = session.lost()
        if lost:
            self.table.lose("kernel", lost)
            alive = set(map(int, _procfs.listed("/proc")))
            for pid in self._programs.keys() - alive:
                del self._programs[pid]

    def _work(self, records: Records) -> list[Row]:
        self._clock.refresh()
        self._rows.refresh()
        self._is_kept = self._needs_ends()
        self._has_groups = not self.table.wanted.columns.isdisjoint({"cgroup", "container"})
        row_of, raw = self._row, records.buffer
        unpack, size = programs.EVENT.struct.unpack_from, programs.EVENT.size
        rows = [
            row_of(unpack(raw, place), raw, place, length)
            for place, length in records.places
            if length >= size  # else it is cut
        ]
        return [row for row in rows if row is not None]

    def _row(self, fields: Fields, raw: bytes, place: int, length: int) -> Row | None:
        kind, rows = fields[KIND], self._rows
        if kind == programs.EXEC:
            texts = self._executed(fields, raw, place, length)
            if self._is_kept:
                self._programs[fields[PID]] = fields[START], texts, True
            return self._told("started", fields, texts) if rows.wants_started else None
        if kind == programs.FORK:
            parent = self._programs.get(fields[PPID])
            if parent is not None:
                self._programs[fields[PID]] = fields[START], parent[1], False
            return self._forked(fields, parent) if rows.wants_forked else None
        program = self._programs.pop(fields[PID], None)
        if not rows.wants_stopped:
            return None
        # The start of those that were there before is known to a tick only.
        if program is None or abs(program[0] - fields[START]) > TICK:
            texts = unknown(fields)
        else:
            texts = program[1] if program[2] else program[1]._replace(cwd=None)
        row = self._told("stopped", fields, texts)
        if row is not None:
            set_status(row, fields[STATUS])
        return row

    def _forked(self, fields: Fields, parent: Program | None) -> Row | None:
        texts = unknown(fields) if parent is None else parent[1]._replace(cwd=None)
        return self._told("forked", fields, texts)

    def _executed(self, fields: Fields, raw: bytes, place: int, length: int) -> Texts:
        """Return what the texts behind a record tell; short ones are often the same again."""
        if length > MOST_BYTES:
            return self._parsed(fields, raw, place + programs.EVENT.size)
        key = raw[place + FLAGS_OFFSET : place + length]
        texts = self._texts.get(key)
        if texts is None:
            if len(self._texts) >= MOST_TEXTS:
                self._texts.clear()
            texts = self._parsed(fields, raw, place + programs.EVENT.size)
            self._texts[key] = texts
        return texts

    def _parsed(self, fields: Fields, raw: bytes, at: int) -> Texts:
        flags = fields[FLAGS]
        path, exe, cwd, line = fields[PATH : PATH + 4]
        name = self._paths[raw[at : at + path - 1]] if path > 1 else None
        at += path
        program = self._walked(
            raw[at : at + exe], flags & programs.EXE_DELETED, flags & programs.EXE_CUT
        )
        at += exe
        directory = self._walked(
            raw[at : at + cwd], flags & programs.CWD_DELETED, flags & programs.CWD_CUT
        )
        at += cwd
        is_missing = flags & programs.ARGUMENTS_MISSING
        arguments = None if is_missing else _procfs.parse_cmdline(raw[at : at + line])
        return Texts(name, program, None if arguments is None else text(arguments), directory)

    def _told(self, state: str, fields: Fields, texts: Texts) -> EventRow | None:
        """Return the row of what happened to a process, None if no query wants it."""
        (
            time, start, group, identity, groups, utime, stime, runtime, vsize, rsize, _, pid, ppid,
            uid, gid, ruid, rgid, auid, priority, _, _, _, _, _, _, _, _,
        ) = fields  # fmt: skip
        name, exe, cmdline, cwd = texts
        cgroup, container = NONE
        if self._has_groups:
            cgroup, container = self._groups.find((group, groups), identity)
        user, system = adjusted(utime, stime, runtime, 0, 0) if stime else (runtime, 0)
        row: EventRow = {
            "time": (time + self._clock.offset) // 1000,
            "name": name,
            "pid": pid,
            "ppid": ppid,
            "uid": uid,
            "gid": gid,
            "ruid": ruid,
            "rgid": rgid,
            "priority": PRIORITIES[priority],
            "duration": time - start,
            "utime": user,
            "stime": system,
            "state": state,
            "exe": exe,
            "cmdline": cmdline,
            "cwd": cwd,
            "startup": self._clock.booted + start - start % TICK,
            "auid": None if auid == UNSET else auid,
            "cgroup": cgroup,
            "container": container,
            "incomplete": False,
        }
        if vsize:
            row["vsize"], row["rsize"] = vsize, rsize
        return self._rows.wanted(row, is_whole=None not in texts)

    def _walked(self, raw: bytes, deleted: int, cut: int) -> str | None:
        """Return the path whose names the kernel gave from the last to the first."""
        if cut:
            return None
        return f"{self._walks[raw]} (deleted)" if deleted else self._walks[raw]

    def _members(self) -> dict[int, int]:
        """Return a process of each set of control groups."""
        if self._tasks is None:
            if self._kernel is None:
                return {}
            self._tasks = Tasks(self._kernel)
        names = tasks.NUMBERS.names
        group, pid, flags = (names.index(name) for name in ("group", "pid", "flags"))
        return {
            fields[group]: fields[pid]
            for fields in tasks.NUMBERS.struct.iter_unpack(self._tasks.numbers(threads=False))
            if not fields[flags] & tasks.EXITING
        }


def unknown(fields: Fields) -> Texts:
    """Return what is known of a process that was not seen to execute anything."""
    return Texts(_procfs.name(fields[NAME].partition(b"\0")[0]), None, None, None)


def parse(records: Records) -> Iterator[tuple[Fields, int]]:
    """Yield the fields of each record and where it begins; one that is cut is passed over."""
    raw, unpack, size = records.buffer, programs.EVENT.struct.unpack_from, programs.EVENT.size
    for place, length in records.places:
        if length >= size:
            yield unpack(raw, place), place


def joined(raw: bytes) -> bytes:
    """Return the path of names that each end with a NUL, the last one first."""
    names = raw.split(b"\0")
    names.reverse()
    return b"/".join(names) or b"/"


def _session(kernel: Kernel, *, ends: bool) -> Session:
    wanted = [*programs.STARTS, *programs.ENDS] if ends else programs.STARTS
    return Session(kernel, wanted, programs.MAPS)


def _check(session: Session) -> None:
    """Raise `OSError` unless a child that executes nothing is told of as it was."""
    with suppress(FileNotFoundError):  # as it should be; the child has ended
        os.waitpid(os.posix_spawn("/proc/self/nothing", ["nothing"], {}), 0)
    own, seen = os.getpid(), set()
    while (records := session.read()).places:
        for fields, _ in parse(records):
            if fields[PPID] != own:
                continue
            if fields[PPID + 1 : PPID + 5] != (
                os.geteuid(),
                os.getegid(),
                os.getuid(),
                os.getgid(),
            ):
                raise OSError("self-check failed: IDs differ")
            if fields[KIND] == programs.FORK or fields[STATUS] == CHECK_STATUS:
                seen.add(fields[KIND])
    if not seen >= {programs.FORK, programs.EXIT}:
        raise OSError("self-check failed: the agent's own child was not told of")
