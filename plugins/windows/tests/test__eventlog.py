"""Events of the Event Log, from their XML."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_windows._eventlog import Rendered, bookmark, log_row, parse_event, parse_time
from zeek_agent_windows.system_logs_events import SystemLogsEvents

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings

FOLDER = Path(__file__).parent / "fixtures/events"
NOON = 1_795_813_200_000_000
"""2026-11-27 21:00:00 UTC."""


def xml(name):
    """Return a recorded event."""
    return (FOLDER / f"{name}.xml").read_text()


def row(name, message=None, wanted=("EventID",)):
    """Return the row of a recorded event."""
    rendered = Rendered(xml(name), message)
    return log_row(rendered, parse_event(rendered.xml), wanted)


def test_logon():
    """An audit has its level, channel and record, process and provider, time to the µs."""
    assert row("logon", "An account was successfully logged on.") == {
        "time": NOON + 123_456,
        "process": "Microsoft-Windows-Security-Auditing",
        "identifier": "Microsoft-Windows-Security-Auditing",
        "level": "audit_success",
        "message": "An account was successfully logged on.",
        "eventid": "Security 80231",
        "pid": 716,
        "facility": "Security",
        "fields": '{"EventID": "4624"}',
    }


def test_without_a_message():
    """Where the provider has no text, the parameters stand for it."""
    failed = row("logon_failed")
    assert (failed["level"], failed["message"]) == ("audit_failure", "<b> & co, 0xc000006d")
    assert row("classic")["message"] == "svchost, (1234,R,98), "


@pytest.mark.parametrize(
    ("name", "level"),
    [("service_state", "info"), ("classic", "warning"), ("user_data", "audit_success")],
)
def test_levels(name, level):
    """Levels are words."""
    assert row(name)["level"] == level


def test_fields():
    """Parameters that the settings name are in `fields`; `*` is all of them."""
    assert json.loads(row("logon", wanted=("LogonType", "Nothing"))["fields"]) == {"LogonType": "3"}
    everything = json.loads(row("user_data", wanted=("*",))["fields"])
    assert everything == {
        "EventID": "1102",
        "UserID": "S-1-5-18",
        "SubjectUserName": "Grace",
        "SubjectDomainName": "DESK-1",
    }
    assert "fields" not in row("logon", wanted=())
    assert json.loads(row("classic", wanted=("2",))["fields"]) == {"2": "(1234,R,98)"}


def test_what_is_not_known():
    """Values of another kind than expected are NULL, new levels are numbers."""
    strange = row("new_level", wanted=())
    assert strange["level"] == "unknown (12)"
    assert (strange["eventid"], strange["pid"], strange["message"]) == (None, None, "")
    assert "time" not in strange


def test_values_fit_the_columns():
    """Rows have declared columns, and fill all that are not said to be NULL."""
    rows = [row(file.stem) for file in FOLDER.iterdir()]
    table = SystemLogsEvents(Host())
    assert value_findings(table, rows) == []
    filled = {name for each in rows for name, value in each.items() if value is not None}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


def test_cut_events():
    """An event cut anywhere is an error that says so."""
    whole = xml("logon")
    for end in range(0, len(whole), 53):
        with pytest.raises(ValueError, match="no XML"):
            parse_event(whole[:end])


def test_hostile_documents():
    """Entities are refused before they are looked at; other documents are no events."""
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><x>&b;</x>"
    with pytest.raises(ValueError, match="no document type"):
        parse_event(bomb)
    with pytest.raises(ValueError, match="no System"):
        parse_event("<x/>")


@given(st.text(max_size=200))
def test_any_text(text):
    """Any text is an event or a `ValueError`."""
    with contextlib.suppress(ValueError):
        parse_event(text)
    parse_time(text)


@given(st.sampled_from(sorted(file.stem for file in FOLDER.iterdir())), st.data())
def test_any_damage(name, data):
    """An event with a piece replaced gives a row that fits the columns, or an error."""
    whole = xml(name)
    start = data.draw(st.integers(0, len(whole)))
    end = min(start + data.draw(st.integers(0, 12)), len(whole))
    damaged = whole[:start] + data.draw(st.text(max_size=12)) + whole[end:]
    try:
        event = parse_event(damaged)
    except ValueError:
        return
    made = log_row(Rendered(damaged, None), event, ("*",))
    assert value_findings(SystemLogsEvents(Host()), [made]) == []


def test_bookmark():
    """A bookmark names channel and record, whatever is in the name."""
    made = bookmark("A&B'", 7)
    assert made.startswith('<BookmarkList><Bookmark Channel="A&amp;B\'" RecordId=')
    assert made.endswith("'7' IsCurrent='true'/></BookmarkList>")


def test_a_hundred_thousand_events():
    """A busy log is read whole."""
    texts = [xml(file.stem) for file in FOLDER.iterdir()]
    count = 0
    for number in range(100_000):
        text = texts[number % len(texts)]
        count += bool(log_row(Rendered(text, "text"), parse_event(text), ()))
    assert count == 100_000
