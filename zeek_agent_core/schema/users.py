"""Declaration of ``users``."""

from zeek_agent_core.api import EQ, Column, Snapshot, Type


class Users(Snapshot):
    """User accounts of the host, one row per account.

    On Linux this is the user database including directory services (NSS). Some of these
    do not list their users; a query with `name = ...` or `uid = ...` finds them still.
    `is_admin` means uid 0 on Linux, or member of one of the groups `sudo`, `wheel` and
    `admin`; whoever gained rights in another way is not known here.
    """

    name = "users"
    columns = (
        Column("name", Type.TEXT, "login name", pushdown=EQ),
        Column("full_name", Type.TEXT, "full name or description; whole GECOS field on Linux"),
        Column("is_admin", Type.BOOL, "whether the user may administer the host"),
        Column("is_system", Type.BOOL, "whether the account is for a service, not for a person"),
        Column("uid", Type.TEXT, "numeric id as text; a SID on Windows", pushdown=EQ),
        Column("gid", Type.COUNT, "id of the primary group; NULL on Windows"),
        Column("home", Type.TEXT, "home directory"),
        Column("shell", Type.TEXT, "login shell; NULL on Windows"),
        Column("email", Type.TEXT, "email address, where the system knows one"),
    )
    examples = (
        "SELECT name, uid, shell FROM users WHERE is_system IS NOT 1",
        "SELECT name FROM users WHERE is_admin",
    )
