"""Rows of ``processes`` from ``/proc``: reads no more files than a query needs.

=============================  ==============================================
Columns                        Read for each process
=============================  ==============================================
pid                            nothing, the listing has it
name alone                     ``comm``
uid, gid                       the attributes of the directory
ruid, rgid                     ``status``, which has the effective ones too;
                               newer kernels tell them faster without a file
name and all other originals   ``stat``
exe, cwd, cmdline, cgroup      the link or file of that name
=============================  ==============================================
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from zeek_agent_core.api import Host, Row, Where, storable, text
from zeek_agent_linux import _cgroup, _pidfd, _procfs, _tty
from zeek_agent_linux._boottime import TICK, BootTime

PAGE = os.sysconf("SC_PAGE_SIZE")
STAT = frozenset({"ppid", "priority", "startup", "vsize", "rsize", "utime", "stime", "tty"})
CMDLINE_BYTES = 32_768

Part = Callable[[str, dict[str, Any]], bool]
"""Adds columns to the row of the process in a directory; False if it is not wanted."""


class ProcessSource(Protocol):
    """What can serve the rows of ``processes``."""

    @property
    def name(self) -> str:
        """What the source is called."""

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the processes that *where* wants."""


class ProcSource:
    """Processes as ``/proc`` shows them."""

    name = "/proc"

    def __init__(self, host: Host, warn: Callable[[str], None]) -> None:
        """Read below the root of *host*; tell *warn* what cannot be understood."""
        self._proc = f"{host.prefix}/proc"
        self._is_live = not host.prefix
        self._warn = warn
        self._boot = BootTime(self._proc)
        self._has_pidfd: bool | None = None

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the processes that *where* wants."""
        wanted = where.values("pid")
        if wanted is None:
            pids = _procfs.listed(self._proc)
        else:
            numbers = (pid for pid in wanted if isinstance(pid, int) and pid > 0)
            pids = map(str, sorted(numbers))
        if self._has_pidfd is None:
            # It tells of processes that `/proc` hides, so it serves those listed only.
            self._has_pidfd = _pidfd.is_usable(self._proc)
        reader = _Reader(
            self._proc, self._boot, where, is_live=self._is_live, has_pidfd=self._has_pidfd
        )
        for pid in pids:
            row = {"pid": int(pid)}
            try:
                if _read(f"{self._proc}/{pid}", row, reader.parts):
                    yield row
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            except ValueError as error:
                self._warn(f"cannot parse the files of process {pid}: {error}")


def _read(directory: str, row: dict[str, Any], parts: list[Part]) -> bool:
    """Fill *row*; what must not be read stays unknown."""
    for part in parts:
        try:
            if not part(directory, row):
                return False
        except PermissionError:
            continue
    return True


class _Reader:
    """Reads of each process what one query needs."""

    def __init__(
        self, proc: str, boot: BootTime, where: Where, *, is_live: bool, has_pidfd: bool
    ) -> None:
        """Choose the parts to read, cheapest and most selective first."""
        self.parts: list[Part] = []
        self._proc = proc
        self._is_live = is_live
        self._names = where.values("name")
        self._uids = where.values("uid")
        self._boot = 0
        columns = where.columns
        is_asked = where.values("pid") is not None
        has_status = is_asked or where.wants("ruid", "rgid")
        has_stat = not columns.isdisjoint(STAT)
        if self._uids is not None or (where.wants("uid", "gid") and not has_status):
            self.parts.append(self._owner)
        if self._names is not None or (where.wants("name") and not has_stat):
            self.parts.append(self._comm)
        if is_asked:
            self.parts.append(_leader)
        elif has_status:
            self.parts.append(_ids_of if has_pidfd else _ids)
        if has_stat:
            self._boot = boot() if where.wants("startup") else 0
            self._drivers = self._terminals() if where.wants("tty") else None
            self.parts.append(self._stat)
        for column in ("exe", "cwd"):
            if column in columns:
                self.parts.append(partial(_link, column))
        if "cmdline" in columns:
            self.parts.append(_cmdline)
        if where.wants("cgroup", "container"):
            self.parts.append(_groups)

    def _terminals(self) -> list[_tty.Driver]:
        try:
            return _tty.parse_drivers(text(_procfs.read_up_to(f"{self._proc}/tty/drivers", 65536)))
        except OSError:
            return []

    def _owner(self, directory: str, row: dict[str, Any]) -> bool:
        if self._is_live:
            # The directory belongs to the effective IDs. Those of the files in it
            # are root's where the process is not dumpable.
            status = os.stat(directory)  # noqa: PTH116 - paths cost more
            row["uid"] = status.st_uid
            row["gid"] = status.st_gid
        else:
            _ids(directory, row)  # a captured directory belongs to who captured it
        return self._uids is None or row["uid"] in self._uids

    def _comm(self, directory: str, row: dict[str, Any]) -> bool:
        row["name"] = name = _procfs.name(_procfs.read(directory + "/comm")[:-1])
        return self._names is None or name in self._names

    def _stat(self, directory: str, row: dict[str, Any]) -> bool:
        name, fields = _procfs.parse_stat(_procfs.read(directory + "/stat"))
        row["name"] = _procfs.name(name)
        row["ppid"] = int(fields[_procfs.PPID])
        row["priority"] = fields[_procfs.PRIORITY].decode()
        row["startup"] = self._boot + int(fields[_procfs.STARTTIME]) * TICK
        row["vsize"] = int(fields[_procfs.VSIZE])
        row["rsize"] = int(fields[_procfs.RSS]) * PAGE
        row["utime"] = int(fields[_procfs.UTIME]) * TICK
        row["stime"] = int(fields[_procfs.STIME]) * TICK
        if self._drivers is not None:
            row["tty"] = _tty.terminal(int(fields[_procfs.TTY]), self._drivers)
        return True


def _ids(directory: str, row: dict[str, Any]) -> bool:
    raw = _procfs.read(directory + "/status")
    row["ruid"], row["uid"], row["rgid"], row["gid"] = _procfs.parse_ids(raw)
    return True


def _ids_of(_directory: str, row: dict[str, Any]) -> bool:
    row["ruid"], row["uid"], row["rgid"], row["gid"] = _pidfd.read_ids(row["pid"])
    return True


def _leader(directory: str, row: dict[str, Any]) -> bool:
    raw = _procfs.read(directory + "/status")
    row["ruid"], row["uid"], row["rgid"], row["gid"] = _procfs.parse_ids(raw)
    return _procfs.is_leader(raw)


def _link(column: str, directory: str, row: dict[str, Any]) -> bool:
    try:
        row[column] = storable(os.readlink(f"{directory}/{column}"))  # noqa: PTH115
    except FileNotFoundError:
        # Kernel threads and zombies have no such link; others are gone.
        os.stat(directory)  # noqa: PTH116
    return True


def _cmdline(directory: str, row: dict[str, Any]) -> bool:
    line = _procfs.parse_cmdline(_procfs.read_up_to(directory + "/cmdline", CMDLINE_BYTES))
    row["cmdline"] = None if line is None else text(line)
    return True


def _groups(directory: str, row: dict[str, Any]) -> bool:
    raw = _procfs.read_up_to(directory + "/cgroup", 65536)
    row["cgroup"], row["container"] = _cgroup.parse_cgroup(text(raw))
    return True
