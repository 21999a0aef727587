"""Declaration of ``processes_events``, which every pack fills."""

from zeek_agent_core.api import EQ, PREFIX, Column, Sourced, Type


class ProcessesEvents(Sourced):
    """Processes as they start and stop, with those that live too short for `processes`.

    A row of state `started` tells that a process executed a program, one of
    state `stopped` that the process ended; threads give none. A process that
    executes several programs gives a row for each. Failed executions give none.

    What the source at work cannot know is NULL, and `incomplete` is true
    where another source would have known it: `zeek_agent_tables` shows which
    source it is.
    """

    name = "processes_events"
    columns = (
        Column("time", Type.TIME, "when it happened, by the clock of the kernel"),
        Column("name", Type.TEXT, "path of the program as it was executed, or its short name"),
        Column("pid", Type.COUNT, "process ID", pushdown=EQ),
        Column("ppid", Type.COUNT, "process ID of the parent"),
        Column("uid", Type.COUNT, "effective user ID", pushdown=EQ),
        Column("gid", Type.COUNT, "effective group ID"),
        Column("ruid", Type.COUNT, "real user ID"),
        Column("rgid", Type.COUNT, "real group ID"),
        Column("priority", Type.TEXT, "priority, in the words or numbers of the platform"),
        Column("duration", Type.INTERVAL, "how long the process has lived"),
        Column("vsize", Type.COUNT, "virtual memory, in bytes"),
        Column("rsize", Type.COUNT, "resident memory, in bytes"),
        Column("utime", Type.INTERVAL, "CPU time spent in the program itself"),
        Column("stime", Type.INTERVAL, "CPU time spent in the kernel on its behalf"),
        Column(
            "state",
            Type.TEXT,
            "`started`, `stopped`; if asked for in the settings: `forked`, and `running` for what "
            "was there when the first query began",
            pushdown=EQ,
        ),
        Column("exe", Type.TEXT, "path of the program's file", pushdown=PREFIX),
        Column("cmdline", Type.TEXT, "arguments, joined by spaces; may be cut at the end"),
        Column("cwd", Type.TEXT, "current directory"),
        Column(
            "startup",
            Type.INTERVAL,
            "when the process started, as time since 1970-01-01 UTC, as in `processes`",
        ),
        Column("exit_code", Type.COUNT, "for `stopped`: exit status, NULL if a signal ended it"),
        Column("exit_signal", Type.COUNT, "for `stopped`: number of the signal that ended it"),
        Column("auid", Type.COUNT, "user ID with which the session logged in; NULL if none"),
        Column("cgroup", Type.TEXT, "control group (Linux), without the mount point"),
        Column("container", Type.TEXT, "ID or name of the container it runs in; NULL if none"),
        Column("incomplete", Type.BOOL, "whether a value is NULL just because the source was late"),
    )
    examples = (
        "SELECT time, name, pid, ppid, uid, state FROM processes_events",
        "SELECT time, uid, exe, cmdline FROM processes_events WHERE state = 'started'",
        "SELECT time, name, duration FROM processes_events WHERE exit_signal IS NOT NULL",
    )
