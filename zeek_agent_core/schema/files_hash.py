"""Declaration of ``files_hash``."""

from zeek_agent_core.api import EQ, PREFIX, RANGE, Column, Snapshot, Type


class FilesHash(Snapshot):
    """Hashes of the files whose path matches a pattern, one row per regular file.

    Patterns are those of `files_list`. Only the hashes that a query asks for are
    computed. A file that cannot be read has no row and is counted as a warning. The
    hashes of a file larger than 1 GiB (`max_hash_bytes` in `[tables.files]`) are NULL,
    which is counted as well.
    """

    name = "files_hash"
    columns = (
        Column("_pattern", Type.TEXT, "pattern of the files to hash"),
        Column("path", Type.TEXT, "full path of the file", pushdown=EQ | PREFIX),
        Column("size", Type.COUNT, "size in bytes", pushdown=EQ | RANGE),
        Column("md5", Type.TEXT, "MD5 of the content, in lower-case hexadecimal"),
        Column("sha1", Type.TEXT, "SHA-1 of the content, in lower-case hexadecimal"),
        Column("sha256", Type.TEXT, "SHA-256 of the content, in lower-case hexadecimal"),
    )
    examples = (
        "SELECT path, sha256 FROM files_hash('/etc/ssh/*')",
        "SELECT path, md5 FROM files_hash('/usr/bin/*') WHERE size < 100000 LIMIT 5",
    )
