"""Declaration of ``files_events``, which every pack fills."""

from types import MappingProxyType

from zeek_agent_core.api import EQ, PREFIX, Column, Sourced, Type


class FilesEvents(Sourced):
    """Files and directories as they are made, changed, renamed and deleted.

    What is watched is said by `paths` of `[tables.files_events]`: patterns as
    for `files_list`, by default `/boot`, `/etc`, `/root/.ssh`, `/home/*/.ssh`,
    `/var/spool/cron` and the directories of programs in `/usr`. A directory that
    matches is watched with all that is below it, what is made later included;
    what is in a directory that comes from elsewhere is told as created.
    Each directory takes a watch, of which there are at most `max_watches`.
    Conditions on `path` save watches.

    Like events of one file and process within a tenth of a second are one row,
    with their number in `count`. Several writes may be one event already where
    they come from the kernel, and the order of what happens to a file in so
    short a time is then not known. Changes through memory maps are not seen.

    On Linux `fanotify` tells the process too (as root; `pid`, `process`, `exe`
    and `uid` are NULL where it was gone too soon), `inotify` does not, and
    `rescan` compares the files every `rescan_interval` seconds.
    """

    name = "files_events"
    columns = (
        Column("time", Type.TIME, "when the agent heard of it"),
        Column(
            "action",
            Type.TEXT,
            "`created`, `modified`, `renamed`, `deleted`; `attributes` for owner, mode, times",
            pushdown=EQ,
        ),
        Column(
            "path",
            Type.TEXT,
            r"full path; NULL if it was renamed to where nothing is watched; bytes that are not "
            r"UTF-8 appear as `\xNN`",
            pushdown=EQ | PREFIX,
        ),
        Column(
            "old_path",
            Type.TEXT,
            "for `renamed`: the path before; NULL if it came from where nothing is watched",
        ),
        Column("is_directory", Type.BOOL, "whether it is a directory"),
        Column("pid", Type.COUNT, "process that did it", pushdown=EQ),
        Column("process", Type.TEXT, "name of that process"),
        Column("exe", Type.TEXT, "path of its program"),
        Column("uid", Type.COUNT, "its effective user ID", pushdown=EQ),
        Column("count", Type.COUNT, "how many events this row stands for"),
    )
    settings = MappingProxyType(
        {
            **Sourced.settings,
            "paths": (
                "/boot",
                "/etc",
                "/root/.ssh",
                "/home/*/.ssh",
                "/usr/bin",
                "/usr/local/bin",
                "/usr/local/sbin",
                "/usr/sbin",
                "/var/spool/cron",
            ),
            "max_watches": 20_000,
            "rescan_interval": 60.0,
        }
    )
    examples = (
        "SELECT time, action, path, process, uid FROM files_events",
        "SELECT time, path, exe FROM files_events WHERE path LIKE '/etc/ssh/%'",
        "SELECT path, old_path, process FROM files_events WHERE action = 'renamed'",
    )
