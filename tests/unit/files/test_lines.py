"""Tests of ``files_lines`` and of cutting files into lines."""

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.api import PAUSE, Where
from zeek_agent_core.files.reading import Lines


@given(st.lists(st.binary(max_size=12)), st.integers(1, 20))
def test_lines_are_independent_of_chunks(chunks, longest):
    """However the content arrives, the lines are the same, and none is too long."""
    content = b"".join(chunks)
    expected = content.split(b"\n")
    if not expected[-1]:
        expected.pop()
    lines = Lines(longest)
    found = [line for block in lines.blocks(chunks) for line in block]
    assert found == [line[:longest] for line in expected]
    assert lines.cut == sum(len(line) > longest for line in expected)


async def test_rows(files):
    """Lines are numbered, trimmed at both ends; empty ones are rows, bytes stay as they are."""
    files.write("/a", b"one\n\n \t two\xff \r\n\x0b\x0c\nlast")
    rows = await files.sql("SELECT * FROM files_lines('/a')")
    assert rows == [
        ("/a", 1, b"one"),
        ("/a", 2, b""),
        ("/a", 3, b"two\xff"),
        ("/a", 4, b""),
        ("/a", 5, b"last"),
    ]


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("number = 2", [2]),
        ("number <= 2", [1, 2]),
        ("number IN (1, 3, 'x')", [1, 3]),
        ("number BETWEEN 2 AND 3", [2, 3]),
        ("number > 3", [4]),
        ("number = 0", []),
    ],
)
async def test_number_is_pushed_down(files, condition, numbers):
    """Conditions on the number give the lines they ask for."""
    files.write("/a", b"1\n2\n3\n4\n")
    rows = await files.sql(f"SELECT number FROM files_lines('/a') WHERE {condition}")
    assert [number for (number,) in rows] == numbers


async def test_only_regular_files_are_read(files):
    """Directories, FIFOs, devices and dangling links have no rows and block nothing."""
    files.write("/d/file", b"x")
    (files.root / "d/dir").mkdir()
    os.mkfifo(files.root / "d/fifo")
    (files.root / "d/lost").symlink_to("nowhere")
    (files.root / "d/null").symlink_to("/dev/zero")
    assert await files.sql("SELECT path FROM files_lines('/d/*')") == [("/d/file",)]
    assert files.warnings("files_lines") == 0


async def test_long_lines_are_cut(files_with):
    """A line beyond the limit is cut, and the file counts as one warning."""
    files = files_with(max_line_bytes=1000)
    files.write("/a", b"x" * 3_000_000 + b"\nshort\n")
    rows = await files.sql("SELECT number, length(content) FROM files_lines('/a')")
    assert rows == [(1, 1000), (2, 5)]
    assert files.warnings("files_lines") == 1


def test_unreadable_files_are_counted(files, unprivileged):
    """A file that may not be read has no rows, and counts as one warning."""
    files.write("/a", b"secret")
    files.write("/b", b"open")
    (files.root / "a").chmod(0o600)
    (files.root / "b").chmod(0o644)
    table = files.tables["files_lines"]
    where = Where(frozenset({"content"}), {"_pattern": "/*"})

    def read():
        rows = [row["content"] for row in table.rows(where) if row is not PAUSE]
        return rows, table.last_warning

    assert unprivileged(read) == repr(([b"open"], "cannot read /a: permission denied"))


def test_vanished_files_are_no_warning(files):
    """A file that goes between listing and opening is left out."""
    files.write("/d/a", b"1")
    files.write("/d/b", b"2")
    table = files.tables["files_lines"]
    rows = table.rows(Where(frozenset({"content"}), {"_pattern": "/d/*"}))
    assert next(row for row in rows if row is not PAUSE)["content"] == b"1"
    (files.root / "d/b").unlink()
    assert [row for row in rows if row is not PAUSE] == []
    assert table.warnings == 0


def test_memory_is_bounded(files):
    """A million lines are streamed."""
    files.write("/a", b"0123456789\n" * 1_000_000)
    table = files.tables["files_lines"]
    where = Where(frozenset({"content"}), {"_pattern": "/a"})
    tracemalloc.start()
    try:
        number = sum(1 for row in table.rows(where) if row is not PAUSE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 1_000_000
    assert peak < 8 << 20


async def test_kernel_files(files):
    """Files that state no size are read to their end."""
    from zeek_agent_core.files.lines import FilesLines
    from zeek_agent_core.host import Host
    from zeek_agent_core.sql.database import Database

    table = FilesLines(Host())
    async with Database([table]) as db:
        rows = (await db.execute("SELECT content FROM files_lines('/proc/self/status')")).rows
        taken = (await db.execute("SELECT content FROM files_lines('/proc/kmsg')")).rows
    assert rows[0][0].startswith(b"Name:")
    assert taken == []
    assert table.warnings == 1
