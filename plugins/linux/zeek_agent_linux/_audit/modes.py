"""The three ways to get audit records: what each needs, how it begins and ends."""

import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from zeek_agent_core.api import Host, TableError
from zeek_agent_linux._audit.daemon import Daemon, is_alive, objection
from zeek_agent_linux._audit.keeper import Keeper
from zeek_agent_linux._audit.netlink import Control, refusal
from zeek_agent_linux._audit.rules import uncovered, unheard
from zeek_agent_linux._audit.settings import SOCKETS, Settings
from zeek_agent_linux._audit.status import LOCKED, Status
from zeek_agent_linux._audit.streams import Dispatcher, Netlink, Stream, multicast
from zeek_agent_linux._audit.syscalls import MACHINES

log = logging.getLogger(__name__)


class Mode:
    """One way; open it to get a stream, and close it to leave things as they were."""

    name: ClassVar[str]
    stream: Stream

    def __init__(self, host: Host) -> None:
        """Prepare; nothing is opened yet."""
        self.host = host
        self.settings = Settings.of(host)
        self.keeper: Keeper | None = None
        """Has the rules, where they are ours to load."""
        self._control: Control | None = None
        self._lost = 0

    @classmethod
    def check(cls, host: Host, calls: Collection[str]) -> None:
        """Raise `TableError` or `OSError` that says why the mode cannot serve *calls* here."""
        if not machine():
            raise TableError("audit", f"system calls of {os.uname().machine} are not known")
        try:
            with Control() as control:
                cls.check_status(control, Settings.of(host), calls)
        except OSError as error:
            raise refusal(error) from error

    @classmethod
    def check_status(cls, control: Control, settings: Settings, calls: Collection[str]) -> None:
        """Raise `TableError` or `OSError` if the kernel is in no state for the mode."""
        raise NotImplementedError

    def open(self) -> None:
        """Begin; blocks for some 100 µs."""
        try:
            self._control = Control()
            self._open(self._control)
            self._lost = self._control.status().lost
        except OSError as error:
            raise refusal(error) from error

    def _open(self, control: Control) -> None:
        raise NotImplementedError

    def check_up(self) -> None:
        """Raise `TableError` if the stream will give no more; load rules that were removed."""
        if self.keeper is not None and (gone := self.keeper.reload()):
            log.warning("%d audit rules had been removed and are loaded again", gone)

    def lost(self) -> int:
        """Return how many records the kernel has lost since the last time, or since the start."""
        if self._control is None:
            return 0
        before, self._lost = self._lost, self._control.status().lost
        return max(self._lost - before, 0)  # somebody may reset it

    def missing(self, calls: Collection[str]) -> list[str]:
        """Return those of *calls* of which no rule of somebody else records all."""
        if self.keeper is not None or self._control is None:
            return []
        return uncovered(machine()[0], calls, self._control.rules())

    @classmethod
    def loads_rules(cls, settings: Settings) -> bool:
        """Return whether the rules are ours to load."""
        return settings.manage_rules

    def close(self) -> None:
        """End; blocks for some 100 µs."""
        if self.keeper is not None:
            self.keeper.close()
        if hasattr(self, "stream"):
            self.stream.close()
        if self._control is not None:
            self._control.close()


def machine() -> tuple[str, ...]:
    """Return the architectures of the programs that run here; none if they are not known."""
    return MACHINES.get(os.uname().machine, ())


