"""Parsers of the files of one process."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _procfs

NUMBERS = st.lists(st.integers(-(2**63), 2**64 - 1), min_size=49, max_size=49)
NAMES = st.binary(max_size=15).filter(lambda name: b"\0" not in name)


def stat_text(name, numbers):
    """Return text as the kernel writes it."""
    fields = " ".join(map(str, numbers)).encode()
    return b"42 (" + name + b") S " + fields + b"\n"


@given(name=NAMES, numbers=NUMBERS)
def test_stat_gives_back_what_was_written(name, numbers):
    """Any name comes back whole, and every field at its place."""
    found, fields = _procfs.parse_stat(stat_text(name, numbers))
    assert found == name
    assert int(fields[_procfs.PPID]) == numbers[0]
    assert int(fields[_procfs.STARTTIME]) == numbers[18]
    assert int(fields[_procfs.RSS]) == numbers[20]


@given(name=NAMES, numbers=NUMBERS, data=st.data())
def test_truncated_stat_never_gives_wrong_values(name, numbers, data):
    """Text cut anywhere is refused, or was cut after the last field that is used."""
    whole = stat_text(name, numbers)
    cut = data.draw(st.integers(0, len(whole) - 1))
    try:
        fields = _procfs.parse_stat(whole[:cut])[1]
    except ValueError:
        return
    assert fields[: _procfs.RSS + 1] == _procfs.parse_stat(whole)[1][: _procfs.RSS + 1]


@given(st.binary())
def test_garbage_is_refused(raw):
    """Bytes that are no stat at all raise nothing but ValueError."""
    with contextlib.suppress(ValueError):
        _procfs.parse_stat(raw)


STATUS = (
    b"Name:\ta\\nUid:\nTgid:\t7\nNgid:\t0\nPid:\t%d\n"
    b"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\n"
)


def test_ids_are_real_and_effective():
    """The first two numbers of each line are taken."""
    assert _procfs.parse_ids(STATUS % 7) == (1, 2, 5, 6)


@pytest.mark.parametrize("cut", range(len(STATUS % 7) - 12))
def test_truncated_status_is_refused(cut):
    """Ids are not taken from text that ends before they do."""
    with pytest.raises(ValueError, match=r"truncated|not found"):
        _procfs.parse_ids((STATUS % 7)[:cut])


def test_thread_is_no_leader():
    """A thread's status names another group than its own ID."""
    assert _procfs.is_leader(STATUS % 7)
    assert not _procfs.is_leader(STATUS % 8)


def test_cmdline_is_joined_by_spaces():
    """Arguments are separated by one space, and filler at the end is dropped."""
    assert _procfs.parse_cmdline(b"a\0b c\0\0\0") == b"a b c"
    assert _procfs.parse_cmdline(b"") is None


def test_content_is_cut_at_the_limit(tmp_path):
    """No more than the limit is read."""
    file = tmp_path / "cmdline"
    file.write_bytes(b"x" * 100)
    assert _procfs.read_up_to(str(file), 30) == b"x" * 30
    assert _procfs.read_up_to(str(file), 300) == b"x" * 100


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"kworker/u8:0-events_unbound", "kworker/u8:0"),
        (b"kworker/1:2H+kblockd", "kworker/1:2H"),
        (b"kworker/0:1", "kworker/0:1"),
        (b"kworker/R-rcu_gp", "kworker/R-rcu_gp"),
        (b"my-kworker/0:1-x", "my-kworker/0:1-x"),
        (b"caf\xe9", "caf\\xe9"),
    ],
)
def test_a_worker_keeps_its_name_whatever_it_does(raw, shown):
    """The name of a kernel worker is free of the work it does at the moment."""
    assert _procfs.name(raw) == shown
