"""Declaration of ``files_columns``."""

from zeek_agent_core.api import EQ, PREFIX, RANGE, Column, Snapshot, Type

IGNORE = r"^[ \t]*([#;]|$)"


class FilesColumns(Snapshot):
    r"""Columns of the text files whose path matches a pattern, one row per line.

    Patterns are those of `files_list`, and files are read as by `files_lines`. The
    columns to extract are given as a list of `$N:type`, for example
    `$1:text,$3:count`; `$0` is the whole line. Types are `text`, `blob`, `int`,
    `count`, `real`, `bool` (`true`, `yes`, `on`, `1` or the opposite), `address`,
    `port` (`80` or `80/tcp`), `time` (seconds since 1970, or RFC 3339), `interval`
    (seconds) and `enum`. What a line lacks, or does not convert, is NULL; of a number
    the leading digits count.

    The separator is taken literally, so that two in a row have an empty column between
    them; use `char(9)` for a tab. Without separator, columns are parted by white space.
    """

    name = "files_columns"
    columns = (
        Column("_pattern", Type.TEXT, "pattern of the files to read"),
        Column("_columns", Type.TEXT, "columns to extract, as list of `$N:type`"),
        Column(
            "_separator", Type.TEXT, "text between columns; empty means white space", default=""
        ),
        Column(
            "_ignore",
            Type.TEXT,
            "regular expression; lines in which it matches are left out, none if it is empty",
            default=IGNORE,
        ),
        Column("path", Type.TEXT, "full path of the file", pushdown=EQ | PREFIX),
        Column("number", Type.COUNT, "number of the line in the file, from 1", pushdown=EQ | RANGE),
        Column("columns", Type.RECORD, "the extracted columns, in the order asked for"),
    )
    examples = (
        "SELECT number, columns FROM files_columns('/etc/hosts', '$1:address,$2:text')",
        "SELECT columns FROM files_columns('/etc/passwd', '$1:text,$3:count', ':')",
    )
