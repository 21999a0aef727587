"""Declaration of ``process_events``: system calls of processes, as audited by the kernel."""

from zeek_agent_core.api import EQ, PREFIX, Column, Sourced, Type


class ProcessEvents(Sourced):
    """Programs executed and processes created, one row for each system call, as audited.

    Only calls that succeeded give a row; new threads give none. For a call
    that creates a process, `pid` is the one that called, `child_pid` the new
    one. A child's `execve` may come before its parent's `vfork`.

    Kernel auditing costs every process of the host time; it is switched on
    while a query reads this table, and off after the last one. What it needs,
    and how it gets on with auditd, stands in docs/auditing.md.
    """

    name = "process_events"
    columns = (
        Column(
            "syscall",
            Type.TEXT,
            "`execve`, `execveat`, `fork`, `vfork`, `clone`, `clone3`; on macOS `exec`, `fork`",
            EQ,
            aliases=("type",),
        ),
        Column("pid", Type.COUNT, "process that made the call", EQ, aliases=("process_id",)),
        Column(
            "ppid",
            Type.COUNT,
            "its parent",
            aliases=("parent", "parent_process_id"),
        ),
        Column("auid", Type.COUNT, "user ID with which the session logged in; NULL if none"),
        Column("uid", Type.COUNT, "real user ID", EQ),
        Column("euid", Type.COUNT, "effective user ID", EQ, aliases=("user_id",)),
        Column("gid", Type.COUNT, "real group ID"),
        Column("egid", Type.COUNT, "effective group ID", aliases=("group_id",)),
        Column("exe", Type.TEXT, "path of the program's file after the call", PREFIX),
        Column("exit", Type.INT, "what the call returned; the child's ID where it made one"),
        Column(
            "cmdline",
            Type.TEXT,
            "arguments, each in double quotes, joined by spaces; without the arguments "
            "themselves, the first 128 bytes of the process's own",
        ),
        Column("path", Type.TEXT, "the program as the call named it; may be relative to `cwd`"),
        Column("mode", Type.COUNT, "type and permissions of that file, as a number"),
        Column("inode", Type.COUNT, "its inode"),
        Column("ouid", Type.COUNT, "user ID of its owner", aliases=("owner_uid",)),
        Column("ogid", Type.COUNT, "group ID of its owner", aliases=("owner_gid",)),
        Column("cwd", Type.TEXT, "current directory of the process"),
        Column("time", Type.TIME, "when the kernel recorded it", aliases=("timestamp",)),
        Column("args", Type.VECTOR, "arguments, as they were passed", element=Type.TEXT),
        Column("comm", Type.TEXT, "short name of the process"),
        Column("tty", Type.TEXT, "its terminal; NULL if none"),
        Column("ses", Type.COUNT, "ID of its login session; NULL if none"),
        Column("key", Type.TEXT, "key of the audit rule that made the kernel record it"),
        Column("success", Type.BOOL, "whether the call succeeded: always true"),
        Column("arch", Type.TEXT, "of the call: `x86_64`, `i386`, `aarch64`, `arm`"),
        Column(
            "child_pid", Type.COUNT, "process that the call created; NULL if it may be a thread"
        ),
        Column("serial", Type.COUNT, "number of the audit event since the host started"),
        Column(
            "orig_ppid",
            Type.COUNT,
            "process ID of the first parent (macOS)",
            aliases=("orig_parent_process_id",),
        ),
        Column("platform_binary", Type.BOOL, "whether the program is part of the system (macOS)"),
        Column("signing_id", Type.TEXT, "identifier in the program's signature (macOS)"),
        Column("team_id", Type.TEXT, "team that signed the program (macOS)"),
        Column(
            "cdhash", Type.TEXT, "hash of its code directory, in lower-case hexadecimal (macOS)"
        ),
    )
    examples = (
        "SELECT time, pid, uid, exe, args FROM process_events WHERE syscall = 'execve'",
        "SELECT pid, path, cmdline, cwd, uid, gid, time, parent FROM process_events",
    )
    platforms = ("linux", "darwin")
