"""Tests of ``files_events``, on a file system of their own, with the kernel's own events."""

import asyncio
import ctypes
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from zeek_agent_linux import _actors, _fanotify
from zeek_agent_linux._actors import Actor
from zeek_agent_linux.files_events import FilesEvents

from plugins.linux.tests.listening import Listener, made
from zeek_agent_core.api import Prefix, Where
from zeek_agent_core.errors import ConfigError
from zeek_agent_core.testing.conformance import check_table

SOURCES = pytest.mark.parametrize("source", ["fanotify", "inotify"])
NOBODY = 65534
PYTHON = str(Path(sys.executable).resolve())


@pytest.fixture
def tree():
    """Return a directory on a file system of its own, which other users may enter."""
    directory = Path(tempfile.mkdtemp(prefix="zeek-agent-test-"))
    subprocess.run(["mount", "-t", "tmpfs", "zatest", str(directory)], check=True)
    try:
        directory.chmod(0o755)
        (directory / "w/sub").mkdir(parents=True)
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


def run_here(command):
    """Return what *command* prints."""
    root = Path(__file__).parents[3]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout


def watching(tree, source, *paths, **settings):
    """Return a listener to a table that watches *paths* of *tree*, or `w`."""
    patterns = tuple(str(tree / path) for path in paths or ("w",))
    return Listener(made(FilesEvents, source=source, paths=patterns, **settings))


def seen(found, tree):
    """Return what was told, with short paths."""
    short = f"{tree}/"

    def cut(path):
        return path and path.removeprefix(short)

    return [(row["action"], cut(row["path"]), cut(row["old_path"])) for row in found.rows]


async def tells(found, tree, *expected):
    """Wait until *expected* was told, each once, and nothing else of the same path."""
    await found.until(lambda: set(expected) <= set(seen(found, tree)))
    await asyncio.sleep(0.25)
    told = seen(found, tree)
    assert [told.count(each) for each in expected] == [1] * len(expected), told


@SOURCES
async def test_what_happens_to_a_file(tree, source):
    """A file that is made, changed, renamed and deleted is told of each time."""
    async with watching(tree, source) as found:
        assert found.table.source == source
        file = tree / "w/f"
        file.touch()
        await tells(found, tree, ("created", "w/f", None))
        file.write_text("content")
        await tells(found, tree, ("modified", "w/f", None))
        file.chmod(0o600)
        await found.until(lambda: ("attributes", "w/f", None) in seen(found, tree))
        file.rename(tree / "w/sub/g")
        await tells(found, tree, ("renamed", "w/sub/g", "w/f"))
        (tree / "w/sub/g").unlink()
        await tells(found, tree, ("deleted", "w/sub/g", None))
        assert not any(found.values("is_directory"))


@SOURCES
async def test_out_and_in(tree, source):
    """Of a file that leaves or comes, the name that is outside may be unknown."""
    async with watching(tree, source) as found:
        (tree / "w/f").touch()
        (tree / "w/f").rename(tree / "out")
        await found.until(lambda: any(a == "renamed" for a, _, _ in seen(found, tree)))
        (tree / "out").rename(tree / "w/back")
        await found.until(lambda: len([a for a, _, _ in seen(found, tree) if a == "renamed"]) == 2)
        out, back = [each for each in seen(found, tree) if each[0] == "renamed"]
        assert out in [("renamed", None, "w/f"), ("renamed", "out", "w/f")]
        assert back in [("renamed", "w/back", None), ("renamed", "w/back", "out")]


@SOURCES
async def test_new_directories(tree, source):
    """Files in directories that are made together with them are told of, however deep."""
    async with watching(tree, source) as found:
        for number in range(20):
            deep = tree / f"w/{number}/a/b/c"
            deep.mkdir(parents=True)
            (deep / "file").touch()
        expected = [("created", f"w/{number}/a/b/c/file", None) for number in range(20)]
        await tells(found, tree, *expected)
        (tree / "w/7/a/b/c/later").touch()
        await tells(found, tree, ("created", "w/7/a/b/c/later", None))


