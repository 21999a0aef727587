"""``users``: accounts of the user database."""

from collections.abc import Iterable, Iterator
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, Where, hookimpl, storable
from zeek_agent_core.schema import users
from zeek_agent_linux._accounts import (
    Accounts,
    User,
    accounts,
    first_id,
    is_system_id,
    texts,
    unique,
)

ADMIN_GROUPS = ("sudo", "wheel", "admin")
"""Debian's, everyone else's, and old Ubuntu's."""


class Users(users.Users):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="the user database, directory services (NSS) included",
        needs="-",
        verified="tests on the running system",
        null=("email",),
    )

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per user; look up by name or id where the query allows it."""
        source = accounts(self.host)
        first = first_id(self.host, "UID_MIN") if where.wants("is_system") else 0
        admins = _admin_ids(source) if where.wants("is_admin") else None
        for user in unique(_wanted(source, where)):
            row: dict[str, Any] = {
                "name": storable(user.name),
                "full_name": storable(user.gecos) or None,
                "is_system": is_system_id(user.uid, first),
                "uid": str(user.uid),
                "gid": user.gid,
                "home": storable(user.home) or None,
                "shell": storable(user.shell) or None,
            }
            if admins is not None:
                row["is_admin"] = _is_admin(source, user, admins)
            yield row


def _wanted(source: Accounts, where: Where) -> Iterable[User]:
    """Return the users a query is about, perhaps with some others."""
    names, uids = where.values("name"), where.values("uid")
    if names is not None:
        return (user for name in texts(names) for user in source.users_of(name=name))
    if uids is not None:
        numbers = sorted(int(uid) for uid in texts(uids) if uid.isascii() and uid.isdecimal())
        return (user for uid in numbers for user in source.users_of(uid=uid))
    return source.users()


def _admin_ids(source: Accounts) -> set[int]:
    return {group.gid for name in ADMIN_GROUPS for group in source.groups_of(name=name)}


def _is_admin(source: Accounts, user: User, admins: set[int]) -> bool:
    if user.uid == 0 or user.gid in admins:
        return True
    return bool(admins) and not admins.isdisjoint(source.group_ids(user))


@hookimpl
def zeek_agent_tables(host: Host) -> list[Users]:
    """Offer the table; every host has users."""
    return [Users(host)]