class NetlinkMode(Mode):
    """We are the audit daemon, since there is no other."""

    name = "netlink"
    stream: Netlink
    _daemon: Daemon | None = None

    @classmethod
    def loads_rules(cls, settings: Settings) -> bool:  # noqa: ARG003 - the interface
        """Return that they are."""
        return True

    @classmethod
    def check_status(cls, control: Control, settings: Settings, calls: Collection[str]) -> None:  # noqa: ARG003 - the interface
        """Refuse where another daemon runs, or what we would have to change is locked."""
        reason = objection(control.status())
        if reason is not None:
            raise TableError("audit", reason)

    def _open(self, control: Control) -> None:
        self.stream = Netlink()
        daemon = Daemon(control, self.host.agent.state, self.settings.backlog_limit)
        daemon.begin(self.stream)
        self._daemon = daemon
        self.keeper = Keeper(control)
        if count := self.keeper.remove_left_overs():
            log.warning("removed %d audit rules that an agent had left behind", count)

    def check_up(self) -> None:
        """Raise `TableError` if another process is the daemon now."""
        if self._daemon is not None:
            self._daemon.hold_on(self.stream)
        super().check_up()

    def close(self) -> None:
        """Put back what was there."""
        if self.keeper is not None:
            self.keeper.close()
        try:
            if self._daemon is not None:
                self._daemon.end()
        except OSError as error:
            log.warning("cannot put the audit settings back: %s", refusal(error).strerror)
        super().close()


class Beside(Mode):
    """Another process is the audit daemon; its rules serve us, or ours are added to them."""

    @classmethod
    def check_rules(cls, control: Control, settings: Settings, calls: Collection[str]) -> None:
        """Refuse where no rule makes the kernel record any of *calls*."""
        if settings.manage_rules:
            if control.status().enabled == LOCKED:
                raise TableError("audit", "the audit rules are locked until the host starts anew")
            return
        try:
            loaded = control.rules()
        except PermissionError:
            return  # who can read records need not be able to see the rules
        silent = unheard(machine()[0], calls, loaded)
        if silent and len(silent) == len(calls):
            raise TableError(
                "audit",
                f"no audit rule records {', '.join(silent)}; load some, or set "
                "[tables.audit] manage_rules = true",
            )

    def _open(self, control: Control) -> None:
        self.stream = self._stream()
        if self.settings.manage_rules:
            self.keeper = Keeper(control)

    def _stream(self) -> Stream:
        raise NotImplementedError


class AudispMode(Beside):
    """auditd hands its records on, through the Unix socket of its plugin `af_unix`."""

    name = "audisp"

    @classmethod
    def check_status(cls, control: Control, settings: Settings, calls: Collection[str]) -> None:
        """Refuse where no auditd runs, or it does not hand its records on."""
        other_daemon(control.status())
        dispatcher_path(settings)
        cls.check_rules(control, settings, calls)

    def _stream(self) -> Stream:
        path = dispatcher_path(self.settings)
        try:
            return Dispatcher(path)
        except OSError as error:
            raise TableError("audit", f"cannot connect to {path}: {error.strerror}") from error


class MulticastMode(Beside):
    """The kernel gives its records to everybody who may read them, as far as they keep up."""

    name = "multicast"

    @classmethod
    def check_status(cls, control: Control, settings: Settings, calls: Collection[str]) -> None:
        """Refuse where auditing is off."""
        if not control.status().enabled:
            raise TableError("audit", "auditing is off, and nobody turns it on")
        multicast().close()
        cls.check_rules(control, settings, calls)

    def _stream(self) -> Stream:
        return multicast()


MODES: tuple[type[Mode], ...] = (AudispMode, NetlinkMode, MulticastMode)
"""In order of preference."""


def other_daemon(status: Status) -> int:
    """Return the process that is the audit daemon; `TableError` if there is none but us."""
    if status.pid in (0, os.getpid()) or not is_alive(status.pid):
        raise TableError("audit", "no other audit daemon runs")
    return status.pid


def dispatcher_path(settings: Settings) -> str:
    """Return the path of the dispatcher's socket; `TableError` if there is none.

    It is not connected to: auditd has one reader at a time, and takes the
    next one only after something could not be sent to the one before.
    """
    paths: Collection[str] = [settings.socket] if settings.socket else SOCKETS
    for path in paths:
        if Path(path).is_socket():
            return path
    names = " and ".join(paths)
    raise TableError("audit", f"no socket at {names}: auditd's plugin af_unix is not active")
