"""Tests of ``logins_events`` on Windows."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from scripted_windows import NOON, ScriptedReader
from zeek_agent_windows._eventlog import Rendered, parse_event
from zeek_agent_windows._logons import Logons
from zeek_agent_windows.logins_events import LoginsEvents

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings
from zeek_agent_core.testing.conformance import findings

EVENTS = [
    file.read_text() for file in sorted((Path(__file__).parent / "fixtures/logons").iterdir())
]


def rows():
    """Return the rows of the recorded events."""
    logons = Logons()
    return [row for xml in EVENTS if (row := logons.row(parse_event(xml))) is not None]


async def test_conforms():
    """The table keeps the rules that all tables keep."""
    reader = ScriptedReader([Rendered(xml, None) for xml in EVENTS])
    assert await findings(LoginsEvents(Host(), reader)) == []
    assert set(reader.asked[0]) == {"Security", "System"}
    assert "EventID=4625" in reader.asked[1]


def test_rows():
    """Logons have user, origin and method; the end of one tells how long it was."""
    boot, login, failed, local, logout, shutdown = rows()
    assert (boot, shutdown) == (
        {"action": "boot", "time": NOON - 3_600_000_000},
        {"action": "shutdown", "time": NOON + 3_600_000_000},
    )
    assert login == {
        "action": "login",
        "time": NOON + 123_456,
        "user": r"DESK-1\ada",
        "address": "198.51.100.7",
        "port": 50123,
        "host": "DESK-1",
        "pid": 500,
        "service": "User32",
        "method": "remote_interactive",
        "session": "0x3e7abc",
    }
    assert (failed["action"], failed["user"], failed["address"], failed["port"]) == (
        "failed", "root", "203.0.113.9", None,
    )  # fmt: skip
    assert (local["address"], local["port"], local["method"]) == (None, None, "unknown (42)")
    assert (logout["action"], logout["duration"]) == ("logout", 600_000_000_000)


def test_values_fit_the_columns():
    """Rows have declared columns, and fill all that are not said to be NULL."""
    table = LoginsEvents(Host())
    assert value_findings(table, rows()) == []
    filled = {name for row in rows() for name, value in row.items() if value is not None}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


texts = st.text(max_size=20) | st.sampled_from(["-", "0x1f4", "fe80::1%4", "::1", "99999999999"])


@given(st.sampled_from([4624, 4625, 4634]), st.dictionaries(
    st.sampled_from(["TargetUserName", "TargetDomainName", "IpAddress", "IpPort", "ProcessId",
                     "LogonType", "LogonProcessName", "TargetLogonId"]), texts,
))  # fmt: skip
def test_any_parameters(number, data):
    """Whatever parameters an audit has, its row fits the columns."""
    event = parse_event(EVENTS[1])._replace(number=number, data=data)
    assert value_findings(LoginsEvents(Host()), [Logons().row(event)]) == []