@SOURCES
async def test_a_directory_is_renamed(tree, source):
    """Files in a renamed directory are told of under its new name."""
    (tree / "w/sub/deep").mkdir()
    async with watching(tree, source) as found:
        (tree / "w/sub").rename(tree / "w/new")
        await tells(found, tree, ("renamed", "w/new", "w/sub"))
        (tree / "w/new/deep/f").touch()
        await tells(found, tree, ("created", "w/new/deep/f", None))
        (tree / "w/new").rename(tree / "elsewhere")
        await found.until(lambda: [old for _, _, old in seen(found, tree)].count("w/new"))
        await asyncio.sleep(0.3)
        (tree / "elsewhere/deep/unseen").touch()
        (tree / "w/seen").touch()
        await tells(found, tree, ("created", "w/seen", None))
        assert not [path for _, path, _ in seen(found, tree) if path and "unseen" in path]


@SOURCES
async def test_a_directory_comes_and_goes(tree, source):
    """A directory that is watched may vanish, and be made anew."""
    async with watching(tree, source, "w", "home/*/.ssh") as found:
        subprocess.run(["rm", "-r", str(tree / "w")], check=True)  # noqa: ASYNC221
        await tells(found, tree, ("deleted", "w/sub", None), ("deleted", "w", None))
        (tree / "w").mkdir()
        (tree / "w/again").touch()
        await tells(found, tree, ("created", "w", None), ("created", "w/again", None))
        (tree / "home/ann/.ssh").mkdir(parents=True)
        (tree / "home/ann/.ssh/authorized_keys").touch()
        (tree / "home/ann/other").touch()
        await tells(found, tree, ("created", "home/ann/.ssh/authorized_keys", None))
        assert "home/ann/other" not in [path for _, path, _ in seen(found, tree)]


def play(rows, start):
    """Return the paths that there are after all *rows*, with *start* to begin with."""
    paths = set(start)
    for row in rows:
        path, old = row["path"], row["old_path"]
        if row["action"] == "created":
            paths.add(path)
        elif row["action"] == "deleted":
            paths.discard(path)
        elif row["action"] == "renamed":
            moved = {each for each in paths if each == old or each.startswith(f"{old}/")}
            paths -= moved
            if path is not None:
                paths |= {path, *(path + each[len(old) :] for each in moved)}
    return paths


def shuffle(top, seed):
    """Make, rename and delete files and directories below *top*, each name only once."""
    chance = random.Random(seed)
    directories, files = [top], []
    for number in range(300):
        where = chance.choice(directories)
        match chance.choice(["mkdir", "touch", "touch", "rename", "move", "unlink"]):
            case "mkdir":
                directories.append(where / f"d{number}")
                directories[-1].mkdir()
            case "touch":
                files.append(where / f"f{number}")
                files[-1].touch()
            case "rename" if files:
                old = files.pop(chance.randrange(len(files)))
                files.append(old.rename(where / f"r{number}"))
            case "unlink" if files:
                files.pop(chance.randrange(len(files))).unlink()
            case "move" if len(directories) > 1:
                old = chance.choice(directories[1:])
                new = old.rename(top / f"m{number}")
                for known in (directories, files):
                    known[:] = [new / p.relative_to(old) if p.is_relative_to(old) else p
                                for p in known]  # fmt: skip
        if not chance.randrange(20):
            time.sleep(0.03)


@SOURCES
@pytest.mark.parametrize("seed", range(2))
async def test_what_is_told_leads_to_what_is_there(tree, source, seed):
    """Of any tangle of new, renamed and deleted directories and files nothing is missed."""
    top = tree / "w"
    start = {str(path) for path in top.rglob("*")}
    async with watching(tree, source) as found:
        await asyncio.to_thread(shuffle, top, seed)
        there = {str(path) for path in top.rglob("*")}
        with suppress(AssertionError):
            await found.until(lambda: play(found.rows, start) == there, 5)
        assert play(found.rows, start) == there
        assert found.table.losses == {}


AS_NOBODY = """
import os, sys, time
os.setgid({id}); os.setuid({id})
open(sys.argv[1], "w").close()
time.sleep(0.5)
"""


