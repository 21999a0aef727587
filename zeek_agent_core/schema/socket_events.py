"""Declaration of ``socket_events``: system calls on sockets, as audited by the kernel."""

from zeek_agent_core.api import EQ, PREFIX, Column, Sourced, Type


class SocketEvents(Sourced):
    """Sockets bound, connected and accepted, one row for each system call, as audited.

    Calls that failed are reported as well. A `connect` that does not wait
    returns -115 and is no failure: the connection is under way.

    The kernel records one side of the socket. The other is looked up in the
    process, and is NULL where that was gone already. Unix sockets are reported
    if the settings ask for them. `sockets_events` costs less and knows the end
    of connections; this table is for those who have audit records anyway.
    """

    name = "socket_events"
    columns = (
        Column(
            "syscall",
            Type.TEXT,
            "`bind`, `connect`, `accept`, `accept4`",
            EQ,
            aliases=("action", "type"),
        ),
        Column("pid", Type.COUNT, "process that made the call", EQ, aliases=("process_id",)),
        Column("ppid", Type.COUNT, "its parent"),
        Column("auid", Type.COUNT, "user ID with which the session logged in; NULL if none"),
        Column("uid", Type.COUNT, "real user ID", EQ),
        Column("euid", Type.COUNT, "effective user ID", EQ, aliases=("user_id",)),
        Column("gid", Type.COUNT, "real group ID"),
        Column("egid", Type.COUNT, "effective group ID", aliases=("group_id",)),
        Column("exe", Type.TEXT, "path of the program's file", PREFIX, aliases=("path",)),
        Column("fd", Type.INT, "descriptor of the socket; for `accept` that of the new one"),
        Column("success", Type.BOOL, "whether the call succeeded"),
        Column("family", Type.COUNT, "address family: 1 Unix, 2 IPv4, 10 IPv6"),
        Column("local_address", Type.TEXT, "local address, or path of a Unix socket"),
        Column("remote_address", Type.TEXT, "address of the peer, or path of a Unix socket"),
        Column("local_port", Type.COUNT, "local port"),
        Column("remote_port", Type.COUNT, "port of the peer"),
        Column("time", Type.TIME, "when the kernel recorded it", aliases=("timestamp",)),
        Column("exit", Type.INT, "what the call returned; a negative error number if it failed"),
        Column("protocol", Type.COUNT, "transport protocol: 6 TCP, 17 UDP; NULL if not known"),
        Column("comm", Type.TEXT, "short name of the process"),
        Column("ses", Type.COUNT, "ID of its login session; NULL if none"),
        Column("key", Type.TEXT, "key of the audit rule that made the kernel record it"),
        Column("arch", Type.TEXT, "of the call: `x86_64`, `i386`, `aarch64`, `arm`"),
        Column("serial", Type.COUNT, "number of the audit event since the host started"),
        Column("seuid", Type.TEXT, "ID of this row, unlike that of any other row of any agent"),
    )
    examples = (
        "SELECT time, exe, remote_address, remote_port FROM socket_events WHERE success = 1",
        "SELECT action, pid, fd, path, local_address, remote_address FROM socket_events",
    )
    platforms = ("linux", "darwin")
