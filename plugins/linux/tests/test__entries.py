"""Rows of the journal's entries."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _entries

from zeek_agent_core.api import Where
from zeek_agent_core.schema.system_logs_events import SystemLogsEvents

COLUMNS = frozenset(column.name for column in SystemLogsEvents.columns)
ENTRY = {
    b"MESSAGE": b"caf\xc3\xa9 \xff",
    b"PRIORITY": b"3",
    b"_EXE": b"/usr/sbin/sshd",
    b"_COMM": b"sshd",
    b"SYSLOG_IDENTIFIER": b"sshd",
    b"SYSLOG_FACILITY": b"10",
    b"_PID": b"4711",
    b"_UID": b"0",
    b"_SYSTEMD_UNIT": b"ssh.service",
}


def test_all_columns():
    """Each column has the value of its field; what is not UTF-8 is shown."""
    row = _entries.Plan(COLUMNS, ()).row(ENTRY.get, 17)
    assert row == {
        "time": 17,
        "process": "/usr/sbin/sshd",
        "level": "3",
        "message": "café \\xff",
        "identifier": "sshd",
        "pid": 4711,
        "uid": 0,
        "unit": "ssh.service",
    }


@pytest.mark.parametrize(
    ("lacking", "process"),
    [((b"_EXE",), "sshd"), ((b"_EXE", b"_COMM"), "sshd"), (ENTRY, None)],
)
def test_process_is_the_best_there_is(lacking, process):
    """The program's path counts before its name, the name before the tag."""
    entry = {key: value for key, value in ENTRY.items() if key not in lacking}
    assert _entries.Plan(COLUMNS, ()).row(entry.get, 0).get("process") == process


def test_no_more_is_read_than_is_wanted():
    """Fields of columns that no query looks at are not asked for."""
    asked = []
    _entries.Plan({"time", "message"}, ("_CMDLINE",)).row(asked.append, 0)
    assert asked == [b"MESSAGE"]
    assert _entries.Plan({"message", "fields"}, ("_CMDLINE",)).names == [b"MESSAGE", b"_CMDLINE"]


@pytest.mark.parametrize("raw", [b"", b"x", b"-1", b"99999999999999999999", b"\xff"])
def test_numbers_that_are_none(raw):
    """A process ID that is no number is NULL."""
    row = _entries.Plan(COLUMNS, ()).row({b"_PID": raw}.get, 0)
    assert row["pid"] is None


def test_a_long_message_is_cut():
    """A message has at most 64 KiB."""
    row = _entries.Plan(COLUMNS, ()).row({b"MESSAGE": b"x" * 100_000}.get, 0)
    assert len(row["message"]) == 1 << 16


def test_further_fields():
    """Fields that are asked for come as JSON, several values as a list, `*` means all."""
    pairs = [(b"A", b"1"), (b"B", b"\xff"), (b"A", b"2"), (b"__CURSOR", b"c"), (b"A", b"3")]
    assert json.loads(_entries.Plan(COLUMNS, ("A",)).more(pairs)) == {"A": ["1", "2", "3"]}
    everything = json.loads(_entries.Plan(COLUMNS, ("*",)).more(pairs))
    assert everything == {"A": ["1", "2", "3"], "B": "\\xff"}
    assert _entries.Plan(COLUMNS, ("C",)).more(pairs) is None


def test_further_fields_are_bounded():
    """However much is in an entry, what is held of it is bounded."""
    pairs = [(b"F%d" % number, b"x" * 100_000) for number in range(100)]
    assert 100_000 < len(_entries.Plan(COLUMNS, ("*",)).more(pairs)) < 300_000


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, []),
        ({"allowed": {"level": {"3"}}}, [[b"PRIORITY=3"]]),
        ({"highs": {"level": "2"}}, [[b"PRIORITY=0", b"PRIORITY=1", b"PRIORITY=2"]]),
        ({"lows": {"level": "6"}}, [[b"PRIORITY=6", b"PRIORITY=7"]]),
        (
            {"allowed": {"unit": {"a.service"}, "identifier": {"x"}}},
            [[b"SYSLOG_IDENTIFIER=x"], [b"_SYSTEMD_UNIT=a.service"]],
        ),
    ],
)
def test_conditions_become_matches(where, expected):
    """Conditions that the journal can apply are put into its words."""
    assert _entries.matches(Where(COLUMNS, **where)) == expected


def test_a_condition_that_nothing_meets():
    """Where nothing is wanted the journal is asked for what no entry has."""
    ((term,),) = _entries.matches(Where(COLUMNS, allowed={"level": {"nine"}}))
    assert term.startswith(b"PRIORITY=")
    assert term not in {b"PRIORITY=%d" % level for level in range(8)}


@given(
    st.dictionaries(
        st.sampled_from(sorted(ENTRY)), st.binary(max_size=8) | st.sampled_from([b"3", b"x"])
    ),
    st.fixed_dictionaries({}, optional={"level": st.just({"3"}), "unit": st.just({"x"})}),
)
def test_matches_leave_out_nothing_wanted(entry, allowed):
    """What a query wants meets the matches made of its conditions."""
    where = Where(COLUMNS, allowed=allowed)
    row = _entries.Plan(COLUMNS, ()).row(entry.get, 0)
    fields = {name + b"=" + value for name, value in entry.items()}
    is_matched = all(fields & set(terms) for terms in _entries.matches(where))
    assert is_matched or not _entries.admits(where, row)
