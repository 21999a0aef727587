"""Users and groups, from the system's database or from the files of another root."""

import grp
import os
import pwd
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from zeek_agent_core.api import Host

PASSWD = "/etc/passwd"  # noqa: S105 - a path
GROUP = "/etc/group"
LOGIN_DEFS = "/etc/login.defs"
MAX_ID = (1 << 32) - 2  # the highest of all means "none"


FIRST_ID = 1000
NOBODY = 65534
DYNAMIC = range(61184, 65520)
"""Ids of services with `DynamicUser=`."""

Key = TypeVar("Key")
Entry = TypeVar("Entry")


class User(NamedTuple):
    """One user."""

    name: str
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str


class Group(NamedTuple):
    """One group."""

    name: str
    gid: int
    members: tuple[str, ...]


Named = TypeVar("Named", User, Group)


class Accounts(Protocol):
    """A source of users and groups."""

    def users(self) -> Iterable[User]:
        """Return all users that the source lists."""

    def groups(self) -> Iterable[Group]:
        """Return all groups that the source lists."""

    def users_of(self, *, name: str | None = None, uid: int | None = None) -> Iterable[User]:
        """Return the users of a name or id, listed or not."""

    def groups_of(self, *, name: str | None = None, gid: int | None = None) -> Iterable[Group]:
        """Return the groups of a name or id, listed or not."""

    def group_ids(self, user: User) -> Iterable[int]:
        """Return the ids of all groups that *user* is in, the primary one included."""


def accounts(host: Host) -> Accounts:
    """Return the accounts of *host*."""
    return FileAccounts(host) if host.prefix else SystemAccounts(host)


class FileAccounts:
    """Accounts of ``/etc/passwd`` and ``/etc/group`` below the host's root."""

    def __init__(self, host: Host) -> None:
        """Read below the root of *host*."""
        self.host = host

    def users(self) -> Iterator[User]:
        """Yield the users; lines that are none are left out."""
        for fields in self._fields(PASSWD, 7):
            if fields[2].isdecimal() and fields[3].isdecimal():
                name, _, uid, gid, gecos, home, shell = fields
                yield User(name, int(uid), int(gid), gecos, home, shell)

    def groups(self) -> Iterator[Group]:
        """Yield the groups; lines that are none are left out."""
        for fields in self._fields(GROUP, 4):
            if fields[2].isdecimal():
                members = tuple(name for name in fields[3].split(",") if name)
                yield Group(fields[0], int(fields[2]), members)

    def users_of(self, *, name: str | None = None, uid: int | None = None) -> Iterator[User]:
        """Yield the users of a name or id."""
        return (user for user in self.users() if name == user.name or uid == user.uid)

    def groups_of(self, *, name: str | None = None, gid: int | None = None) -> Iterator[Group]:
        """Yield the groups of a name or id."""
        return (group for group in self.groups() if name == group.name or gid == group.gid)

    def group_ids(self, user: User) -> set[int]:
        """Return the ids of all groups that *user* is in."""
        return {user.gid} | {group.gid for group in self.groups() if user.name in group.members}

    def _fields(self, path: str, number: int) -> Iterator[list[str]]:
        try:
            content = os.fsdecode(self.host.path(path).read_bytes())
        except FileNotFoundError:
            return
        for line in content.split("\n"):
            fields = line.split(":")
            if len(fields) == number and fields[0] and fields[0][0] not in "#+-":
                yield fields


class SystemAccounts:
    """Accounts as the C library finds them, directory services included."""

    def __init__(self, host: Host) -> None:
        """Use the local files of *host* where the library tells one account of several."""
        self.local = FileAccounts(host)

    def users(self) -> Iterator[User]:
        """Yield the users; some services leave theirs out."""
        return map(_user, pwd.getpwall())

    def groups(self) -> Iterator[Group]:
        """Yield the groups; some services leave theirs out."""
        return map(_group, grp.getgrall())

    def users_of(self, *, name: str | None = None, uid: int | None = None) -> Iterator[User]:
        """Yield the users of a name or id, also those that are not listed.

        Several local users may share one id; the library returns the first.
        """
        if name is not None:
            yield from map(_user, _found(pwd.getpwnam, name))
        if uid is not None and 0 <= uid <= MAX_ID:
            yield from map(_user, _found(pwd.getpwuid, uid))
            yield from self.local.users_of(uid=uid)

    def groups_of(self, *, name: str | None = None, gid: int | None = None) -> Iterator[Group]:
        """Yield the groups of a name or id, also those that are not listed."""
        if name is not None:
            yield from map(_group, _found(grp.getgrnam, name))
        if gid is not None and 0 <= gid <= MAX_ID:
            yield from map(_group, _found(grp.getgrgid, gid))
            yield from self.local.groups_of(gid=gid)

    def group_ids(self, user: User) -> list[int]:
        """Return the ids of all groups that *user* is in, nested ones of directories too."""
        return os.getgrouplist(user.name, user.gid)


def _found(look_up: Callable[[Key], Entry], key: Key) -> list[Entry]:
    """Return what *look_up* finds, if anything."""
    try:
        return [look_up(key)]
    except (KeyError, ValueError):  # a name with a NUL is nobody's
        return []


def _user(entry: pwd.struct_passwd) -> User:
    return User(
        entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir, entry.pw_shell
    )


def _group(entry: grp.struct_group) -> Group:
    return Group(entry.gr_name, entry.gr_gid, tuple(entry.gr_mem))


def texts(values: Collection[object]) -> list[str]:
    """Return the wanted values that are text, sorted; blobs equal no name."""
    return sorted(value for value in values if isinstance(value, str))


def unique(entries: Iterable[Named]) -> Iterator[Named]:
    """Yield the first entry of each name, as lookups by name would find it."""
    seen: set[str] = set()
    for entry in entries:
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry


def first_id(host: Host, key: str) -> int:
    """Return the lowest id of people, `UID_MIN` or `GID_MIN` of ``/etc/login.defs``."""
    try:
        content = host.path(LOGIN_DEFS).read_text(errors="replace")
    except OSError:
        return FIRST_ID
    for line in content.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == key and words[1].isdecimal():
            return int(words[1])
    return FIRST_ID


def is_system_id(number: int, first: int) -> bool:
    """Return whether an id below *first*, of nobody, or made up by systemd belongs to no person.

    https://systemd.io/UIDS-GIDS/ lists the ranges.
    """
    return number < first or number == NOBODY or number in DYNAMIC
