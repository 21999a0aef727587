"""Events of fanotify."""

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _fanotify
from zeek_agent_linux._happenings import What

KEY = (b"filesys!", struct.pack("=i", 1) + b"handle")


def info(kind, name, key=KEY):
    """Return one piece of information as the kernel writes it."""
    file_system, handle = key
    body = file_system + struct.pack("=I", len(handle) - 4) + handle + name + b"\0"
    body += bytes(-(len(body) + 4) % 4)
    return struct.pack("=BBH", kind, 0, len(body) + 4) + body


def encode(mask, pid, *infos):
    """Return one event as the kernel writes it."""
    body = b"".join(infos)
    return struct.pack("=IBBHQii", 24 + len(body), 3, 0, 24, mask, -1, pid) + body


NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)


@given(
    st.lists(st.tuples(st.sampled_from([0x100, 0x2, 0x204, 0x40000100]), st.integers(0, 9), NAMES))
)
def test_parsing_undoes_encoding(events):
    """Each event is read with process, directory and name."""
    data = b"".join(encode(mask, pid, info(2, name)) for mask, pid, name in events)
    found = [(event.mask, event.pid, event.names[2]) for event in _fanotify.parse(data)]
    assert found == [(mask, pid, (KEY, name)) for mask, pid, name in events]


@given(st.binary(max_size=120), st.integers(0, 100))
def test_nonsense(tail, cut):
    """Whatever comes gives events or a `ValueError`."""
    whole = encode(0x100, 5, info(2, b"name"), info(99, b"unknown"))
    for data in (tail, whole[:cut] + tail, whole + tail):
        try:
            for event in _fanotify.parse(data):
                list(_fanotify.to_happenings(event))
        except ValueError:
            pass


def happenings(mask, *infos, pid=5):
    """Return what an event tells."""
    (event,) = _fanotify.parse(encode(mask, pid, *infos))
    return list(_fanotify.to_happenings(event))


def test_merged_events():
    """What the kernel has merged is told as one happening, with all that happened."""
    (found,) = happenings(0x100 | 0x2 | 0x200, info(2, b"f"))
    assert found.what == What.CREATED | What.MODIFIED | What.DELETED
    assert (found.watch, found.name, found.pid, found.is_directory) == (KEY, "f", 5, False)


def test_renaming():
    """Both names of a renaming are told, or the one that is known."""
    (both,) = happenings(0x50000000, info(10, b"a"), info(12, b"b"))
    assert (both.what, both.name, both.new_name) == (What.RENAMED, "a", "b")
    assert both.is_directory
    (only,) = happenings(0x10000000, info(12, b"b"))
    assert (only.watch, only.new_watch, only.new_name) == (None, KEY, "b")


def test_the_directory_itself():
    """What happens to a watched directory has no name; a process of elsewhere is unknown."""
    (found,) = happenings(0x40000004, info(2, b"."), pid=0)
    assert (found.name, found.what, found.pid) == ("", What.ATTRIBUTES, None)


def test_a_real_event(tmp_path):
    """What the kernel tells of a new file names the directory by the key it was watched under."""
    with _fanotify.Fanotify() as made:
        key = made.add(str(tmp_path), is_passage=False)
        assert key == _fanotify.key_of(str(tmp_path))
        (tmp_path / "new").touch()
        heard = made.read()
        assert {(found.watch, found.name) for found in heard.happenings} == {(key, "new")}
        assert {found.pid for found in heard.happenings} == {os.getpid()}
        made.remove(key, str(tmp_path))
        (tmp_path / "other").touch()
        assert made.read().happenings == []
        made.remove(key, str(tmp_path / "gone"))


def test_a_kernel_without_both_names(tmp_path):
    """A kernel that does not know renamings tells of the two halves."""
    with _fanotify.Fanotify() as made:
        made._rename = 0
        made.add(str(tmp_path), is_passage=False)
        (tmp_path / "a").touch()
        (tmp_path / "a").rename(tmp_path / "b")
        whats = [found.what for found in made.read().happenings]
    assert (whats[0] | whats[-1]) & What.MOVED_FROM
    assert whats[-1] & What.MOVED_TO


def test_what_cannot_be_watched():
    """A directory that is not there is an error with its name."""
    with _fanotify.Fanotify() as made, pytest.raises(FileNotFoundError, match="/no/such"):
        made.add("/no/such", is_passage=True)
