"""Files that grow, and are rotated or cut."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zeek_agent_linux._tail import LONGEST, Tail, as_place


def everything(tail):
    """Return all lines that wait."""
    lines = []
    while more := list(tail.read()):
        lines += more
    return lines


@pytest.fixture
def log(tmp_path):
    """Return a file with something in it."""
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    return path


def append(path, data):
    """Append to a file as loggers do."""
    with path.open("ab") as file:
        file.write(data)


def test_it_begins_at_the_end(log):
    """What is there already is not told of; what is added is, line by line."""
    tail = Tail(str(log))
    tail.start(None)
    append(log, b"a\nb")
    assert everything(tail) == [b"a"]
    append(log, b"c\n")
    assert everything(tail) == [b"bc"]
    tail.close()
    tail.close()


def test_rotation(log):
    """A file that is renamed is read to its end, then the new one from its begin."""
    tail = Tail(str(log))
    tail.start(None)
    append(log, b"a\n")
    log.rename(log.with_name("log.1"))
    append(log.with_name("log.1"), b"b\nend")
    assert everything(tail) == [b"a", b"b"]
    append(log, b"c\n")
    assert everything(tail) == [b"end", b"c"]
    tail.close()


def test_truncation(log):
    """A file that is cut is read from its begin."""
    tail = Tail(str(log))
    tail.start(None)
    log.write_bytes(b"")
    append(log, b"n\n")
    assert everything(tail) == [b"n"]
    tail.close()


def test_it_goes_on_where_it_was(log):
    """From a place on each line comes once, also those of a file rotated meanwhile."""
    tail = Tail(str(log))
    tail.start(None)
    append(log, b"a\nhalf")
    assert everything(tail) == [b"a"]
    place = as_place(list(tail.place))
    tail.close()
    append(log, b" whole\n")
    log.rename(log.with_name("log.1"))
    append(log, b"new\n")
    again = Tail(str(log))
    again.start(place)
    assert everything(again) == [b"half whole", b"new"]
    again.close()


def test_a_file_that_is_not_there_yet(tmp_path):
    """A file that comes later is read from its begin; what is no file is not read."""
    tail = Tail(str(tmp_path / "log"))
    tail.start(None)
    assert everything(tail) == []
    append(tmp_path / "log", b"first\n")
    assert everything(tail) == [b"first"]
    tail.close()
    os.mkfifo(tmp_path / "fifo")
    fifo = Tail(str(tmp_path / "fifo"))
    fifo.start(None)
    assert everything(fifo) == []


def test_a_line_without_end(log):
    """Of an endless line the begin is told, once; memory is bounded."""
    tail = Tail(str(log))
    tail.start(None)
    append(log, b"x" * (3 * LONGEST) + b"\nnext\n")
    lines = everything(tail)
    assert [len(line) for line in lines] == [LONGEST, 4]
    tail.close()


def test_records(log):
    """Records of a fixed size are cut by it, newlines or not."""
    tail = Tail(str(log), 3)
    tail.start(None)
    append(log, b"a\nbcd")
    assert everything(tail) == [b"a\nb"]
    append(log, b"e")
    assert everything(tail) == [b"cde"]
    tail.close()


@pytest.mark.parametrize("kept", [None, 3, [1, 2], ["a", 1, 2], {"a": 1}])
def test_places_that_are_none(kept):
    """What is no place in a bookmark is as good as none."""
    assert as_place(kept) is None


STEPS = st.lists(
    st.sampled_from(["append", "half", "rotate", "read", "restart"]), min_size=1, max_size=25
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_nothing_is_lost_or_doubled(steps, tmp_path_factory):
    """Whatever happens between two reads, each line comes once and in order."""
    path = tmp_path_factory.mktemp("tail") / "log"
    path.touch()
    tail, found, written, number = Tail(str(path)), [], [], 0
    tail.start(None)
    rotated = False
    for step in steps:
        if step == "append":
            number += 1
            written.append(b"%d" % number)
            append(path, b"%d\n" % number)
        elif step == "half":
            number += 1
            written.append(b"%d" % number)
            append(path, b"%d" % number)
            found += everything(tail)
            append(path, b"\n")
        elif step == "rotate" and not rotated:  # a second one before a read loses the first
            rotated = True
            path.rename(path.with_name("log.1"))
            path.touch()
        elif step == "read":
            found += everything(tail)
            rotated = False
        elif step == "restart":
            place = as_place(list(tail.place))
            tail.close()
            tail = Tail(str(path))
            tail.start(place)
    found += everything(tail)
    tail.close()
    assert found == written
