"""Tests of finding files by pattern."""
# Names are put together as they are, some of them as bytes.
# ruff: noqa: PTH103, PTH118, PTH120

import fnmatch
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeek_agent_core.api import Where
from zeek_agent_core.errors import ParameterError, TableError
from zeek_agent_core.files.globs import expand
from zeek_agent_core.files.listing import FilesList
from zeek_agent_core.host import Host

NAMES = st.text(alphabet="ab.*[]!-\\x", min_size=1, max_size=3).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
PARTS = st.one_of(NAMES, st.sampled_from(["*", "?", "a*", "[ab]", "[!a]*", "**", ".*", "*]"]))
PATTERNS = st.builds(
    lambda parts, end: "/" + "/".join(parts) + end,
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
)


def find(table, pattern, **where):
    """Return the matching paths without SQL."""
    wanted = Where(frozenset({"path"}), {"_pattern": pattern}, **where)
    return [match.path for match in expand(table, wanted) if match is not None]


def oracle(root, pattern):
    """Return what should match, found by walking the whole tree."""
    wanted = [part for part in pattern.split("/") if part]
    found = []
    for directory, directories, names in os.walk(root):
        for name in directories + names:
            path = os.path.join(directory, name)
            parts = path[len(root) :].strip("/").split("/")
            if len(parts) != len(wanted) or (pattern.endswith("/") and name not in directories):
                continue
            pairs = zip(parts, wanted, strict=True)
            if all(part == want or fnmatch.fnmatchcase(part, want) for part, want in pairs):
                found.append(parts)
    return ["/" + "/".join(parts) for parts in sorted(found)]


@settings(max_examples=200, deadline=None)
@given(st.lists(PATHS, max_size=12), PATTERNS)
def test_matches_are_those_of_a_full_walk(paths, pattern):
    """Exactly the paths that match come, sorted; conditions on the path keep their rows."""
    with tempfile.TemporaryDirectory() as root:
        for path in paths:
            try:
                os.makedirs(root + os.path.dirname(path), exist_ok=True)
                Path(root + path).touch()
            except OSError:
                continue  # a file is in the way of a directory
        table = FilesList(Host(root))
        found = find(table, pattern)
        assert found == oracle(root, pattern)
        assert find(table, pattern, allowed={"path": frozenset(found)}) == sorted(found)
        for path in found:
            assert find(table, pattern, allowed={"path": frozenset({path})}) == [path]
            assert path in find(table, path)


async def test_dot_files_match(files):
    """A star matches names that start with a dot."""
    files.write("/a/.hidden")
    files.write("/a/seen")
    assert await files.paths("/a/*") == ["/a/.hidden", "/a/seen"]
    assert await files.paths("/**/seen") == ["/a/seen"]


async def test_trailing_slash_means_directories(files):
    """With a slash at the end only directories match, links to them included."""
    files.write("/a/dir/file")
    files.write("/a/file")
    (files.root / "a/link").symlink_to("dir")
    (files.root / "a/lost").symlink_to("nowhere")
    assert await files.paths("/a/*/") == ["/a/dir", "/a/link"]
    assert await files.paths("/a/file/") == []
    assert await files.paths("/a/dir/") == ["/a/dir"]
    assert await files.paths("/a/*/file") == ["/a/dir/file", "/a/link/file"]
    assert await files.paths("/a/lost") == ["/a/lost"]
    assert await files.paths("/") == ["/"]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a[1].txt", b"b\\xff", b"new\nline", b"\xc3\xa9*"])
async def test_shown_paths_find_their_file(files, name):
    """Any path in a result can be given as pattern, and the real file is opened."""
    files.write(b"/d/" + name, b"content")
    (path,) = await files.paths("/d/*")
    assert path == "/d/" + name.decode("utf-8", "backslashreplace")
    rows = await files.sql(
        "SELECT content FROM files_list('/d/*') l, files_lines(l.path) WHERE l.path IS NOT NULL"
    )
    assert rows == [(b"content",)]
    assert await files.paths("/d/*", f"path = '{path}'") == [path]


@pytest.mark.parametrize("pattern", ["", "etc", "./a", "a/*", "~nobody-of-this-name/x", "\0"])
async def test_relative_patterns_are_refused(files, pattern):
    """A pattern that is not absolute is an error, told as such."""
    with pytest.raises(ParameterError, match=r"file pattern|home directory"):
        find(files.tables["files_list"], pattern)


async def test_home_directory(files, monkeypatch):
    """A tilde is the home directory, whatever characters that has."""
    monkeypatch.setenv("HOME", "/home/[x]")
    files.write("/home/[x]/.profile")
    files.write("/home/x/.profile")
    assert await files.paths("~/.*") == ["/home/[x]/.profile"]


async def test_limit_is_an_error(files_with):
    """More matches than allowed end the query with a reason; fewer asked for do not."""
    files = files_with(max_matches=3)
    for name in "abcd":
        files.write(f"/{name}/file")
    with pytest.raises(TableError, match=r"more than 3 paths.*max_matches"):
        await files.paths("/*")
    with pytest.raises(TableError, match="more than 3 paths"):
        await files.paths("/[abc]/../*")
    assert await files.paths("/[abc]/*") == ["/a/file", "/b/file", "/c/file"]


async def test_prefix_is_pushed_down(files, monkeypatch):
    """With a prefix of the path, directories that cannot hold it are not listed."""
    for name in ("aa", "ab", "b"):
        files.write(f"/{name}/file")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert await files.paths("/*/*", "path LIKE '/A%'") == ["/aa/file", "/ab/file"]
    assert await files.paths("/*/*", "path GLOB '/b/*'") == ["/b/file"]
    assert await files.paths("/*/*", "path = '/b/file'") == ["/b/file"]
    names = [path[len(str(files.root)) :] for path in listed]
    assert names == ["/", "/aa/", "/ab/", "/", "/b/"]


def test_unreadable_directories_are_counted(files, unprivileged):
    """A directory that may not be listed has no matches, and counts as one warning."""
    files.write("/open/file")
    files.write("/shut/file")
    (files.root / "shut").chmod(0o700)
    table = files.tables["files_list"]
    found = unprivileged(lambda: (find(table, "/*/*"), table.warnings, table.last_warning))
    assert found == repr((["/open/file"], 1, "cannot list /shut: permission denied"))
    found = unprivileged(lambda: (find(table, "/shut/file"), table.warnings))
    assert found == repr(([], 1))


async def test_missing_is_no_warning(files):
    """What is not there, or no directory, is simply no match."""
    files.write("/file")
    assert await files.paths("/none/*") == []
    assert await files.paths("/file/*") == []
    assert files.warnings("files_list") == 0
