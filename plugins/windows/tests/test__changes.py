"""What `ReadDirectoryChangesW` writes."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_windows._changes import (
    ADDED,
    MODIFIED,
    NEW_NAME,
    OLD_NAME,
    REMOVED,
    Notification,
    Renames,
    parse_notifications,
)


def buffer(notifications):
    """Return what the system writes for *notifications*: entries aligned to 4 bytes."""
    parts = []
    for number, (action, name) in enumerate(notifications, 1):
        raw = name.encode("utf-16-le", "surrogatepass")
        size = 12 + len(raw) + 3 & ~3
        following = size if number < len(notifications) else 0
        entry = struct.pack("<III", following, action, len(raw)) + raw
        parts.append(entry.ljust(size, b"\0") if following else entry)
    return b"".join(parts)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
entries = st.lists(st.builds(Notification, st.integers(1, 5), names), max_size=10)


@given(entries)
def test_round_trip(notifications):
    """What the system wrote is read."""
    assert list(parse_notifications(buffer(notifications))) == notifications


@given(entries, st.integers(0, 400))
def test_cut(notifications, end):
    """Of a buffer that is cut the whole entries are read."""
    found = list(parse_notifications(buffer(notifications)[:end]))
    assert found == notifications[: len(found)]


@given(st.binary(max_size=400))
def test_any_bytes(raw):
    """Any bytes are some entries, and reading ends."""
    assert len(list(parse_notifications(raw))) <= len(raw)


def rows(*notifications):
    """Return action, path and new path of the rows."""
    renames = Renames()
    made = [*renames.rows("C:\\Users", notifications), *renames.flush()]
    return [(r["syscall"], r["path"], r.get("destination")) for r in made]


def test_renames():
    """Two entries make one row; one alone moved out of sight, or into it."""
    assert rows((OLD_NAME, "a"), (NEW_NAME, "b\\c")) == [
        ("rename", "C:\\Users\\a", "C:\\Users\\b\\c")
    ]
    assert rows((NEW_NAME, "b")) == [("create", "C:\\Users\\b", None)]
    assert rows((OLD_NAME, "a"), (ADDED, "c")) == [
        ("unlink", "C:\\Users\\a", None),
        ("create", "C:\\Users\\c", None),
    ]
    assert rows((OLD_NAME, "a")) == [("unlink", "C:\\Users\\a", None)]
    assert rows((REMOVED, "a"), (MODIFIED, "b"), (77, "c")) == [
        ("unlink", "C:\\Users\\a", None),
        ("modify", "C:\\Users\\b", None),
    ]
