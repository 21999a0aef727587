"""``users``: accounts of Open Directory."""

from collections.abc import Iterator
from typing import Any

from zeek_agent_core.api import PAUSE, Host, Origin, Row, Where, hookimpl
from zeek_agent_core.schema import users
from zeek_agent_darwin._directory import (
    Directory,
    LocalDirectory,
    admins,
    first,
    is_system,
    number,
    read,
)

ATTRIBUTES = (
    "RecordName", "RealName", "UniqueID", "PrimaryGroupID", "NFSHomeDirectory", "UserShell",
    "EMailAddress", "IsHidden",
)  # fmt: skip


class Users(users.Users):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`dscl . -readall /Users`, hidden accounts included; groups by `getgrouplist`",
        needs="-",
        verified="property lists written after dscl's documentation",
    )

    def __init__(self, host: Host, directory: Directory | None = None) -> None:
        """Ask *directory*, which is the host's unless it is given."""
        super().__init__(host)
        self._directory: Directory = directory or LocalDirectory()

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per account."""
        for record in read(self._directory, "Users", ATTRIBUTES):
            name, uid = first(record, "RecordName"), number(record, "UniqueID")
            row: dict[str, Any] = {
                "name": name,
                "full_name": first(record, "RealName"),
                "is_system": is_system(record, uid),
                "uid": None if uid is None else str(uid),
                "gid": number(record, "PrimaryGroupID"),
                "home": first(record, "NFSHomeDirectory"),
                "shell": first(record, "UserShell"),
                "email": first(record, "EMailAddress"),
            }
            if not (where.admits("name", name) and where.admits("uid", row["uid"])):
                yield PAUSE
                continue
            if where.wants("is_admin"):
                row["is_admin"] = uid == 0 or admins(self._directory, str(name), row["gid"])
            yield row


@hookimpl
def zeek_agent_tables(host: Host) -> list[Users]:
    """Offer the table on the host itself."""
    return [Users(host)] if host.platform == "darwin" else []