async def test_who_did_it(tree):
    """The process is told, with its name, its program and its effective user."""
    (tree / "w").chmod(0o777)
    async with watching(tree, "fanotify") as found:
        code = AS_NOBODY.format(id=NOBODY)
        command = [sys.executable, "-c", code, str(tree / "w/theirs")]
        child = await asyncio.create_subprocess_exec(*command)
        await child.wait()
        await tells(found, tree, ("created", "w/theirs", None))
        (row,) = [row for row in found.rows if row["action"] == "created"]
        assert (row["pid"], row["uid"]) == (child.pid, NOBODY)
        assert row["exe"] == PYTHON
        assert row["process"].startswith("python")


async def test_su(tree):
    """What somebody does who became another user by `su` is told as that user's."""
    (tree / "w").chmod(0o777)
    async with watching(tree, "fanotify") as found:
        action = f"touch {tree}/w/theirs; sleep 0.5; true"
        command = ["su", "nobody", "-s", "/bin/sh", "-c", f"exec 3>{tree}/w/sh; {action}"]
        child = await asyncio.create_subprocess_exec(*command)
        await child.wait()
        await tells(found, tree, ("created", "w/sh", None))
        (row,) = [r for r in found.rows if r["action"] == "created" and r["path"].endswith("/sh")]
        assert (row["uid"], row["process"]) == (NOBODY, "sh")


async def test_processes_that_live_short(tree):
    """The process and its user are known although it is gone long before anybody looks."""
    (tree / "w").chmod(0o777)
    async with watching(tree, "fanotify") as found:
        await asyncio.sleep(3)  # until the processes are followed
        for number in range(20):
            command = ["setpriv", f"--reuid={NOBODY}", "touch", f"{tree}/w/{number}"]
            await (await asyncio.create_subprocess_exec(*command)).wait()
        await found.until(lambda: found.values("action").count("created") == 20)
        created = [row for row in found.rows if row["action"] == "created"]
        assert {(row["process"], row["uid"]) for row in created} == {("touch", NOBODY)}
    assert not _actors.HISTORIES


async def test_a_process_that_is_gone(tree):
    """Who is gone already is known if something remembers processes."""
    past = Actor("ghost", "/bin/ghost", 4711)
    asked = []

    def history(pid):
        asked.append(pid)
        return past

    _actors.HISTORIES.append(history)
    try:
        pid = subprocess.Popen(["true"])  # noqa: ASYNC220
        pid.wait()
        assert _actors.look("/proc", pid.pid) == past
        assert asked == [pid.pid]
    finally:
        _actors.HISTORIES.remove(history)
    assert _actors.look("/proc", pid.pid) == _actors.UNKNOWN


@SOURCES
async def test_a_burst_is_counted(tree, source):
    """Of many writes in a short time there are few rows, that count them."""
    (tree / "w/log").touch()
    async with watching(tree, source) as found:

        def write():
            for number in range(2000):
                with (tree / "w/log").open("a") as file:
                    file.write(f"{number}\n")
                with (tree / "w/other").open("a") as file:
                    file.write(f"{number}\n")

        await asyncio.to_thread(write)
        await tells(found, tree, ("created", "w/other", None))
        rows = [row for row in found.rows if row["action"] == "modified"]
        assert len(rows) < 500
        counted = sum(row["count"] for row in rows)
        assert 2 < counted <= 4000
        if source == "inotify":
            assert counted > 1000


@SOURCES
async def test_overflow(tree, source):
    """If the kernel's queue overflows that is counted, and new directories are still found."""
    queue = {
        "inotify": "/proc/sys/fs/inotify/max_queued_events",
        "fanotify": "/proc/sys/fs/fanotify/max_queued_events",
    }[source]
    before = Path(queue).read_text()  # noqa: ASYNC240
    Path(queue).write_text("100")  # noqa: ASYNC240
    try:
        async with watching(tree, source) as found:
            for number in range(1000):  # without a turn of the event loop
                (tree / f"w/{number}").mkdir()
            await found.until(lambda: found.table.losses.get("kernel"))
            await found.until(lambda: ("created", "w/999", None) in seen(found, tree))
            (tree / "w/999/f").touch()
            await tells(found, tree, ("created", "w/999/f", None))
    finally:
        Path(queue).write_text(before)  # noqa: ASYNC240


@SOURCES
async def test_bounded_watches(tree, source):
    """With more directories than may be watched the rest is left out, and it is said so."""
    for number in range(20):
        (tree / f"w/{number}").mkdir()
    async with watching(tree, source, max_watches=10) as found:
        assert "10 directories are watched and no more" in found.table.last_warning
        assert "max_watches" in found.table.last_warning
        (tree / "w/f").touch()
        await tells(found, tree, ("created", "w/f", None))


