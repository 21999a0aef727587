"""Rows of ``file_events`` from events, with the values that the kernel gives."""

import pytest
from zeek_agent_linux._audit.file_rows import file_row
from zeek_agent_linux._audit.records import CWD, PATH

HOME = (CWD, 'cwd="/home/u"')
CREATE = "syscall=257 success=yes exit=8 a0=ffffff9c a1=7f a2=80042 a3=1ff items=2"


def opened(event, call, *items, cwd=HOME, directory=None):
    """Return the row of a call with PATH records *items*."""
    records = [(PATH, f"item={at} {item}") for at, item in enumerate(items)]
    return file_row(event(call, cwd, *records), lambda _pid, _fd: directory)


def test_a_new_file_is_told(event):
    """A file that the call made has its own path, not that of its directory."""
    row = opened(
        event, CREATE,
        'name="/srv/d/" inode=2 nametype=PARENT',
        "name=2F7372762F642F6E65772066696C65 inode=2146478 nametype=CREATE",
    )  # fmt: skip
    assert (row["syscall"], row["path"], row["inode"]) == ("openat", "/srv/d/new file", 2146478)
    assert (row["created"], row["success"], row["exit"], row["flags"]) == (True, True, 8, 0x80042)


@pytest.mark.parametrize(
    ("a0", "items", "directory", "path"),
    [
        ("ffffff9c", ['name="x" inode=3 nametype=NORMAL'], None, "/home/u/x"),
        ("ffffffffffffff9c", ['name="./a/../x" inode=3 nametype=NORMAL'], None, "/home/u/x"),
        ("8", ['name="x" inode=3 nametype=NORMAL'], "/srv", "/srv/x"),
        ("8", ['name="x" inode=3 nametype=NORMAL'], None, "x"),
        ("8", ['name="/abs" inode=3 nametype=NORMAL'], None, "/abs"),
        ("8", ['name="/srv/d" nametype=PARENT', 'name="rel" nametype=CREATE'], None, "/srv/d/rel"),
        (
            "ffffff9c",
            ['name="sub/" nametype=PARENT', 'name="sub/x" nametype=CREATE'],
            None, "/home/u/sub/x",
        ),
        (
            "ffffff9c",
            ['name="/home/u" nametype=PARENT', 'name="x" nametype=CREATE', 'name="y"'],
            None, "/home/u/x",
        ),
        ("ffffff9c", ['name="//etc/passwd" inode=1 nametype=NORMAL'], None, "/etc/passwd"),
        ("ffffff9c", ["name=(null) nametype=NORMAL"], None, None),
    ],
)  # fmt: skip
def test_paths_are_absolute_where_they_can_be(event, a0, items, directory, path):
    """A relative path begins where the call says; unknown directories leave it as it is."""
    call = f"syscall=257 success=yes exit=8 a0={a0} a2=0"
    assert opened(event, call, *items, directory=directory).get("path") == path


def test_a_refusal_is_told(event):
    """A file that may not be read gives a row with the error number."""
    row = opened(
        event, "syscall=257 success=no exit=-13 a0=ffffff9c a2=0",
        'name="/etc/shadow" inode=5 nametype=NORMAL',
    )  # fmt: skip
    assert (row["path"], row["inode"], row["success"], row["exit"]) == (
        "/etc/shadow",
        5,
        False,
        -13,
    )


def test_a_missing_file_is_told(event):
    """A file that is not there gives a row without inode."""
    row = opened(
        event, "syscall=2 success=no exit=-2 a1=0", 'name="/nothing" nametype=UNKNOWN'
    )  # fmt: skip
    assert (row["syscall"], row["path"], row["inode"]) == ("open", "/nothing", None)


@pytest.mark.parametrize(
    ("call", "name", "flags"),
    [
        ("syscall=85 success=yes exit=3 a0=7f", "create", 0o1101),
        ("syscall=2 success=yes exit=3 a0=7f a1=241", "open", 0x241),
        ("syscall=437 success=yes exit=3 a0=ffffff9c a2=7f", "openat2", None),
    ],
)
def test_flags_are_where_the_call_has_them(event, call, name, flags):
    """Each call has the flags elsewhere; where they are not recorded they are NULL."""
    row = opened(event, call, 'name="x" inode=3 nametype=NORMAL')
    assert (row["syscall"], row["flags"]) == (name, flags)


def test_without_records_there_is_still_a_row(event):
    """What was lost is NULL; that the call was made is told."""
    row = file_row(event(CREATE), lambda *_: None)
    assert (row["syscall"], row.get("path")) == ("openat", None)
    assert file_row(event("syscall=59 success=yes exit=0"), lambda *_: None) is None
