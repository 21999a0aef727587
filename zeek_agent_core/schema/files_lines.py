"""Declaration of ``files_lines``."""

from zeek_agent_core.api import EQ, PREFIX, RANGE, Column, Snapshot, Type


class FilesLines(Snapshot):
    """Lines of the text files whose path matches a pattern, one row per line.

    Patterns are those of `files_list`. Only regular files are read. A file that
    cannot be read has no rows and is counted as a warning. Lines longer than 1 MiB
    (`max_line_bytes` in `[tables.files]`) are cut, which is counted as well.
    """

    name = "files_lines"
    columns = (
        Column("_pattern", Type.TEXT, "pattern of the files to read"),
        Column("path", Type.TEXT, "full path of the file", pushdown=EQ | PREFIX),
        Column("number", Type.COUNT, "number of the line, from 1", pushdown=EQ | RANGE),
        Column("content", Type.BLOB, "the line without white space at either end"),
    )
    examples = (
        "SELECT number, content FROM files_lines('/etc/hosts')",
        "SELECT path, count(*) FROM files_lines('/home/*/.ssh/authorized_keys') GROUP BY path",
    )
