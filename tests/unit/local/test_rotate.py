"""Files that are begun anew, and disks that are full."""

import logging
import os
import subprocess
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zeek_agent_core.local.rotate import RETRY, RotatingFile

LINE = b"x" * 9 + b"\n"
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount"
)
needs_user = pytest.mark.skipif(
    not hasattr(os, "seteuid") or os.geteuid() != 0, reason="only root can become someone else"
)


@pytest.fixture
def log(tmp_path, clock, rotation):
    """Return a maker of files with header `#h` and footer `#f`."""
    made = []

    def make(path=tmp_path / "x.log", **limits):
        ends = {"header": lambda _: b"#h\n", "footer": lambda _: b"#f\n"}
        made.append(RotatingFile(path, rotation=rotation(**limits), clock=clock, **ends))
        return made[-1]

    yield make
    for file in made:
        file.close()


@pytest.fixture
def small_disk(tmp_path):
    """Return a directory on a disk of 64 KiB, which is unmounted in the end."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def as_user(tmp_path):
    """Run the test as someone who has no special rights."""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    os.chown(tmp_path, 65534, 65534)
    os.seteuid(65534)
    yield
    os.seteuid(0)


def names(directory):
    """Return the names in *directory*, sorted."""
    return sorted(path.name for path in directory.iterdir())


def test_file_is_private_and_has_both_ends(log, tmp_path):
    """A file is made with the first line, for us and our group only, and ends with its footer."""
    file = log()
    assert names(tmp_path) == []
    file.write(LINE)
    assert (tmp_path / "x.log").stat().st_mode & 0o137 == 0
    file.close()
    file.close()
    assert (tmp_path / "x.log").read_bytes() == b"#h\n" + LINE + b"#f\n"


def test_size_begins_a_new_file(log, tmp_path, clock):
    """No file grows past its size, and each has header, whole lines and footer."""
    file = log(max_bytes=35)
    for _ in range(7):
        clock.now += 1
        file.write(LINE)
    file.close()
    assert names(tmp_path) == [
        "x.2026-11-21-12-00-01.log",
        "x.2026-11-21-12-00-04.log",
        "x.log",
    ]
    kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert kept == [b"#h\n" + LINE * n + b"#f\n" for n in (3, 3, 1)]


def test_files_of_one_second_get_numbers(log, tmp_path):
    """Files that were begun within a second do not take each other's name."""
    file = log(max_bytes=10)
    for _ in range(4):
        file.write(LINE)
    stamp = "x.2026-11-21-12-00-00"
    assert names(tmp_path) == [f"{stamp}-2.log", f"{stamp}-3.log", f"{stamp}.log", "x.log"]


def test_only_so_many_files_stay(log, tmp_path, clock):
    """The oldest files go; files of other logs, and others' files, stay."""
    for other in ("x.txt", "xy.2020-01-01-00-00-00.log", "x.old.log"):
        (tmp_path / other).write_bytes(b"")
    file = log(max_bytes=10, keep=2)
    for number in range(15):
        clock.now += number // 13
        file.write(LINE)
    assert names(tmp_path) == [
        "x.2026-11-21-12-00-00-13.log",
        "x.2026-11-21-12-00-01.log",
        "x.log",
        "x.old.log",
        "x.txt",
        "xy.2020-01-01-00-00-00.log",
    ]


def test_keeping_nothing_removes_all(log, tmp_path):
    """With nothing to keep, a file that is put away is gone."""
    file = log(max_bytes=10, keep=0)
    for _ in range(3):
        file.write(LINE)
    assert names(tmp_path) == ["x.log"]


def test_time_begins_a_new_file(log, tmp_path, clock):
    """A file ends at a full multiple of its time, with a line or when it is asked to."""
    file = log(every=timedelta(hours=1))
    clock.now += 600
    file.write(LINE)
    clock.now += 2999
    file.rotate()
    assert names(tmp_path) == ["x.log"]
    clock.now += 1
    file.rotate()
    file.rotate()
    assert names(tmp_path) == ["x.2026-11-21-12-10-00.log"]
    file.write(LINE)
    clock.now += 3600
    file.write(LINE)
    assert names(tmp_path)[1:] == ["x.2026-11-21-13-00-00.log", "x.log"]


@pytest.mark.parametrize("torn", [b"", b"torn", b"y" * 200_000])
def test_earlier_file_is_put_away(log, tmp_path, torn):
    """What an earlier run left is kept under its last change, without a torn line."""
    path = tmp_path / "x.log"
    path.write_bytes(LINE + torn)
    os.utime(path, (0, 0))
    log().write(LINE)
    assert (tmp_path / "x.1970-01-01-00-00-00.log").read_bytes() == LINE
    assert path.read_bytes() == b"#h\n" + LINE


