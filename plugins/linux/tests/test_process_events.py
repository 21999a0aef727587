"""``process_events`` as a table; what it tells is tested with the kernel in `_audit`."""

import pytest
from zeek_agent_linux.process_events import ProcessEvents

from zeek_agent_core.api import Host
from zeek_agent_core.errors import ConfigError

ROW = {"syscall": "execve", "pid": 2, "ppid": 1, "ouid": 3, "ogid": 4, "euid": 5, "time": 6}


def test_older_names_are_understood(sql):
    """Queries written for the first agents run: by the names that columns had then."""
    table = ProcessEvents(Host())
    statement = "SELECT pid, path, time, parent, owner_uid, owner_gid FROM process_events"
    assert sql(statement, table, events={table.name: [ROW]}) == [(2, None, 6, 1, 3, 4)]
    statement = "SELECT process_id, user_id, timestamp, parent_process_id FROM process_events"
    assert sql(statement, table, events={table.name: [ROW]}) == [(2, 5, 6, 1)]


def test_the_order_of_columns_is_that_of_the_first_agent(sql):
    """`*` stands for the known columns first, and never for older names."""
    names = [column.name for column in ProcessEvents.columns]
    assert names[:18] == [
        "syscall",
        "pid",
        "ppid",
        "auid",
        "uid",
        "euid",
        "gid",
        "egid",
        "exe",
        "exit",
        "cmdline",
        "path",
        "mode",
        "inode",
        "ouid",
        "ogid",
        "cwd",
        "time",
    ]
    table = ProcessEvents(Host())
    (row,) = sql("SELECT * FROM process_events", table, events={table.name: [ROW]})
    assert len(row) == len(names)


def test_it_is_offered_where_the_kernel_audits(tmp_path):
    """A kernel without auditing has no login IDs, and no such table."""
    from zeek_agent_linux.process_events import zeek_agent_tables

    assert zeek_agent_tables(Host(tmp_path)) == []
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/loginuid").touch()
    assert len(zeek_agent_tables(Host(tmp_path))) == 1
    assert zeek_agent_tables(Host(tmp_path, {"audit": {"source": "off"}})) == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"source": "bpf"}, "'bpf' is none of audisp"), ({"syscalls": ["exec"]}, "'exec' is none of")],
)
def test_settings_that_mean_nothing_are_refused(settings, reason):
    """A source or a group of calls that is not known is an error that names those that are."""
    with pytest.raises(ConfigError, match=reason):
        ProcessEvents(Host(settings={"audit": settings})).check_settings()


def test_what_it_is_stands_in_its_description():
    """The table is described by its declaration."""
    assert ProcessEvents.summary().startswith("Programs executed and processes created")
