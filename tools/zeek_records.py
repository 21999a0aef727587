"""The records in the Zeek scripts of tables, from the declarations of the tables.

A script names the columns in a comment, in the order of its log, and the record
follows it, up to the comment that ends it::

    # Columns of processes: name pid uid; of users: name=user
    type Columns: record {
        ...
    };
    # End of columns.

`name=user` is the table's column `name`, which the log calls `user`. A name that
is a word of Zeek's language gets an underscore.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from zeek_agent_core.table import Column, Table
from zeek_agent_core.values import Type

END = "\t# End of columns."
TYPES = {
    Type.ADDRESS: "addr",
    Type.BLOB: "string",
    Type.BOOL: "bool",
    Type.COUNT: "count",
    Type.ENUM: "string",
    Type.INT: "int",
    Type.INTERVAL: "interval",
    Type.REAL: "double",
    Type.TEXT: "string",
    Type.TIME: "time",
}
_LANGUAGE = """
    add addr any assert bool break case const copy count default delete double else enum event
    export fallthrough file for function global hook if in int interval is module next of opaque
    option pattern port print record redef return schedule set string subnet switch table time
    timeout type vector when while
"""
WORDS = frozenset(_LANGUAGE.split())
_BLOCK = re.compile(
    r"^\t# Columns of (?P<columns>[^\n]*(?:\n\t#  [^\n]*)*)\n"
    r"\ttype (?P<name>\w+): record \{\n.*?\n\t\};\n" + re.escape(END) + r"$",
    re.DOTALL | re.MULTILINE,
)

Find = Callable[[str], type[Table]]
"""Returns the table of a name."""


def with_records(text: str, find: Find) -> str:
    """Return the script *text* with all records written anew."""
    return _BLOCK.sub(lambda found: block(found, find), text)


def block(found: re.Match[str], find: Find) -> str:
    """Return one record with its comments."""
    head = found[0].partition(f"\ttype {found['name']}:")[0]
    fields = "\n".join(field(name, column) for name, column in columns(found["columns"], find))
    return f"{head}\ttype {found['name']}: record {{\n{fields}\n\t}};\n{END}"


def columns(text: str, find: Find) -> Iterator[tuple[str, Column]]:
    """Yield the name in the log, and the column, of each that a comment names."""
    for part in re.split(r";\s+of\s+", text.replace("\n\t#", " ")):
        table, _, names = part.partition(":")
        declared = {column.name: column for column in find(table.strip()).columns}
        for word in names.split():
            name, _, shown = word.partition("=")
            if name not in declared:
                raise SystemExit(f"table {table} has no column {name}")
            yield zeek_name(shown or name), declared[name]


def zeek_name(name: str) -> str:
    """Return *name* as a field of a Zeek record may be called."""
    return f"{name}_" if name in WORDS else name


def field(name: str, column: Column) -> str:
    """Return the line of one field."""
    comment = column.description.replace("`", "``")
    return f"\t\t{name}: {zeek_type(column)} &optional &log; ##< {comment}"


def zeek_type(column: Column) -> str:
    """Return the Zeek type of a column."""
    if column.type in {Type.SET, Type.VECTOR}:
        element = TYPES[column.element or Type.TEXT]
        return f"set[{element}]" if column.type is Type.SET else f"vector of {element}"
    return TYPES[column.type]


def scripts(root: Path) -> list[Path]:
    """Return the scripts that may have records."""
    return sorted((root / "zeek-scripts").rglob("*.zeek"))
