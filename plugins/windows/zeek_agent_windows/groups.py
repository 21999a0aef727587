"""``groups``: local groups of a Windows host."""

from collections.abc import Iterator

from zeek_agent_core.api import Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import groups
from zeek_agent_windows._accounts import Accounts, accounts, is_system_group


class Groups(groups.Groups):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`NetLocalGroupEnum`, `NetLocalGroupGetMembers`, through pywin32",
        needs="-",
        verified="a scripted host with what pywin32 gives",
        null=("gid",),
    )

    def __init__(self, host: Host, asked: Accounts | None = None) -> None:
        """Ask *asked*, which is the host's unless it is given."""
        super().__init__(host)
        self._accounts = asked

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per group."""
        try:
            for group in (self._accounts or accounts()).groups():
                if where.admits("name", group.name):
                    yield {
                        "name": group.name,
                        "sid": group.sid,
                        "is_system": is_system_group(group.sid),
                        "members": {name for _, name in group.members},
                    }
        except OSError as error:
            raise TableError(self.name, f"cannot list groups: {error}") from error


@hookimpl
def zeek_agent_tables(host: Host) -> list[Groups]:
    """Offer the table on the host itself."""
    return [Groups(host)] if host.platform == "windows" else []
