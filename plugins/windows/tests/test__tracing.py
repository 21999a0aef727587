"""Events of the kernel's providers, from their payloads."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_windows import DEVICE, NOON, OTHER, filetime, network, started, stopped
from zeek_agent_windows._processes import ProcessRows
from zeek_agent_windows._trace import Queue, event_filter, lost, properties, trace
from zeek_agent_windows._tracing import (
    KERNEL_NETWORK,
    KERNEL_PROCESS,
    Flow,
    Flows,
    Record,
    Started,
    Stopped,
    Truncated,
    parse_network,
    parse_process,
)
from zeek_agent_windows.processes_events import ProcessesEvents
from zeek_agent_windows.sockets_events import SocketsEvents

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings

V4, V6 = ("192.0.2.5", "198.51.100.7"), ("2001:db8::5", "2001:db8::1")
NOTEPAD = rf"{DEVICE}\Windows\System32\notepad.exe"


@pytest.mark.parametrize("version", range(6))
def test_started(version):
    """All versions of a start are read, those to come like the last one known."""
    assert parse_process(started(42, 7, NOTEPAD, version=version)) == Started(42, 7, NOON, NOTEPAD)


@pytest.mark.parametrize("version", range(4))
def test_stopped(version):
    """All versions of an end are read, with code and times."""
    found = parse_process(stopped(42, "notepad.exe", 0xC0000005, version=version))
    assert found == Stopped(42, NOON, NOON + 2_000_000, 0xC0000005, "notepad.exe")


def test_others():
    """Events of other providers, and others of this one, are none."""
    assert parse_process(OTHER) is None
    assert parse_network(OTHER) is None
    assert parse_process(Record(KERNEL_PROCESS, 5, 0, 0, b"")) is None
    assert parse_network(Record(KERNEL_NETWORK, 14, 0, 0, b"")) is None


@pytest.mark.parametrize(
    ("number", "state", "direction", "protocol", "ends"),
    [
        (12, "established", "out", 6, V4),
        (13, "closed", None, 6, V4),
        (15, "established", "in", 6, V4),
        (28, "established", "out", 6, V6),
        (29, "closed", None, 6, V6),
        (31, "established", "in", 6, V6),
        (42, "sent", "out", 17, V4),
        (58, "sent", "out", 17, V6),
    ],
)
def test_network(number, state, direction, protocol, ends):
    """Connections of both families have their ends, ports in the right order of bytes."""
    local, remote = ends
    family = "IPv6" if ":" in local else "IPv4"
    found = parse_network(network(number, 42, (local, 50001), (remote, 443)))
    assert found == Flow(state, direction, 42, family, protocol, local, 50001, remote, 443)


def test_cut_payloads():
    """A payload that is cut within its fields is an error; a text may end with the data."""
    whole = started(42, 7, NOTEPAD)
    for end in range(len(whole.data) - len(NOTEPAD) * 2 - 14):
        with pytest.raises(Truncated):
            parse_process(whole._replace(data=whole.data[:end]))
    assert parse_process(started(42, 7, "x", version=1, cut=-2)).image == "x"
    for end in range(20):
        with pytest.raises(Truncated):
            parse_network(network(12, 42, ("192.0.2.5", 1), ("192.0.2.6", 2), cut=end))


@given(st.sampled_from([1, 2]), st.integers(0, 255), st.binary(max_size=200))
def test_any_process_payload(number, version, data):
    """Whatever a payload is, it is a row that fits the columns, or an error."""
    record = Record(KERNEL_PROCESS, number, version, filetime(NOON), data)
    try:
        found = parse_process(record)
    except Truncated:
        return
    rows = ProcessRows({DEVICE: "C:"})
    row = rows.started(record, found) if number == 1 else rows.stopped(record, found)
    assert value_findings(ProcessesEvents(Host()), [row]) == []


@given(st.integers(0, 80), st.binary(max_size=80), st.integers(0, 1 << 63))
def test_any_network_payload(number, data, moment):
    """Whatever a payload is, it is a row that fits the columns, none, or an error."""
    record = Record(KERNEL_NETWORK, number, 0, moment, data)
    try:
        flow = parse_network(record)
    except Truncated:
        return
    row = None if flow is None else Flows().row(record, flow)
    assert row is None or value_findings(SocketsEvents(Host()), [row]) == []


def test_rows_of_a_process():
    """An end has what the start told; a device's name becomes a drive's letter."""
    rows = ProcessRows({DEVICE: "C:"})
    begun, ended = started(42, 7, NOTEPAD), stopped(42, "notepad.ex", 3)
    first = rows.started(begun, parse_process(begun))
    assert first == {
        "time": NOON, "state": "started", "pid": 42, "ppid": 7, "startup": NOON * 1000,
        "name": r"C:\Windows\System32\notepad.exe", "exe": r"C:\Windows\System32\notepad.exe",
        "incomplete": False,
    }  # fmt: skip
    last = rows.stopped(ended, parse_process(ended))
    assert (last["exe"], last["ppid"], last["exit_code"]) == (first["exe"], 7, 3)
    assert (last["duration"], last["incomplete"]) == (2_000_000_000, False)


def test_an_end_without_a_start():
    """A process that was there before, or whose ID is another's now, has what the end tells."""
    rows = ProcessRows({})
    begun, ended = started(42, 7, NOTEPAD, micros=NOON + 5), stopped(42, "notepad.ex", 0)
    assert rows.started(begun, parse_process(begun))["exe"] == NOTEPAD
    last = rows.stopped(ended, parse_process(ended))
    assert (last["name"], last["exe"], last["incomplete"]) == ("notepad.ex", None, True)


