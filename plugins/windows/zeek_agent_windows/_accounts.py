"""Users and local groups of a Windows host, through pywin32."""

import errno
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

ADMINISTRATORS = "S-1-5-32-544"
"""The local group of administrators, whatever its name is in the system's language."""
SPECIAL = {500: False, 501: True, 503: True, 504: True}
"""Built-in accounts by the end of their SID, and whether they are the system's: the
administrator, the guest, the default account, Defender's."""
FIRST_GROUP = 1000
"""Groups with a lower end of their SID are part of the system."""


class User(NamedTuple):
    """A local account."""

    name: str
    """With the host's name in front: `HOST\\user`."""
    full_name: str
    sid: str
    home: str | None
    """Where its profile is, once it has one."""


class Group(NamedTuple):
    """A local group."""

    name: str
    sid: str | None
    members: Sequence[tuple[str, str]]
    """SID and name, with its domain, of each member."""


class Accounts(Protocol):
    """What is asked of the system."""

    def users(self) -> Iterator[User]:
        """Yield the local accounts."""

    def groups(self) -> Iterator[Group]:
        """Yield the local groups."""


def accounts() -> Accounts:
    """Return the accounts of this host; `OSError` where it is another system."""
    if sys.platform == "win32":
        return SystemAccounts()
    raise OSError(errno.ENOSYS, "this exists on Windows only")


def relative_id(sid: str | None) -> int | None:
    """Return the number at the end of a SID; None if it has none."""
    end = (sid or "").rpartition("-")[2]
    return int(end) if end.isascii() and end.isdecimal() else None


def is_system_user(sid: str) -> bool:
    """Return whether an account is one that Windows has for itself."""
    return SPECIAL.get(relative_id(sid) or 0, False)


def is_system_group(sid: str | None) -> bool | None:
    """Return whether a group is part of Windows; None if its SID is not known."""
    if sid is None:
        return None
    number = relative_id(sid)
    return sid.startswith("S-1-5-32-") or (number is not None and number < FIRST_GROUP)


def administrators(groups: Iterator[Group]) -> frozenset[str]:
    """Return the SIDs of the members of the group of administrators."""
    return frozenset(
        sid for group in groups if group.sid == ADMINISTRATORS for sid, _ in group.members
    )


if sys.platform == "win32":
    import winreg

    import pywintypes
    import win32net
    import win32security

    PROFILES = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"

    class SystemAccounts:
        """The security accounts manager of this host."""

        def users(self) -> Iterator[User]:
            """Yield the local accounts: `NetUserEnum`, `NetUserGetInfo` of level 4."""
            for found in _listed(win32net.NetUserEnum, 3):
                name = str(found["name"])
                try:
                    identity, domain, _ = win32security.LookupAccountName(None, name)
                    sid = win32security.ConvertSidToStringSid(identity)
                except pywintypes.error:
                    continue  # removed meanwhile
                full_name = str(found.get("full_name") or "")
                yield User(f"{domain}\\{name}", full_name, sid, _profile(sid))

        def groups(self) -> Iterator[Group]:
            """Yield the local groups: `NetLocalGroupEnum`, `NetLocalGroupGetMembers`."""
            for found in _listed(win32net.NetLocalGroupEnum, 1):
                name = str(found["name"])
                try:
                    identity, _, _ = win32security.LookupAccountName(None, name)
                    sid = win32security.ConvertSidToStringSid(identity)
                except pywintypes.error:
                    sid = None
                yield Group(name, sid, tuple(_members(name)))

    def _listed(function: Any, level: int) -> Iterator[Mapping[str, Any]]:
        """Yield all that one of the functions lists, page by page."""
        resume = 0
        while True:
            try:
                if function is win32net.NetUserEnum:
                    found, _, resume = function(None, level, 0, resume)
                else:
                    found, _, resume = function(None, level, resume)
            except pywintypes.error as error:
                raise OSError(errno.EPERM, f"{error.funcname}: {error.strerror}") from error
            yield from found
            if not resume:
                return

    def _members(group: str) -> Iterator[tuple[str, str]]:
        resume: int | None = 0
        while True:
            try:
                found, _, resume = win32net.NetLocalGroupGetMembers(None, group, 2, resume)
            except pywintypes.error:
                return  # removed meanwhile
            for member in found:
                sid = win32security.ConvertSidToStringSid(member["sid"])
                yield sid, str(member["domainandname"])
            if not resume:
                return

    def _profile(sid: str) -> str | None:
        """Return where a user's profile is; None if there is none yet."""
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, f"{PROFILES}\\{sid}") as key:
                value, kind = winreg.QueryValueEx(key, "ProfileImagePath")
        except OSError:
            return None
        text = str(value)
        return winreg.ExpandEnvironmentStrings(text) if kind == winreg.REG_EXPAND_SZ else text