def test_links_are_not_followed(log, tmp_path):
    """A link in place of the file is put aside; what it leads to stays as it is."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "x.log").symlink_to(victim)
    log().write(LINE)
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "x.log").is_symlink()


def test_file_that_was_moved_is_left_alone(log, tmp_path):
    """When someone else renames the file, its footer is written and a new one begins."""
    file = log()
    file.write(LINE)
    (tmp_path / "x.log").rename(tmp_path / "theirs")
    file.write(LINE)
    assert (tmp_path / "theirs").read_bytes() == b"#h\n" + LINE + b"#f\n"
    assert (tmp_path / "x.log").read_bytes() == b"#h\n" + LINE


def test_vanished_directory_is_told_once(log, tmp_path, caplog):
    """Without its directory a file loses and counts lines, tells so once, and comes back."""
    home = tmp_path / "logs"
    home.mkdir()
    file = log(home / "x.log")
    file.write(LINE)
    (home / "x.log").unlink()
    home.rmdir()
    for _ in range(3):
        file.write(LINE * 2)
    assert file.health.lost == 6
    assert caplog.messages == [f"cannot write {home / 'x.log'}: no such file or directory"]
    home.mkdir()
    file.write(LINE)
    assert (home / "x.log").read_bytes() == b"#h\n" + LINE
    assert caplog.messages[-1] == f"can write {home / 'x.log'} again; 6 rows were lost"
    assert (file.health.lost, file.health.error) == (6, None)


@needs_root
def test_full_disk_leaves_whole_lines(log, small_disk, caplog):
    """On a full disk whole lines stay, the rest is counted; with room, writing goes on."""
    filler = small_disk / "filler"
    filler.write_bytes(b"f" * 40_000)
    file = log(small_disk / "x.log")
    file.write(LINE)
    rows = 10_000
    for _ in range(3):
        file.write(LINE * rows)
    written = (small_disk / "x.log").read_bytes()
    assert written.endswith(LINE)
    kept = written.count(LINE)
    assert 1 < kept < rows
    assert file.health.lost == 3 * rows + 1 - kept
    assert len(caplog.records) == 1
    assert "no space left on device" in caplog.text
    filler.unlink()
    file.write(LINE)
    file.close()
    assert (small_disk / "x.log").read_bytes() == b"#h\n" + LINE * (kept + 1) + b"#f\n"
    assert "again" in caplog.messages[-1]


@needs_root
def test_full_disk_leaves_no_file_without_header(log, small_disk):
    """Where not even the header fits, there is no file."""
    (small_disk / "filler").write_bytes(b"f" * 65536)
    file = log(small_disk / "x.log")
    file.write(LINE)
    assert names(small_disk) == ["filler"]
    assert file.health.lost == 1


@needs_user
def test_directory_without_write_access(log, tmp_path, as_user, caplog):
    """In a directory that takes no new files, lines are counted and the reason is told."""
    tmp_path.chmod(0o555)
    file = log()
    file.write(LINE)
    file.write(LINE)
    assert file.health.lost == 2
    assert caplog.messages == [f"cannot write {tmp_path / 'x.log'}: permission denied"]
    tmp_path.chmod(0o755)


@needs_user
def test_file_that_cannot_be_renamed_is_used_on(log, tmp_path, clock, as_user, caplog):
    """A file that is due but cannot be put away takes more lines, and is tried again later."""
    file = log(max_bytes=30)
    file.write(LINE * 2)
    tmp_path.chmod(0o555)
    file.write(LINE * 2)
    file.write(LINE * 2)
    assert file.health.lost == 0
    assert caplog.messages == [f"cannot rename {tmp_path / 'x.log'}: permission denied"]
    assert (tmp_path / "x.log").read_bytes().count(LINE) == 6
    tmp_path.chmod(0o755)
    clock.now += RETRY
    with caplog.at_level(logging.WARNING):
        file.write(LINE)
    assert names(tmp_path) == ["x.2026-11-21-12-00-00.log", "x.log"]
    assert "again" in caplog.messages[-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 200))
def test_no_line_is_lost(tmp_path_factory, clock, rotation, blocks, size):
    """However blocks and sizes fall, all lines are there, in order, in whole files."""
    home = tmp_path_factory.mktemp("logs")
    limits = rotation(max_bytes=size, keep=100)
    file = RotatingFile(home / "x.log", rotation=limits, clock=clock)
    count = 0
    for block in blocks:
        clock.now += 1
        file.write(b"".join(b"%d\n" % n for n in range(count, count + block)))
        count += block
    file.close()
    written = b"".join(path.read_bytes() for path in sorted(home.iterdir()))
    assert written == b"".join(b"%d\n" % n for n in range(count))
