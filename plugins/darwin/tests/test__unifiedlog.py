"""Entries of the unified log, as `log stream` prints them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_darwin._unifiedlog import Reader, parse_time
from zeek_agent_darwin.system_logs_events import SystemLogsEvents

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings

RAW = (Path(__file__).parent / "fixtures/streams/log_stream.ndjson").read_bytes()
LINES = RAW.split(b"\n")


def test_rows():
    """Entries become rows; what has no message is none, the first line is skipped."""
    rows = Reader().rows(LINES)
    first, second, third, activity, info, kernel = rows
    assert first == {
        "time": 1_795_809_600_123_456,
        "process": "opendirectoryd",
        "level": "default",
        "message": "Authentication succeeded for user <private>",
        "identifier": "com.apple.opendirectoryd",
        "facility": "auth",
        "pid": 337,
        "uid": 501,
    }
    assert (second["process"], second["level"], second["uid"]) == ("sudo", "error", 0)
    assert second["time"] == 1_795_809_600_000_001
    assert "identifier" not in second
    assert (third["process"], third["level"], third["message"]) == (
        "Safari", "fault", "näme\nsecond line",
    )  # fmt: skip
    assert "uid" not in third
    assert (activity["process"], activity["level"]) == (None, None)
    assert "time" not in activity
    assert "pid" not in activity
    assert info["level"] == "info"
    assert (kernel["process"], kernel["pid"], kernel["message"]) == ("kernel", 0, "")


def test_losses():
    """What the log says it lost is counted, and so is a line that is cut."""
    reader = Reader()
    reader.rows(LINES)
    assert (reader.dropped, reader.unreadable) == (42, 1)


def test_values_fit_the_columns():
    """Rows have declared columns, and fill all that are not said to be NULL."""
    table = SystemLogsEvents(Host())
    rows = Reader().rows(LINES)
    assert value_findings(table, rows) == []
    filled = {name for row in rows for name in row}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


def test_long_messages_are_cut():
    """A message has a bound."""
    (row,) = Reader().rows([json.dumps({"eventMessage": "x" * 200_000}).encode()])
    assert len(row["message"]) == 65_536


ANY = st.characters(codec=None, categories=["L", "N", "P", "Cs"])
"""Halves of surrogate pairs too, which JSON lets through."""
values = st.none() | st.booleans() | st.integers() | st.text(ANY, max_size=40) | st.just([1])
KEYS = (
    "eventMessage", "eventType", "messageType", "processImagePath", "timestamp", "lossCount",
    "processID", "userID", "subsystem", "category",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_any_value(entry):
    """Whatever stands in an entry, its row fits the columns."""
    rows = Reader().rows([json.dumps(entry).encode()])
    assert value_findings(SystemLogsEvents(Host()), rows) == []


@given(st.binary(max_size=300))
def test_any_bytes(raw):
    """No line brings the reader down."""
    Reader().rows([raw, b"{" + raw])


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-27 21:00:00.123456+0100", 1_795_809_600_123_456),
        ("2026-11-27 21:00:00.000000-0330", 1_795_825_800_000_000),
        ("2026-11-27 21:00:00.123456", None),
        ("2026-13-27 21:00:00.123456+0100", None),
        ("2026-11-27 21:00:00.12345x+0100", None),
        ("2026-11-27 21:00:00.123456*0100", None),
        (None, None),
    ],
)
def test_times(text, micros):
    """Times have a zone of their own; all else is unknown."""
    assert parse_time(text) == micros


def test_a_hundred_thousand_lines():
    """A busy minute of entries is read whole."""
    reader, count = Reader(), 0
    for _ in range(100_000 // len(LINES) + 1):
        count += len(reader.rows(LINES))
    assert count == 6 * (100_000 // len(LINES) + 1)
