"""``file_events`` as a table; what it tells is tested with the kernel in `_audit`."""

from zeek_agent_linux.file_events import FileEvents


def test_the_order_of_columns_is_that_of_the_first_agent():
    """The columns of the first agent come first, as it declared them."""
    names = [column.name for column in FileEvents.columns]
    assert names[:12] == [
        "syscall", "pid", "ppid", "uid", "gid", "auid", "euid", "egid", "exe", "path", "inode",
        "time",
    ]  # fmt: skip
