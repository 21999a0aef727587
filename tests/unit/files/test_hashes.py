"""Tests of ``files_hash``."""

import hashlib
import os

import pytest


async def test_hashes(files):
    """Each hash is that of the content; other kinds of files have no row."""
    content = bytes(range(256)) * 20_000
    files.write("/d/a", content)
    files.write("/d/empty")
    os.mkfifo(files.root / "d/fifo")
    digests = [hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256")]
    rows = await files.sql("SELECT * FROM files_hash('/d/*')")
    assert rows[0] == ("/d/a", len(content), *digests)
    assert rows[1][:3] == ("/d/empty", 0, hashlib.md5(b"").hexdigest())
    assert len(rows) == 2


async def test_only_wanted_hashes(files, monkeypatch):
    """Hashes that no one asks for are not computed."""
    files.write("/a", b"x")
    used = []
    new = hashlib.new
    monkeypatch.setattr(hashlib, "new", lambda name, **more: used.append(name) or new(name, **more))
    assert await files.sql("SELECT path, size FROM files_hash('/a')") == [("/a", 1)]
    await files.sql("SELECT sha1 FROM files_hash('/a')")
    await files.sql("SELECT sha1 FROM files_hash('/a') WHERE size > 2")
    assert used == ["sha1"]


async def test_large_files_are_not_hashed(files_with):
    """Beyond the limit the hashes are NULL, and the file counts as one warning."""
    files = files_with(max_hash_bytes=10)
    files.write("/a", b"x" * 11)
    files.write("/b", b"x" * 10)
    rows = await files.sql("SELECT path, size, md5 IS NULL FROM files_hash('/*')")
    assert rows == [("/a", 11, 1), ("/b", 10, 0)]
    assert files.warnings("files_hash") == 1


@pytest.mark.parametrize("condition", ["size = 2", "size < 3", "size >= 2", "size IN (2, 9)"])
async def test_size_is_pushed_down(files, condition):
    """Conditions on the size give the same rows as filtering them all."""
    for size in range(4):
        files.write(f"/{size}", b"x" * size)
    found = await files.sql(f"SELECT * FROM files_hash('/*') WHERE {condition}")
    plain = condition.replace("size", "+size")
    assert found == await files.sql(f"SELECT * FROM files_hash('/*') WHERE {plain}")
    assert found
