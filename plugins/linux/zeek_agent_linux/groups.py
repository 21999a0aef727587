"""``groups``: groups of the user database."""

from collections.abc import Iterable, Iterator

from zeek_agent_core.api import Host, Origin, Row, Where, hookimpl, storable
from zeek_agent_core.schema import groups
from zeek_agent_linux._accounts import (
    Accounts,
    Group,
    accounts,
    first_id,
    is_system_id,
    texts,
    unique,
)


class Groups(groups.Groups):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="the group database, directory services (NSS) included",
        needs="-",
        verified="tests on the running system",
        null=("sid",),
    )

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per group; look up by name or id where the query allows it."""
        first = first_id(self.host, "GID_MIN") if where.wants("is_system") else 0
        for group in unique(_wanted(accounts(self.host), where)):
            yield {
                "name": storable(group.name),
                "gid": group.gid,
                "is_system": is_system_id(group.gid, first),
                "members": set(group.members),
            }


def _wanted(source: Accounts, where: Where) -> Iterable[Group]:
    """Return the groups a query is about, perhaps with some others."""
    names, gids = where.values("name"), where.values("gid")
    if names is not None:
        return (group for name in texts(names) for group in source.groups_of(name=name))
    if gids is not None:
        numbers = sorted(gid for gid in gids if isinstance(gid, int))
        return (group for gid in numbers for group in source.groups_of(gid=gid))
    return source.groups()


@hookimpl
def zeek_agent_tables(host: Host) -> list[Groups]:
    """Offer the table; every host has groups."""
    return [Groups(host)]
