"""Declaration of ``processes``, which every pack fills."""

from zeek_agent_core.api import EQ, Column, Snapshot, Type


class Processes(Snapshot):
    """Processes that run on the host, one row each; threads are not listed.

    The row of a process that must not be looked into has NULL where nothing
    is known. Memory and times are those of the moment; all other columns of
    one process stay as they are until it changes identity or executes another
    program, so that differences of them tell of real changes.

    On Linux the columns `exe`, `cmdline`, `cwd`, `tty`, `cgroup` and
    `container` cost extra work per process and are read only if asked for,
    and `WHERE pid = ...` looks at that process alone.
    """

    name = "processes"
    columns = (
        Column("name", Type.TEXT, "name of the process, short on Linux (15 bytes)", pushdown=EQ),
        Column("pid", Type.COUNT, "process ID", pushdown=EQ),
        Column("ppid", Type.COUNT, "process ID of the parent, 0 if it has none"),
        Column("uid", Type.COUNT, "effective user ID", pushdown=EQ),
        Column("gid", Type.COUNT, "effective group ID"),
        Column("ruid", Type.COUNT, "real user ID"),
        Column("rgid", Type.COUNT, "real group ID"),
        Column("priority", Type.TEXT, "priority, in the words or numbers of the platform"),
        Column(
            "startup",
            Type.INTERVAL,
            "when the process started, as time since 1970-01-01 UTC; constant for a process",
        ),
        Column("vsize", Type.COUNT, "virtual memory, in bytes"),
        Column("rsize", Type.COUNT, "resident memory, in bytes"),
        Column("utime", Type.INTERVAL, "CPU time spent in the program itself"),
        Column("stime", Type.INTERVAL, "CPU time spent in the kernel on its behalf"),
        Column(
            "exe",
            Type.TEXT,
            "path of the program as the process sees it; ` (deleted)` at the end: the file is gone",
        ),
        Column(
            "cmdline",
            Type.TEXT,
            "arguments, joined by spaces, at most 32,768 bytes; NULL for kernel threads",
        ),
        Column("cwd", Type.TEXT, "current directory"),
        Column("tty", Type.TEXT, "controlling terminal, for example `pts/0`; NULL if none"),
        Column("cgroup", Type.TEXT, "control group (Linux), without the mount point"),
        Column(
            "container",
            Type.TEXT,
            "ID or name of the container it runs in, taken from the control group; NULL if none",
        ),
    )
    volatile = frozenset({"priority", "vsize", "rsize", "utime", "stime"})
    examples = (
        "SELECT pid, name, uid FROM processes WHERE uid = 0",
        "SELECT pid, exe, cmdline FROM processes WHERE exe LIKE '% (deleted)'",
        "SELECT container, count(*) FROM processes WHERE container IS NOT NULL GROUP BY container",
    )