BOUNDED = """
import asyncio, pathlib, sys
from zeek_agent_linux.files_events import FilesEvents
from plugins.linux.tests.listening import Listener, made

async def main():
    settings = {"paths": (sys.argv[1],), "source": "inotify"}
    async with Listener(made(FilesEvents, **settings)) as found:
        print(found.table.last_warning)

pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("5")
asyncio.run(main())
"""


def test_the_kernels_own_bound(tree):
    """Where the kernel allows no more watches that is said, too."""
    for number in range(20):
        (tree / f"w/{number}").mkdir()
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", BOUNDED]
    said = run_here([*command, str(tree / "w")])
    assert said.startswith("5 directories are watched and no more")
    assert "fs.inotify.max_user_watches" in said


@SOURCES
async def test_conditions_on_the_path(tree, source):
    """Just what a query wants is watched and told; what becomes wanted is, too."""
    table = made(FilesEvents, source=source, paths=(str(tree / "w"),))
    columns = table.everything().columns
    prefix = Prefix(f"{tree}/w/sub/", ignore_case=True)
    table.wanted = Where(columns, prefixes={"path": prefix})
    (tree / "w/other").mkdir()
    async with Listener(table) as found:
        few = marks()
        (tree / "w/other/no").touch()
        (tree / "w/sub/yes").touch()
        await tells(found, tree, ("created", "w/sub/yes", None))
        assert {path for _, path, _ in seen(found, tree)} == {"w/sub/yes"}
        table.wanted = table.everything()
        table.wanted_changed()
        await found.until(lambda: marks() > few)
        (tree / "w/other/now").touch()
        await tells(found, tree, ("created", "w/other/now", None))


def marks():
    """Return how many watches and marks this process has in the kernel."""
    count = 0
    for file in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):
            lines = file.read_text().splitlines()
            count += sum(line.startswith(("inotify wd", "fanotify ino")) for line in lines)
    return count


@SOURCES
async def test_nothing_is_left(tree, source):
    """After the last query no watch is left in the kernel."""
    for _ in range(5):
        async with watching(tree, source):
            assert marks() >= 2
        assert marks() == 0


async def test_rescan(tree):
    """Where the kernel tells of nothing, files are compared with what they were."""
    async with watching(tree, "rescan", rescan_interval=1.0) as found:
        await asyncio.sleep(0.2)
        (tree / "w/sub/f").write_text("x")
        await found.until(lambda: ("created", "w/sub/f", None) in seen(found, tree))
        (tree / "w/sub/f").rename(tree / "w/g")
        await found.until(lambda: ("renamed", "w/g", "w/sub/f") in seen(found, tree))


def drop_capabilities():
    """Leave the process without any capability."""
    data = (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert ctypes.CDLL(None).capset(header, data) == 0


CHECK = """
import asyncio, sys
from zeek_agent_linux.files_events import FilesEvents
from plugins.linux.tests.listening import Listener, made
from plugins.linux.tests.test_files_events import drop_capabilities

async def main():
    drop_capabilities()
    async with Listener(made(FilesEvents, paths=(sys.argv[1],))) as found:
        print(found.table.source, "|", found.table.last_warning)

asyncio.run(main())
"""


def test_without_capabilities(tree):
    """Without the capability for fanotify, inotify serves, and it is said why."""
    command = [sys.executable, "-c", CHECK, str(tree / "w")]
    assert run_here(command).startswith("inotify | served by inotify; fanotify: run as root")


def test_patterns_that_make_no_sense():
    """A pattern that is not absolute is refused at the start."""
    with pytest.raises(ConfigError, match="paths: file pattern 'etc' is not absolute"):
        made(FilesEvents, paths=("etc",)).check_settings()
    made(FilesEvents).check_settings()


def test_the_check_leaves_nothing():
    """To look whether fanotify works leaves no mark."""
    _fanotify.check()
    assert marks() == 0


@SOURCES
def test_conforms(tree, source):
    """The table keeps the rules that all tables keep."""
    check_table(made(FilesEvents, source=source, paths=(str(tree),)))
