"""Events of Endpoint Security, as `eslogger` prints them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_darwin import _eslogger
from zeek_agent_darwin._eslogger import Event, Reader, parse_time
from zeek_agent_darwin.file_events import OBJECTS, FileEvents
from zeek_agent_darwin.files_events import FilesEvents, matcher
from zeek_agent_darwin.process_events import ProcessEvents
from zeek_agent_darwin.process_events import process_row as first_row
from zeek_agent_darwin.processes_events import ProcessesEvents, process_row

from zeek_agent_core.host import Host
from zeek_agent_core.testing._rows import value_findings

LINES = [
    line
    for line in (Path(__file__).parent / "fixtures/streams/eslogger.jsonl")
    .read_bytes()
    .split(b"\n")
    if line
]
ROWS = (process_row, first_row)
NOON = 1_795_813_200_000_000
"""2026-11-27 21:00:00 UTC."""


def events():
    """Return the recorded events."""
    return Reader().events(LINES)


def files():
    """Return the rows of ``file_events``."""
    table = FileEvents(Host())
    return table.sources[0](table).made(events())


def test_kinds():
    """Each line is one event, in order."""
    kinds = "fork exec exec open open create create rename unlink close close exit exit signal"
    assert [event.kind for event in events()] == kinds.split()


def test_started():
    """An `exec` is a process that started, as the program that it became."""
    row = process_row(events()[1])
    assert row == {
        "time": NOON + 1500,
        "state": "started",
        "name": "/usr/bin/curl",
        "exe": "/usr/bin/curl",
        "cmdline": "curl -s https://example.org/a b",
        "cwd": "/Users/ada/src",
        "pid": 9001,
        "ppid": 812,
        "uid": 501,
        "gid": 20,
        "ruid": 501,
        "rgid": 20,
        "auid": 501,
        "startup": (NOON + 100) * 1000,
        "duration": 1_400_000,
    }


def test_script_and_unknown_fields():
    """A script has its interpreter as program; root is 0, nobody's login is NULL."""
    event = events()[2]
    row = process_row(event)
    assert (row["exe"], row["uid"], row["auid"]) == ("/opt/homebrew/bin/python3.12", 0, None)
    first = first_row(event)
    assert first["path"] == "/private/tmp/tool.py"
    assert first["cmdline"] == '"python3" "./tool.py" ""'
    assert (first["platform_binary"], first["team_id"], first["tty"]) == (False, "ABCDE12345", None)


def test_forked():
    """A `fork` is told of the child; in the first generation's table of the caller."""
    event = events()[0]
    row = process_row(event)
    assert (row["state"], row["pid"], row["ppid"]) == ("forked", 9001, 812)
    first = first_row(event)
    assert (first["syscall"], first["pid"], first["child_pid"]) == ("fork", 812, 9001)
    assert first["cdhash"] == "6b24f35d7af1de5a8d3f1e9cc0a4e1f0b8d7c6a5"


def test_stopped():
    """An exit status and a signal are told apart; other events are no rows."""
    exited, killed, signal = (process_row(event) for event in events()[-3:])
    assert (exited["exit_code"], exited["exit_signal"]) == (1, None)
    assert exited["duration"] == 6_000_000_000
    assert (killed["exit_code"], killed["exit_signal"]) == (None, 9)
    assert signal is None


def test_files():
    """Opened, created, renamed and removed files have their paths and who did it."""
    rows = [(r["syscall"], r["path"], r.get("destination"), r["created"]) for r in files()]
    folder = "/Users/ada/src"
    assert rows == [
        ("open", "/etc/hosts", None, False),
        ("open", f"{folder}/Ünïcode.txt", None, False),
        ("create", f"{folder}/page.html", None, True),
        ("create", f"{folder}/page.html", None, True),
        ("rename", f"{folder}/page.html", f"{folder}/index.html", False),
        ("unlink", f"{folder}/old.html", None, False),
    ]
    opened = files()[:2]
    assert [(row["flags"], row["inode"], row["exe"]) for row in opened] == [
        (0, 4711, "/usr/bin/curl"),
        (2, 4712, "/usr/bin/curl"),
    ]


def test_changes():
    """Changes below the paths of the settings are told; closing tells of what was written."""
    settings = {"files_events": {"paths": ["/etc", "/Users/*/src"]}}
    table = FilesEvents(Host("/", settings))
    rows = table.sources[0](table).made(events())
    folder = "/Users/ada/src"
    assert [(r["action"], r["path"], r.get("old_path"), r["count"]) for r in rows] == [
        ("created", f"{folder}/page.html", None, 2),
        ("renamed", f"{folder}/index.html", f"{folder}/page.html", 1),
        ("deleted", f"{folder}/old.html", None, 1),
        ("modified", "/private/etc/hosts", None, 1),
    ]
    assert (rows[3]["process"], rows[3]["uid"], rows[3]["is_directory"]) == ("curl", 501, False)


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/etc", True),
        ("/private/etc/ssh/sshd_config", True),
        ("/etcetera", False),
        ("/Users/ada/.ssh/id", True),
        ("/Users/ada/x/.ssh", False),
        ("/Users/.ssh", False),
        ("/opt/a1/x", True),
        ("/opt/a-/x", False),
        ("/opt/bz", True),
        ("/opt/b/", False),
        ("/opt/[", True),
    ],
)
def test_matcher(path, matches):
    """A path matches as it is or by a directory above it; a wildcard matches within a name."""
    patterns = ["/etc/", "/Users/*/.ssh", "/opt/a[0-9]", "/opt/b[!x]", "/opt/["]
    assert bool(matcher(patterns)(path)) is matches
    assert matcher([])(path) is None


