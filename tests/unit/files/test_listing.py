"""Tests of ``files_list``."""

import os
import socket
from types import SimpleNamespace

from zeek_agent_core.files.listing import attributes

STOCK = "path, type, uid, gid, mode, mtime, size, link_target"


async def test_kinds_and_columns(files):
    """Files of all kinds are told apart; a dangling link has its path and target only."""
    files.write("/d/file", b"12345")
    path = files.root / "d/file"
    path.chmod(0o4750)
    os.utime(path, ns=(0, 1_500_000_000_123_456_789))
    os.mkfifo(files.root / "d/fifo")
    (files.root / "d/dir").mkdir(mode=0o700)
    (files.root / "d/link").symlink_to("file")
    (files.root / "d/lost").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(files.root / "d/sock"))
    me = (os.getuid(), os.getgid())
    rows = {row[0]: row[1:] for row in await files.sql(f"SELECT {STOCK} FROM files_list('/d/*')")}
    status = ("file", *me, "4750", 1_500_000_000_123_456, 5)
    assert rows["/d/file"] == (*status, None)
    assert rows["/d/link"] == (*status, "file")
    assert rows["/d/lost"] == (None,) * 6 + ("nowhere",)
    assert rows["/d/dir"][0] == "dir"
    assert rows["/d/dir"][3] == "700"
    assert (rows["/d/fifo"][0], rows["/d/sock"][0]) == ("fifo", "socket")


async def test_path_alone_needs_no_look(files, monkeypatch):
    """If only the path is wanted, files are not looked at."""
    files.write("/d/file")
    seen = []
    stat, readlink = os.stat, os.readlink
    monkeypatch.setattr(os, "stat", lambda path, **more: seen.append(path) or stat(path, **more))
    monkeypatch.setattr(os, "readlink", lambda path: seen.append(path) or readlink(path))
    assert await files.paths("/d/*") == ["/d/file"]
    assert not [path for path in seen if str(path).startswith(str(files.root))]


async def test_vanished_files_have_no_row(files):
    """A file that goes between listing and looking is left out."""
    files.write("/d/a")
    files.write("/d/b")
    table = files.tables["files_list"]
    from zeek_agent_core.api import PAUSE, Where

    rows = table.rows(Where(frozenset({"path", "size"}), {"_pattern": "/d/*"}))
    assert next(row for row in rows if row is not PAUSE)["path"] == "/d/a"
    (files.root / "d/b").unlink()
    assert [row for row in rows if row is not PAUSE] == []


async def test_live():
    """On this host the null device is a character device."""
    from zeek_agent_core.files.listing import FilesList
    from zeek_agent_core.host import Host
    from zeek_agent_core.sql.database import Database

    async with Database([FilesList(Host())]) as db:
        result = await db.execute("SELECT type, uid, mode FROM files_list('/dev/nul?')")
    assert result.rows == [("char", 0, "666")]


def test_windows_attributes():
    """The bits of Windows have names; other systems have none."""
    status = SimpleNamespace(st_file_attributes=0x2 | 0x4 | 0x20 | 0x400 | 0x80000000)
    assert attributes(status) == {"hidden", "system", "archive", "reparse_point"}
    assert attributes(SimpleNamespace()) is None
