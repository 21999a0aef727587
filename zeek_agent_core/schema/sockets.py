"""Declaration of ``sockets``, which every pack fills."""

from zeek_agent_core.api import EQ, Column, Snapshot, Type


class Sockets(Snapshot):
    """IP sockets that are open on the host, with the processes that hold them.

    A socket gives one row however many processes share it: the oldest of them
    is its owner, for example the parent that passed it on.
    Sockets without a process, such as those in `TIME_WAIT`, have no `pid`.

    An IPv6 socket that talks IPv4 has the family `IPv6` and mapped addresses
    such as `::ffff:192.0.2.1`, as the system sees it. For raw sockets
    `local_port` is the number of the IP protocol they take, for ICMP (ping)
    sockets their identifier.

    On Linux the sockets of all network namespaces are listed that the agent
    may enter (as root: all). A query without `pid` and `process` is much
    cheaper, as no process is looked at; conditions on `state`, `protocol`,
    `family` and the ports are answered by the kernel.
    """

    name = "sockets"
    columns = (
        Column("pid", Type.COUNT, "process that holds the socket, NULL if unknown", pushdown=EQ),
        Column("process", Type.TEXT, "name of that process"),
        Column("family", Type.TEXT, "`IPv4` or `IPv6`", pushdown=EQ),
        Column(
            "protocol",
            Type.COUNT,
            "transport protocol: 6 TCP, 17 UDP, 136 UDP-Lite, 1 and 58 ICMP, 255 raw",
            pushdown=EQ,
        ),
        Column("local_addr", Type.ADDRESS, "local address, `0.0.0.0` or `::` for any", pushdown=EQ),
        Column("local_port", Type.COUNT, "local port", pushdown=EQ),
        Column("remote_addr", Type.ADDRESS, "address of the peer", pushdown=EQ),
        Column("remote_port", Type.COUNT, "port of the peer, 0 if there is none", pushdown=EQ),
        Column(
            "state",
            Type.TEXT,
            "state of a TCP socket, for example `LISTEN` or `ESTABLISHED`; NULL for others",
            pushdown=EQ,
        ),
        Column(
            "netns",
            Type.COUNT,
            "network namespace (Linux): its inode number, as in `/proc/<pid>/ns/net`",
            pushdown=EQ,
        ),
    )
    examples = (
        "SELECT pid, process, local_addr, local_port FROM sockets WHERE state = 'LISTEN'",
        "SELECT netns, count(*) FROM sockets GROUP BY netns",
        "SELECT remote_addr, remote_port FROM sockets WHERE state = 'ESTABLISHED'",
    )