def test_gaps_are_losses():
    """Numbers that are missing are events that the system dropped."""
    reader = Reader()
    reader.events(LINES)
    assert (reader.dropped, reader.unreadable) == (3, 0)


@pytest.mark.parametrize("table", [ProcessesEvents, ProcessEvents, FileEvents, FilesEvents])
def test_values_fit_the_columns(table):
    """All rows of all events have declared columns with values of their types."""
    made = table(Host("/", {"files_events": {"paths": ["/etc", "/Users"]}}))
    rows = made.sources[0](made).made(events())
    assert rows
    assert value_findings(made, rows) == []
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert not filled & set(table.origin.null)
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


ANY = st.characters(codec=None, categories=["L", "N", "P", "Cs"])
"""Halves of surrogate pairs too, which JSON lets through."""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(ANY, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@st.composite
def mutated(draw):
    """Return an event in which something has another value than it should."""
    message = json.loads(draw(st.sampled_from(LINES)))
    place = message
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return message
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and draw(st.booleans()):
            place = place[key]
            continue
        place[key] = draw(json_values)
        return message


@pytest.mark.parametrize("line", LINES)
def test_lean_events(line):
    """Left out are the status of files and the environment, and nothing else."""

    def stripped(value):
        if isinstance(value, list):
            return [stripped(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            key: None
            if key in {"stat", "env"} and isinstance(inner, dict | list)
            else stripped(inner)
            for key, inner in value.items()
        }

    assert _eslogger.load_lean(line) == stripped(json.loads(line))
    assert len(_eslogger.without_status(line)) < len(line)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"stat":{"st_ino":{"deep":1}}},"b":[1]}',
        '{"a":{"stat":{"st_ino":"}"}},"b":1}',
        '{"stat":{',
        '{"env":[],"args":["x"],"b":1}',
        '{"env":["A=\\"],","B=1"],"args":["y"]}',
        '{"env":["A=1",2],"args":["y"]}',
        '{"args":["\\"stat\\":{","\\"env\\":[\\"x\\"],"],"env":["Z=1"]}',
    ],
)
def test_lean_events_of_another_layout(text):
    """What is laid out in another way is read whole, never wrongly."""
    line = text.encode()
    try:
        expected = json.loads(line)
    except ValueError:
        with pytest.raises(ValueError, match=r"delimiter|Expecting"):
            _eslogger.load_lean(line)
        return
    found = _eslogger.load_lean(line)
    for key in expected.keys() - {"env", "a"}:
        assert found[key] == expected[key]


@given(mutated())
def test_lean_rows_are_the_same(message):
    """Whatever stands in an event, a lean read gives the same row of a process."""
    line = json.dumps(message, separators=(",", ":")).encode()
    whole, lean = (Reader().events([line], is_lean=lean) for lean in (False, True))
    assert [process_row(event) for event in lean] == [process_row(event) for event in whole]


def test_cut_lines():
    """A line cut anywhere is counted, and does not disturb its neighbours."""
    line = LINES[1]
    for end in range(1, len(line), 97):
        reader = Reader()
        found = reader.events([line[:end], LINES[11]])
        assert [event.kind for event in found] == ["exit"]
        assert reader.unreadable == 1


@given(mutated())
def test_any_value_anywhere(message):
    """Whatever stands in an event, rows fit the columns, or there are none."""
    found = Reader().events([json.dumps(message).encode()])
    for table in (ProcessesEvents, ProcessEvents, FileEvents, FilesEvents):
        made = table(Host())
        assert value_findings(made, made.sources[0](made).made(found)) == []


@given(st.binary(max_size=300))
def test_any_bytes(raw):
    """What is no event is counted."""
    reader = Reader()
    assert reader.events([raw]) == []
    assert reader.unreadable == 1


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-27T21:00:00Z", NOON),
        ("2026-11-27T21:00:00.5Z", NOON + 500_000),
        ("2026-11-27T21:00:00.123456789Z", NOON + 123_456),
        ("2026-11-27T21:00:00", None),
        ("2026-99-27T21:00:00Z", None),
        ("", None),
        (17, None),
        (None, None),
    ],
)
def test_times(text, micros):
    """Times are read with up to nine digits; all else is unknown."""
    assert parse_time(text) == micros


@given(st.text(max_size=40))
def test_any_time(text):
    """Any text is a time or none."""
    parse_time(text)
    parse_time(f"{text}Z")


def test_a_hundred_thousand_events():
    """A busy minute of events is read whole, within the bounds of memory of a batch."""
    count, reader = 0, Reader()
    for _ in range(100_000 // len(LINES) + 1):
        count += len(reader.events(LINES))
    assert count >= 100_000
    assert reader.unreadable == 0


def test_objects_are_those_asked_for():
    """Each kind that is asked for has a way to become a row."""
    assert set(OBJECTS) == {"open", "create", "rename", "unlink"}
    assert _eslogger.destination({}) == (None, True)
    assert process_row(Event("exec", None, {}, {}))["pid"] is None
