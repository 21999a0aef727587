"""Reads the kernel's log and syslog's files together, from a place on."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns, time_ns
from types import TracebackType
from typing import Any, Self

from zeek_agent_core.api import Row, text
from zeek_agent_linux import _kmsg, _syslog
from zeek_agent_linux._inotify import (
    CREATE,
    DONT_FOLLOW,
    EXCL_UNLINK,
    MODIFY,
    MOVED_FROM,
    MOVED_TO,
    Inotify,
)
from zeek_agent_linux._tail import Tail, as_place

BOOT_ID = "/proc/sys/kernel/random/boot_id"
SYSLOG, MESSAGES = "/var/log/syslog", "/var/log/messages"
AT_ONCE = 1000
"""Messages of the kernel in one batch."""
KERNEL = "kernel"


@dataclass(slots=True)
class Batch:
    """What one turn of reading gave."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    """Messages that were read, if only to be left out."""
    lost: int = 0
    """Messages that the kernel had overwritten."""
    damaged: int = 0
    """Records that make no sense, or are too long."""


class SyslogFiles:
    """Follows `/dev/kmsg` and files; a context manager."""

    def __init__(self, prefix: str, files: Sequence[str]) -> None:
        """Read below *prefix*, of *files* those that exist or come."""
        self._prefix = prefix
        # Where there are both, what is in the second is in the first too.
        is_double = SYSLOG in files and Path(prefix + SYSLOG).exists()
        used = [path for path in files if path != MESSAGES or not is_double]
        self._tails = [Tail(prefix + path) for path in used]
        self._kmsg: _kmsg.Kmsg | None = None
        self._sequence: int | None = None
        self.problem: str | None = None
        """Why the kernel's log cannot be read."""

    def __enter__(self) -> Self:
        """Open the watch on the files' directories."""
        self._inotify = Inotify()
        for directory in {os.path.dirname(tail.path) for tail in self._tails}:  # noqa: PTH120
            with suppress(OSError):  # there is no such directory
                mask = MODIFY | CREATE | MOVED_FROM | MOVED_TO | EXCL_UNLINK | DONT_FOLLOW
                self._inotify.add(directory, mask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close everything."""
        self._inotify.__exit__(None, None, None)
        if self._kmsg is not None:
            self._kmsg.close()
        for tail in self._tails:
            tail.close()

    def start(self, place: Any) -> None:
        """Go to *place*, as `place` gave it; or to the end."""
        known = place if isinstance(place, Mapping) else {}
        boot, sequence = known.get("boot"), known.get("kmsg")
        if boot is None or not isinstance(sequence, int):
            sequence = None
        elif boot != self._boot():
            sequence = -1  # all of a boot that is new to us
        try:
            self._kmsg = _kmsg.Kmsg(self._prefix + _kmsg.PATH, sequence)
        except OSError as error:
            self.problem = f"cannot read {_kmsg.PATH}: {error.strerror}"
        self._sequence = sequence
        if sequence is None and self._kmsg is not None:
            for record, _ in self._kmsg.read():  # all that is there, to know its end
                self._sequence = record.sequence if record else self._sequence
        files = known.get("files")
        places: Mapping[str, Any] = files if isinstance(files, Mapping) else {}
        for tail in self._tails:
            tail.start(as_place(places.get(tail.path)))

    def descriptors(self) -> list[int]:
        """Return what is readable when there is something to read."""
        kernel = [] if self._kmsg is None else [self._kmsg.descriptor]
        return [self._inotify.fileno(), *kernel]

    def place(self) -> dict[str, Any]:
        """Return the place behind all that was read."""
        files = {tail.path: list(tail.place) for tail in self._tails if tail.place is not None}
        return {"boot": self._boot(), "kmsg": self._sequence, "files": files}

    def read(self) -> Batch:
        """Return what came; to be called until it has read nothing."""
        while self._inotify.read():
            pass
        batch = Batch()
        if self._kmsg is not None:
            self._read_kernel(self._kmsg, batch)
        now = datetime.now(UTC).astimezone()
        for tail in self._tails:
            for raw in tail.read():
                batch.count += 1
                line = _syslog.parse(raw, now)
                # The kernel's messages come by its own log already, with their severity.
                if line.identifier != KERNEL or self._kmsg is None:
                    batch.rows.append(_line_row(line))
        return batch

    def _read_kernel(self, kmsg: _kmsg.Kmsg, batch: Batch) -> None:
        began = (time_ns() - clock_gettime_ns(CLOCK_MONOTONIC)) // 1000
        for record, lost in islice(kmsg.read(), AT_ONCE):
            batch.count += 1
            if record is None:
                batch.damaged += 1
                continue
            # At the start of a boot there is nothing before the first message.
            batch.lost += 0 if self._sequence in (None, -1) else lost
            self._sequence = record.sequence
            batch.rows.append(_kernel_row(record, began))

    def _boot(self) -> str:
        try:
            return Path(self._prefix + BOOT_ID).read_text(encoding="ascii").strip()
        except OSError:
            return ""


def _kernel_row(record: _kmsg.Record, began: int) -> Row:
    return {
        "time": began + record.microseconds,
        "process": KERNEL,
        "identifier": KERNEL,
        "level": str(record.level),
        "message": text(record.message),
    }


def _line_row(line: _syslog.Line) -> Row:
    row: dict[str, Any] = {"message": line.message}
    if line.time is not None:
        row["time"] = line.time
    if line.identifier is not None:
        row["process"] = row["identifier"] = line.identifier
    if line.pid is not None:
        row["pid"] = line.pid
    return row


def check(prefix: str, files: Sequence[str]) -> None:
    """Raise `OSError` if there is nothing to read, or nothing that may be read."""
    problem: OSError = FileNotFoundError(2, "neither the kernel's log nor a file of syslog is here")
    for path in (_kmsg.PATH, *files):
        try:
            os.close(os.open(prefix + path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = error
            continue
        return
    raise problem
