"""Declaration of ``groups``."""

from zeek_agent_core.api import EQ, Column, Snapshot, Type


class Groups(Snapshot):
    """User groups of the host, one row per group.

    `members` are those that the group itself lists. Users whose primary group it is are
    not among them; join with `users.gid` to find these.
    """

    name = "groups"
    columns = (
        Column("name", Type.TEXT, "name of the group", pushdown=EQ),
        Column("gid", Type.COUNT, "numeric id; NULL on Windows", pushdown=EQ),
        Column("sid", Type.TEXT, "security identifier; NULL except on Windows"),
        Column("is_system", Type.BOOL, "whether the group is part of the system"),
        Column("members", Type.SET, "names of the members that the group lists", element=Type.TEXT),
    )
    examples = (
        "SELECT name, members FROM groups WHERE name IN ('sudo', 'wheel', 'admin')",
        "SELECT g.name, u.name FROM groups g JOIN users u ON u.gid = g.gid",
    )
