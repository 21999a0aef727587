"""Declaration of ``file_events``: files opened, as audited by the kernel."""

from zeek_agent_core.api import EQ, PREFIX, Column, Sourced, Type


class FileEvents(Sourced):
    """Files opened and created, one row for each system call, as audited.

    Calls that failed are reported as well. Files are opened all the time, so
    this is off unless the settings say for which directories it is wanted, or
    somebody else's audit rules record such calls. `files_events` tells of
    changes at a far smaller price.
    """

    name = "file_events"
    columns = (
        Column(
            "syscall",
            Type.TEXT,
            "`open`, `openat`, `openat2`, `create` for the call creat; on macOS `open`, `create`, "
            "`rename`, `unlink`; on Windows `create`, `modify`, `rename`, `unlink`",
            EQ,
            aliases=("type",),
        ),
        Column("pid", Type.COUNT, "process that made the call", EQ, aliases=("process_id",)),
        Column("ppid", Type.COUNT, "its parent", aliases=("parent_process_id",)),
        Column("uid", Type.COUNT, "real user ID", EQ),
        Column("gid", Type.COUNT, "real group ID"),
        Column("auid", Type.COUNT, "user ID with which the session logged in; NULL if none"),
        Column("euid", Type.COUNT, "effective user ID", EQ, aliases=("user_id",)),
        Column("egid", Type.COUNT, "effective group ID", aliases=("group_id",)),
        Column("exe", Type.TEXT, "path of the program's file", PREFIX),
        Column(
            "path",
            Type.TEXT,
            "path of the file; relative where its directory is not known",
            PREFIX,
            aliases=("file_path",),
        ),
        Column("inode", Type.COUNT, "its inode; NULL if there is no such file"),
        Column("time", Type.TIME, "when the kernel recorded it", aliases=("timestamp",)),
        Column("success", Type.BOOL, "whether the call succeeded"),
        Column("exit", Type.INT, "the descriptor; a negative error number if it failed"),
        Column("flags", Type.COUNT, "how it was opened, as in open(2); NULL for `openat2`"),
        Column("created", Type.BOOL, "whether the call made the file"),
        Column("comm", Type.TEXT, "short name of the process"),
        Column("ses", Type.COUNT, "ID of its login session; NULL if none"),
        Column("key", Type.TEXT, "key of the audit rule that made the kernel record it"),
        Column("arch", Type.TEXT, "of the call: `x86_64`, `i386`, `aarch64`, `arm`"),
        Column("serial", Type.COUNT, "number of the audit event since the host started"),
        Column("destination", Type.TEXT, "for `rename`: the new path (macOS, Windows)"),
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
        "SELECT time, exe, path, success FROM file_events WHERE path LIKE '/etc/%'",
        "SELECT time, uid, exe, path FROM file_events WHERE created = 1",
    )
    platforms = ("linux", "darwin", "windows")
