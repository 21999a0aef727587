"""Declaration of ``sockets_events``, which every pack fills."""

from zeek_agent_core.api import EQ, Column, Sourced, Type


class SocketsEvents(Sourced):
    """Connections and listening sockets as they come and go.

    `established` is a connection that was opened or accepted, `failed` one
    that could not be opened, `listen` a socket that takes connections or
    datagrams from now on, `closed` the end of either, and `expired` a
    connection whose end was not seen. For UDP a connection is a socket with a
    fixed peer, or one that sent its first datagram.

    A user ID of 0 is root; NULL means that it is not known.
    """

    name = "sockets_events"
    columns = (
        Column("time", Type.TIME, "when it happened, by the clock of the kernel"),
        Column("pid", Type.COUNT, "process that did it", pushdown=EQ),
        Column("process", Type.TEXT, "name of that process"),
        Column("uid", Type.COUNT, "its effective user ID", pushdown=EQ),
        Column("gid", Type.COUNT, "its effective group ID"),
        Column("family", Type.TEXT, "`IPv4` or `IPv6`", pushdown=EQ),
        Column("protocol", Type.COUNT, "transport protocol: 6 TCP, 17 UDP", pushdown=EQ),
        Column("local_addr", Type.ADDRESS, "local address, `0.0.0.0` or `::` for any", pushdown=EQ),
        Column("local_port", Type.COUNT, "local port", pushdown=EQ),
        Column("remote_addr", Type.ADDRESS, "address of the peer", pushdown=EQ),
        Column("remote_port", Type.COUNT, "port of the peer", pushdown=EQ),
        Column(
            "state",
            Type.TEXT,
            "`established`, `failed`, `listen`, `closed`, `expired`; if asked for in the "
            "settings `open` for what was there when the first query began",
            pushdown=EQ,
        ),
        Column("direction", Type.TEXT, "`out` for opened, `in` for accepted; NULL if unknown"),
        Column("duration", Type.INTERVAL, "for `closed`: how long the connection lasted"),
        Column("sent", Type.COUNT, "for `closed`: bytes that the peer acknowledged"),
        Column("received", Type.COUNT, "for `closed`: bytes that came from the peer"),
        Column("error", Type.COUNT, "for `failed`: the system's error number"),
        Column("netns", Type.COUNT, "network namespace (Linux): its inode number"),
        Column("seuid", Type.TEXT, "ID of the socket, the same in all events on it"),
        Column("incomplete", Type.BOOL, "whether a value is NULL just because the source was late"),
    )
    examples = (
        "SELECT time, process, remote_addr FROM sockets_events WHERE direction = 'out'",
        "SELECT time, process, local_addr, local_port FROM sockets_events WHERE state = 'listen'",
    )
