"""Pure: what messages in the journal tell of logins.

Sources: auth.c, auth2.c, packet.c and session.c of OpenSSH, logind-session.c and
sd-messages.h of systemd, login.c of util-linux.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from zeek_agent_core.api import text
from zeek_agent_linux._utmp import host_address

IDENTIFIERS = (b"sshd", b"sshd-session", b"systemd-logind", b"login")
"""Writers of the messages that are understood; these are asked of the journal."""
FIELDS = (
    b"MESSAGE",
    b"MESSAGE_ID",
    b"SYSLOG_IDENTIFIER",
    b"_PID",
    b"_UID",
    b"SESSION_ID",
    b"USER_ID",
    b"LEADER",
)

SESSION_STARTED = b"8d45620c1a4348dbb17410da57c60c66"
SESSION_ENDED = b"3354939424b4456d9802ca8333ed424a"
SHUTDOWN = b"98268866d1d54a499c4e98921d93bc40"

_PEER = rb"from (?P<address>\S+) port (?P<port>\d+)"
_ACCEPTED = re.compile(rb"Accepted (?P<method>\S+) for (?P<user>.*) " + _PEER + rb"(?: .*)?")
_FAILED = re.compile(
    rb"Failed (?P<method>\S+) for (?:invalid user )?(?P<user>.*) " + _PEER + rb"(?: .*)?"
)
# What is left of an attempt by keys alone, of which a failure is not logged by default.
_GONE = re.compile(
    rb"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting) "
    rb"(?:invalid|authenticating) user (?P<user>.*) (?P<address>\S+) port (?P<port>\d+)"
    rb"(?:: .*)? \[preauth\]"
)
_CLOSED = re.compile(rb"pam_unix\(sshd:session\): session closed for user (?P<user>\S+)")
_LOGIN_FAILED = re.compile(
    rb"FAILED LOGIN (?:SESSION )?\(?\d*\)? ?(?:FROM|ON) '?(?P<terminal>[^']*?)'?"
    rb"(?: FROM '?(?P<host>[^']*?)'?)? FOR '?(?P<user>[^',]*)'?, .*"
)
_REMEMBERED = 10_000

Get = Callable[[bytes], bytes | None]
Row = dict[str, Any]


class Messages:
    """Turns messages into rows; remembers sessions until they end."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._ssh: OrderedDict[int, Row] = OrderedDict()
        """Logins by the process that let them in."""
        self._failed: OrderedDict[int, None] = OrderedDict()
        """Processes of sshd that told of a failure already."""
        self._sessions: OrderedDict[str, Row | None] = OrderedDict()
        """Sessions of logind; None for those that sshd tells of."""

    def row(self, get: Get, time: int) -> Row | None:
        """Return what a message taken at *time* tells; None if it tells of no login."""
        writer, message = get(b"SYSLOG_IDENTIFIER"), get(b"MESSAGE")
        if message is None or get(b"_UID") != b"0":
            return None  # anybody may write under any name
        pid = _number(get(b"_PID"))
        if writer in (b"sshd", b"sshd-session"):
            row = self._of_sshd(message, pid, time)
        elif writer == b"systemd-logind":
            row = self._of_logind(get, time)
        elif writer == b"login":
            row = _of_login(message)
        else:
            row = None
        return None if row is None else {"time": time, "pid": pid, **row}

    def _of_sshd(self, message: bytes, pid: int | None, time: int) -> Row | None:
        if match := _ACCEPTED.fullmatch(message):
            row = {"action": "login", "service": "sshd", **_peer(match)}
            if pid is not None:
                _remember(self._ssh, pid, {**row, "time": time})
            return row
        if match := _FAILED.fullmatch(message):
            if pid is not None:
                _remember(self._failed, pid, None)
            return {"action": "failed", "service": "sshd", **_peer(match)}
        if match := _GONE.fullmatch(message):
            if pid in self._failed:
                return None
            return {"action": "failed", "service": "sshd", **_peer(match)}
        if match := _CLOSED.match(message):
            login = self._ssh.pop(pid, None) if pid is not None else None
            user = text(match["user"]).partition("(")[0]
            return _ended(login or {"service": "sshd", "user": user}, time)
        return None

    def _of_logind(self, get: Get, time: int) -> Row | None:
        kind, session = get(b"MESSAGE_ID"), text(get(b"SESSION_ID") or b"")
        if kind == SHUTDOWN:
            return {"action": "shutdown", "pid": None}
        if kind == SESSION_STARTED and session:
            leader = _number(get(b"LEADER"))
            if leader in self._ssh:
                _remember(self._sessions, session, None)
                return None
            row = {"action": "login", "pid": leader, "session": session, "service": "logind"}
            row["user"] = text(get(b"USER_ID") or b"") or None
            _remember(self._sessions, session, {**row, "time": time})
            return row
        if kind == SESSION_ENDED and session:
            login = self._sessions.pop(session, {"session": session, "service": "logind"})
            return None if login is None else _ended(login, time)
        return None


def _of_login(message: bytes) -> Row | None:
    match = _LOGIN_FAILED.fullmatch(message)
    if match is None:
        return None
    row: Row = {"action": "failed", "service": "login", "user": text(match["user"])}
    terminal = text(match["terminal"]).removeprefix("/dev/")
    host = text(match["host"] or b"")
    address = host_address(host)
    return row | {"terminal": terminal or None, "address": address, "host": host or None}


def _peer(match: re.Match[bytes]) -> Row:
    found = match.groupdict()
    row: Row = {"user": text(found["user"]), "port": _number(found["port"])}
    host = text(found["address"])
    row["address"] = host_address(host)
    if row["address"] is None:
        row["host"] = host
    if found.get("method"):
        row["method"] = text(found["method"])
    return row


def _ended(login: Mapping[str, Any], time: int) -> Row:
    row = {**login, "action": "logout"}
    if began := row.pop("time", None):
        row["duration"] = max(time - began, 0) * 1000
    return {**row, "time": time}


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def _number(raw: bytes | None) -> int | None:
    return int(raw) if raw and raw.isdigit() and len(raw) < 19 else None  # noqa: PLR2004 - a count