def test_flows():
    """The end of a connection tells how long it was; of datagrams the first is told."""
    flows = Flows(most=2)

    def row(number, micros, port=443):
        here, there = ("192.0.2.5", 50001), ("198.51.100.7", port)
        record = network(number, 42, here, there, micros=NOON + micros)
        return flows.row(record, parse_network(record))

    assert row(12, 0)["state"] == "established"
    closed = row(13, 1_000_000)
    assert (closed["direction"], closed["duration"]) == ("out", 1_000_000_000)
    assert "duration" not in row(13, 2_000_000)
    assert row(42, 0, 53)["state"] == "established"
    assert row(42, 1, 53) is None
    row(12, 2, 1), row(12, 2, 2)
    assert row(42, 3, 53)["state"] == "established", "the oldest is forgotten"


def test_queue():
    """Events go from thread to thread; what does not fit is counted."""
    queue = Queue(most=3)
    assert queue.take(0.0) == ([], 0)
    thread = threading.Thread(target=lambda: [queue.put(OTHER) for _ in range(5)])
    thread.start()
    thread.join()
    assert queue.take(5.0) == ([OTHER] * 3, 2)
    assert queue.take(0.0) == ([], 0)


def test_event_filter():
    """A filter has how many events it lets pass, then each of them."""
    assert event_filter((12, 13)) == b"\x01\x00\x02\x00\x0c\x00\x0d\x00"
    with pytest.raises(ValueError, match="1 to 64 events, not 0"):
        event_filter(())


def test_properties():
    """The properties of a session have room for its name, and tell of losses."""
    buffer = properties("zeek-agent")
    assert len(buffer) == 120 + 2048
    assert lost(buffer) == 0
    with pytest.raises(ValueError, match="too long"):
        properties("x" * 2000)


@pytest.mark.skipif("sys.platform == 'win32'")
def test_elsewhere():
    """Elsewhere there is no event tracing."""
    with pytest.raises(OSError, match="Windows only"):
        trace("x", ())


def test_a_hundred_thousand_events():
    """A busy host's events are read whole."""
    records = [started(42, 7, NOTEPAD), stopped(42, "notepad.exe", 0)]
    rows, count = ProcessRows({DEVICE: "C:"}), 0
    for _ in range(50_000):
        count += bool(rows.started(records[0], parse_process(records[0])))
        count += bool(rows.stopped(records[1], parse_process(records[1])))
    assert count == 100_000
