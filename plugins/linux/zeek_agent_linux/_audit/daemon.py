"""Being the audit daemon: the kernel sends its records to one process, and it is ours.

What is changed for that is put back in the end; if the agent is killed, by
its next run, which finds in the state directory what there was.
"""

import contextlib
import json
import logging
import os
from pathlib import Path

from zeek_agent_core.api import TableError
from zeek_agent_linux._audit.netlink import SET, Control, message
from zeek_agent_linux._audit.status import LOCKED, PANIC, Status, status_request
from zeek_agent_linux._audit.streams import Netlink

log = logging.getLogger(__name__)

FILE = "audit.json"
KEPT = ("enabled", "backlog_limit", "backlog_wait_time")
"""What is put back in the end."""


def objection(status: Status) -> str | None:
    """Return why this process cannot be the audit daemon; None if it can, or is already."""
    if status.pid not in (0, os.getpid()) and is_alive(status.pid):
        return f"process {status.pid} is the audit daemon"
    if status.enabled == LOCKED:
        return "the audit configuration is locked until the host starts anew"
    if status.failure == PANIC:
        return "the host is set to halt when audit records are lost"
    return None


def is_alive(pid: int) -> bool:
    """Return whether there is a process *pid*."""
    return Path(f"/proc/{pid}").exists()


class Daemon:
    """This process as the audit daemon; blocking, but for some 100 µs only."""

    def __init__(self, control: Control, state: Path | None, backlog_limit: int) -> None:
        """Prepare; *state* is the directory for what must outlive the agent."""
        self._control = control
        self._file = None if state is None else state / FILE
        self._limit = backlog_limit
        self._before: dict[str, int] = {}

    def begin(self, stream: Netlink) -> None:
        """Let the kernel send its records to *stream*; `TableError` if another process gets them.

        Processes are never held up for us: what the kernel cannot hold is lost, and counted.
        """
        status = self._control.status()
        reason = objection(status)
        if reason is not None:
            raise TableError("audit", reason)
        self._before = self._remember(status)
        wait = {"backlog_wait_time": 0} if status.has_wait_time else {}
        self._control.set(backlog_limit=max(self._limit, status.backlog_limit), **wait)
        self._register(stream)
        self._control.set(enabled=1)

    def _register(self, stream: Netlink) -> None:
        """Tell the kernel that this process, with the socket of *stream*, is the daemon."""
        # The kernel is done with it when send returns; its answer comes among the records.
        stream.socket.send(message(SET, 1, status_request(pid=os.getpid())))
        if not self.is_ours():
            raise TableError("audit", "another process is the audit daemon")

    def is_ours(self) -> bool:
        """Return whether the kernel still sends its records here."""
        return self._control.status().pid == os.getpid()

    def hold_on(self, stream: Netlink) -> None:
        """Be the daemon again if the kernel has let go of us, since we were slow.

        `TableError` if another process is the daemon by now.
        """
        if self.is_ours():
            return
        reason = objection(self._control.status())
        if reason is not None:
            raise TableError("audit", reason)
        log.warning("the kernel had let go of the agent as the audit daemon")
        self._register(stream)

    def end(self) -> None:
        """Put back what was there; what another daemon has set since stays."""
        if not self._before:
            return
        if self.is_ours():
            self._control.set(**self._before)
            self._control.set(pid=0)
        self._before = {}
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _remember(self, status: Status) -> dict[str, int]:
        """Return what to put back, and keep it for the case that the agent is killed."""
        before = {name: getattr(status, name) for name in KEPT}
        if not status.has_wait_time:
            del before["backlog_wait_time"]
        if self._file is None:
            return before
        before = recalled(self._file) or before
        text = json.dumps({"boot": boot_id(), "before": before})
        with contextlib.suppress(OSError):
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
        return before


def recalled(file: Path) -> dict[str, int] | None:
    """Return what a run that was killed since the host started has left to be put back."""
    try:
        kept = json.loads(file.read_text())
        if kept["boot"] != boot_id():
            return None
        return {name: int(kept["before"][name]) for name in KEPT if name in kept["before"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def boot_id() -> str:
    """Return an ID that the kernel has until the host starts anew."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
