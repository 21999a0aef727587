"""Trace pages and formats: a captured page, pages made up, and bytes of any kind."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._tracepage import Decoder, Event, PageReader, parse_fields, parse_format

CAPTURED = Path(__file__).parent / "fixtures/trace"
HEADER = (CAPTURED / "header_page").read_text()
FORK = parse_format((CAPTURED / "task_task_newtask_format").read_text())
EXEC = parse_format((CAPTURED / "sched_sched_process_exec_format").read_text())
EXIT = parse_format((CAPTURED / "sched_sched_process_exit_format").read_text())
STATE = parse_format((CAPTURED / "sock_inet_sock_set_state_format").read_text())
DECODERS = {
    FORK.kind: Decoder(FORK, ("common_pid", "pid", "clone_flags")),
    EXEC.kind: Decoder(EXEC, ("pid", "filename")),
    EXIT.kind: Decoder(EXIT, ("pid",)),
}


def read(page: bytes) -> tuple[list[Event], int | None]:
    """Return the events on *page*, and how many were lost before it."""
    events: list[Event] = []
    lost = PageReader(HEADER, DECODERS).read(page, events)
    return events, lost


def test_captured_page():
    """A page of the real kernel has each process of a shell's small script, in order."""
    events, lost = read((CAPTURED / "page").read_bytes())
    assert lost == 0
    assert len(events) == 75
    times = [time for time, _, _ in events]
    assert times == sorted(times)
    paths = [values[1] for _, kind, values in events if kind == EXEC.kind]
    assert [path for path in paths if path != b"/bin/true"] == [
        b"/usr/bin/taskset", b"/usr/bin/sh", *[b"/tmp/pv/actor"] * 3,
    ]  # fmt: skip
    forks = [values for _, kind, values in events if kind == FORK.kind]
    threads = [(parent, pid) for parent, pid, flags in forks if flags & 0x10000]
    assert [pid for parent, pid in threads if parent == 13361] == [13362, 13363]


def test_fields():
    """Numbers, arrays and texts are told apart, whatever names their types have."""
    assert EXEC.fields["filename"].is_reference
    assert STATE.fields["saddr_v6"].is_array
    assert not STATE.fields["sport"].is_signed
    assert FORK.fields["common_pid"].is_signed
    assert parse_fields(HEADER)["data"].offset == 16


def test_strange_formats():
    """A format without an ID, or without what is needed, is refused."""
    with pytest.raises(ValueError, match="ID"):
        parse_format("name: x\n")
    with pytest.raises(ValueError, match="colour"):
        Decoder(EXIT, ("pid", "colour"))
    overlapping = EXIT._replace(fields=EXIT.fields | {"other": EXIT.fields["pid"]})
    with pytest.raises(ValueError, match="overlap"):
        Decoder(overlapping, ("pid", "other"))
    with pytest.raises(ValueError, match="commit"):
        PageReader("field: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;", {})


def test_order_of_fields():
    """Fields come in the order in which they were asked for."""
    record = bytes(range(64))
    forward = Decoder(FORK, ("common_pid", "pid", "clone_flags")).decode(record, 0, 64)
    assert Decoder(FORK, ("clone_flags", "common_pid", "pid")).decode(record, 0, 64) == (
        forward[2], forward[0], forward[1],
    )  # fmt: skip


def record(kind: int, pid: int, padding: int = 0) -> bytes:
    """Return an exit record, made longer by some words."""
    body = struct.pack("=HBBi16sii", kind, 0, 0, pid, b"name", pid, 120) + bytes(4)
    return body + bytes(4 * padding)


def page(time: int, parts: bytes, flags: int = 0, after: bytes = b"") -> bytes:
    """Return a page of *parts*."""
    return struct.pack("=QQ", time, len(parts) | flags) + parts + after


