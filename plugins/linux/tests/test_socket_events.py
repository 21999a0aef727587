"""``socket_events`` as a table; what it tells is tested with the kernel in `_audit`."""

from zeek_agent_linux.socket_events import SocketEvents

from zeek_agent_core.api import Host


def test_older_names_are_understood(sql):
    """Queries written for the first agents run: by the names that columns had then."""
    row = {"syscall": "connect", "exe": "/bin/x", "family": 2, "pid": 7}
    table = SocketEvents(Host())
    statement = "SELECT action, pid, path FROM socket_events WHERE family=2"
    assert sql(statement, table, events={table.name: [row]}) == [("connect", 7, "/bin/x")]


def test_the_order_of_columns_is_that_of_the_first_agent():
    """The columns of the first agent come first, as it declared them."""
    names = [column.name for column in SocketEvents.columns]
    assert names[:17] == [
        "syscall",
        "pid",
        "ppid",
        "auid",
        "uid",
        "euid",
        "gid",
        "egid",
        "exe",
        "fd",
        "success",
        "family",
        "local_address",
        "remote_address",
        "local_port",
        "remote_port",
        "time",
    ]
