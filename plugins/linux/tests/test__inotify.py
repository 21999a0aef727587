"""Events of inotify."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _inotify

EVENTS = st.lists(
    st.tuples(
        st.integers(-1, 2**31 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=40).filter(lambda name: b"\0" not in name),
    ),
    max_size=5,
)


def encode(event):
    """Return an event as the kernel writes it: the name padded with NULs."""
    watch, mask, cookie, name = event
    padded = name + bytes(-len(name) % 16 or 16) if name else b""
    return struct.pack("=iIII", watch, mask, cookie, len(padded)) + padded


@given(EVENTS)
def test_parsing_undoes_encoding(events):
    """Each event is read with its name."""
    data = b"".join(map(encode, events))
    assert [tuple(event) for event in _inotify.parse(data)] == events


@given(st.binary(max_size=80))
def test_nonsense(data):
    """Whatever comes gives events or a `ValueError`."""
    try:
        list(_inotify.parse(data))
    except ValueError:
        assert data


def test_a_real_event(tmp_path):
    """What the kernel tells of a new file is read; a watch that is gone is no error."""
    with _inotify.Inotify() as made:
        watch = made.add(str(tmp_path), _inotify.CREATE)
        (tmp_path / "new").touch()
        (event,) = _inotify.parse(made.read())
        assert (event.watch, event.mask, event.name) == (watch, _inotify.CREATE, b"new")
        assert made.read() == b""
        made.remove(watch)
        made.remove(watch)


def test_what_cannot_be_watched():
    """A directory that is not there is an error with its name."""
    with _inotify.Inotify() as made, pytest.raises(FileNotFoundError, match="/no/such"):
        made.add("/no/such", _inotify.CREATE)
