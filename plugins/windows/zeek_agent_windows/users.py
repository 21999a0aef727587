"""``users``: local accounts of a Windows host."""

from collections.abc import Iterator

from zeek_agent_core.api import Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import users
from zeek_agent_windows._accounts import Accounts, accounts, administrators, is_system_user


class Users(users.Users):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`NetUserEnum`, `LookupAccountName`, through pywin32; profiles from the registry",
        needs="-",
        verified="a scripted host with what pywin32 gives",
        null=("gid", "shell", "email"),
    )

    def __init__(self, host: Host, asked: Accounts | None = None) -> None:
        """Ask *asked*, which is the host's unless it is given."""
        super().__init__(host)
        self._accounts = asked

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per account."""
        try:
            asked = self._accounts or accounts()
            admins = administrators(asked.groups()) if where.wants("is_admin") else frozenset()
            for user in asked.users():
                if not (where.admits("name", user.name) and where.admits("uid", user.sid)):
                    continue
                yield {
                    "name": user.name,
                    "full_name": user.full_name or None,
                    "is_admin": user.sid in admins or user.sid.endswith("-500"),
                    "is_system": is_system_user(user.sid),
                    "uid": user.sid,
                    "home": user.home,
                }
        except OSError as error:
            raise TableError(self.name, f"cannot list accounts: {error}") from error


@hookimpl
def zeek_agent_tables(host: Host) -> list[Users]:
    """Offer the table on the host itself."""
    return [Users(host)] if host.platform == "windows" else []
