"""Declaration of ``files_list``."""

from zeek_agent_core.api import EQ, PREFIX, Column, Snapshot, Type


class FilesList(Snapshot):
    """Files and directories whose path matches a pattern, one row per path.

    The pattern is absolute, or starts with `~` for the home directory of the
    agent's user. `*`, `?`, `[abc]` and `[!abc]` match within one component of the
    path; `*` includes names that start with a dot, and `**` means no more than `*`.
    A trailing `/` asks for directories only. Rows come sorted, one directory after
    the other. Directories that cannot be read are counted as warnings; more than
    100,000 matches (`max_matches` in `[tables.files]`) are an error.

    Links are followed: all columns but `path` and `link_target` describe what a link
    points to, and are NULL where that does not exist.
    """

    name = "files_list"
    columns = (
        Column("_pattern", Type.TEXT, "pattern of the paths to list"),
        Column(
            "path",
            Type.TEXT,
            r"full path; bytes that are not UTF-8 appear as `\xNN`",
            pushdown=EQ | PREFIX,
        ),
        Column("type", Type.TEXT, "`file`, `dir`, `block`, `char`, `fifo`, `socket`, else `other`"),
        Column("uid", Type.COUNT, "numeric id of the owner; NULL on Windows"),
        Column("gid", Type.COUNT, "numeric id of the group; NULL on Windows"),
        Column("mode", Type.TEXT, "permissions in octal, for example `644` or `4755`"),
        Column("mtime", Type.TIME, "when the content was last modified"),
        Column("size", Type.COUNT, "size in bytes"),
        Column("link_target", Type.TEXT, "what the path points to, where it is a symbolic link"),
        Column(
            "attributes",
            Type.SET,
            "attributes on Windows, such as `hidden`, `system`, `readonly`, `reparse_point`",
            element=Type.TEXT,
        ),
    )
    examples = (
        "SELECT path, size, iso(mtime) FROM files_list('/etc/*') WHERE type = 'file'",
        "SELECT path FROM files_list('~/.*')",
        "SELECT path, mode FROM files_list('/usr/bin/*') WHERE mode LIKE '4___'",
    )
