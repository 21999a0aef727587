"""``socket_events``: the first generation's view of sockets, from the audit pipe."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Source, Sourced, hookimpl, storable
from zeek_agent_core.schema import socket_events as schema
from zeek_agent_darwin._bsm import Record, Splitter, Truncated, parse_record

PIPE = "/dev/auditpipe"
CHUNK = 64 << 10
CALLS = {32: "connect", 33: "accept", 34: "bind"}
"""`AUE_CONNECT`, `AUE_ACCEPT`, `AUE_BIND` of ``<bsm/audit_kevents.h>``."""
NOBODY = 0xFFFFFFFF


def image_of(pid: int) -> str | None:
    """Return the path of a process's program; None if it is gone."""
    import psutil  # noqa: PLC0415 - 10 ms that not every agent needs

    try:
        return storable(psutil.Process(pid).exe()) or None
    except (psutil.Error, OSError, ValueError):
        return None


class AuditPipe(Source):
    """The device on which the kernel hands out audit records."""

    name = "auditpipe"
    table: "SocketEvents"

    def __init__(self, table: Sourced) -> None:
        """Serve *table*."""
        super().__init__(table)
        self._splitter = Splitter()

    def check(self) -> None:
        """Raise `OSError` if the device cannot be opened."""
        os.close(os.open(self._path(), os.O_RDONLY | os.O_NONBLOCK))

    async def events(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of what the kernel hands out."""
        loop, is_ready = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.open(self._path(), os.O_RDONLY | os.O_NONBLOCK)
        try:
            loop.add_reader(descriptor, is_ready.set)
            yield []
            while True:
                await is_ready.wait()
                is_ready.clear()
                try:
                    chunk = os.read(descriptor, CHUNK)
                except BlockingIOError:
                    continue
                if not chunk:
                    raise OSError(f"{PIPE} was closed")
                yield self.rows(chunk)
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def rows(self, chunk: bytes) -> list[Row]:
        """Return the rows of what was read."""
        before, rows = self._splitter.damaged, []
        for raw in self._splitter.feed(chunk):
            try:
                row = socket_row(parse_record(raw))
            except Truncated:
                self.table.lose("unreadable")
                continue
            if row is not None:
                if self.table.wanted.wants("exe") and row["pid"] is not None:
                    row["exe"] = self.table.image(row["pid"])
                rows.append(row)
        self.table.lose("unreadable", self._splitter.damaged - before)
        return list(rows)

    def _path(self) -> str:
        return str(self.table.host.path(PIPE))


def socket_row(record: Record) -> dict[str, Any] | None:
    """Return the row of a record; None if it is about no call on an IP socket."""
    syscall = CALLS.get(record.event)
    if syscall is None or record.is_unix or record.address is None:
        return None
    side = "local" if syscall == "bind" else "remote"
    has_failed = bool(record.error)
    return {
        "time": record.time,
        "syscall": syscall,
        "pid": record.pid,
        "auid": record.auid if record.auid != NOBODY else None,
        "uid": record.ruid,
        "euid": record.euid,
        "gid": record.rgid,
        "egid": record.egid,
        "ses": record.session,
        "fd": record.value if syscall == "accept" and not has_failed else record.descriptor,
        "success": None if record.error is None else not has_failed,
        "exit": -(record.error or 0) if has_failed else _signed(record.value),
        "family": record.family,
        f"{side}_address": record.address,
        f"{side}_port": record.port,
    }


def _signed(value: int | None) -> int | None:
    """Return what a call returned, which lies in a record as a number without sign."""
    return value - (1 << 64) if value is not None and value >= 1 << 63 else value


class SocketEvents(schema.SocketEvents):
    """Sockets bound, connected and accepted, one row for each call, as macOS audits them.

    The source is OpenBSM, which Apple has deprecated: the class `nt` must be in
    the flags of `/etc/security/audit_control`, and from macOS 14 on auditing is off
    unless somebody switches it on. `sockets_events` needs none of this. The names that the
    first generation of the agent had on macOS for its columns work as well.
    """

    sources = (AuditPipe,)
    origin = Origin(
        source="`/dev/auditpipe` (OpenBSM)",
        needs="root; auditing switched on, with the class `nt`",
        verified="records written after the documentation; a pipe in place of the device",
        null=("ppid", "protocol", "comm", "key", "arch", "serial", "seuid"),
    )

    def __init__(self, host: Host, image: Callable[[int], str | None] = image_of) -> None:
        """Ask *image* for programs."""
        super().__init__(host)
        self.image = image


@hookimpl
def zeek_agent_tables(host: Host) -> list[SocketEvents]:
    """Offer the table on the host itself."""
    return [SocketEvents(host)] if host.platform == "darwin" else []