def entry(delta: int, data: bytes) -> bytes:
    """Return a record as it lies on a page, *delta* after the one before."""
    if len(data) <= 28 * 4:
        return struct.pack("=I", len(data) // 4 | delta << 5) + data
    return struct.pack("=II", delta << 5, len(data) + 4) + data


def extension(delta: int) -> bytes:
    """Return what adds a long *delta* to the time."""
    return struct.pack("=II", 30 | (delta & 0x7FFFFFF) << 5, delta >> 27)


DELTAS = st.integers(0, (1 << 27) - 1)
PARTS = st.lists(
    st.tuples(DELTAS, st.integers(-(2**31), 2**31 - 1), st.integers(0, 40), st.booleans()),
    max_size=20,
)


@given(st.integers(0, 1 << 58), PARTS)
def test_reading_undoes_writing(start, parts):
    """Records of any length come out as they went in, each at its time."""
    raw, expected, time = b"", [], start
    for delta, pid, padding, is_extended in parts:
        if is_extended:
            raw += extension(delta * 33)
            time += delta * 33
        raw += entry(delta, record(EXIT.kind, pid, padding))
        time += delta
        expected.append((time, EXIT.kind, (pid,)))
    assert read(page(start, raw)) == (expected, 0)


def test_absolute_times_and_padding():
    """A stamp sets the time but for its highest bits; discarded records are passed over."""
    start = (5 << 59) + 1000
    stamp = struct.pack("=II", 31 | 77 << 5, 3)
    hole = struct.pack("=II", 29 | 1 << 5, 12) + bytes(8)
    raw = entry(5, record(EXIT.kind, 1)) + stamp + entry(2, record(EXIT.kind, 2)) + hole
    raw += entry(4, record(EXIT.kind, 3)) + struct.pack("=II", 29, 0) + b"\xff" * 32
    events, _ = read(page(start, raw))
    absolute = (5 << 59) + (3 << 27) + 77
    assert [(time, values[0]) for time, _, values in events] == [
        (start + 5, 1), (absolute + 2, 2), (absolute + 7, 3),
    ]  # fmt: skip


def test_unknown_kinds():
    """Records that nobody asked for are passed over."""
    assert read(page(0, entry(1, record(60000, 1)) + entry(1, record(EXIT.kind, 2))))[0] == [
        (2, EXIT.kind, (2,))
    ]


def test_lost():
    """A page says that events were lost before it, and mostly how many."""
    assert read(page(0, b"", 1 << 31))[1] is None
    assert read(page(0, b"", 1 << 31 | 1 << 30, struct.pack("=Q", 4711)))[1] == 4711
    assert read(page(0, b"", 1 << 31 | 1 << 30))[1] is None


@pytest.mark.parametrize("cut", [0, 8, 15, 20, 40])
def test_truncated(cut):
    """A page that is shorter than it says is refused."""
    whole = page(0, entry(1, record(EXIT.kind, 1)) + entry(1, record(EXIT.kind, 2)))
    with pytest.raises(ValueError, match="truncated"):
        read(whole[:cut])


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("=II", 20 | 1 << 5, EXIT.kind),
        struct.pack("=II", 0, 4000) + bytes(100),
        struct.pack("=II", 0, 0) + bytes(100),
        struct.pack("=II", 1, EXIT.kind),
    ],
    ids=["beyond the page", "long beyond the page", "no length", "too short for its kind"],
)
def test_records_that_cannot_be(raw):
    """A record that reaches beyond the page, or is too short, is refused."""
    with pytest.raises(ValueError, match="truncated"):
        read(page(0, raw))


@given(st.binary(max_size=300), st.integers(0, 0xFFFFFFFF))
def test_any_bytes(raw, flags):
    """Whatever bytes a page has, it is read or refused with `ValueError`."""
    for whole in (raw, page(0, raw, flags & 0xC0000000)):
        try:
            events, _ = read(whole)
        except ValueError:
            continue
        assert len(events) <= len(whole) / 8


@given(st.data())
def test_damaged_page(data):
    """A captured page with some bytes changed is read or refused with `ValueError`."""
    raw = bytearray((CAPTURED / "page").read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        events, _ = read(bytes(raw))
    except ValueError:
        return
    assert len(events) < 1000


@given(st.text("\n\tfield:ID u8[]_;offset:0size1", max_size=60))
def test_any_format(text):
    """Whatever text a format has, it is read or refused with `ValueError`."""
    parse_fields(text)
    try:
        parse_format(text)
    except ValueError:
        return
