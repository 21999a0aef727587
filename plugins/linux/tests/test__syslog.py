"""Lines of syslog's files."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _syslog

NOW = datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"host sshd[7]: x", ("sshd", 7, "x")),
        (b"host CRON[99]: (root) CMD (a: b)", ("CRON", 99, "(root) CMD (a: b)")),
        (b"host systemd-logind: y", ("systemd-logind", None, "y")),
        (b"host postfix/smtp[1]:z", ("postfix/smtp", 1, "z")),
        (b"host no tag here", (None, None, "no tag here")),
        (b"host a:b \xff", ("a", None, "b \\xff")),
    ],
)
def test_who_wrote_it(raw, expected):
    """The tag, the process ID and the message are told apart."""
    line = _syslog.parse(b"2026-01-02T10:00:00Z " + raw, NOW)
    assert line[1:] == expected


def test_times():
    """Times with and without year are understood; the latter are never far ahead."""
    new = _syslog.parse(b"2026-01-02T11:00:00.5+01:00 h a: b", NOW).time
    assert new == int(datetime(2026, 1, 2, 10, tzinfo=UTC).timestamp() * 1e6) + 500_000
    for raw, year in ((b"Jan  2 10:00:00 h a: b", 2026), (b"Dec 31 10:00:00 h a: b", 2025)):
        moment = datetime.fromtimestamp(_syslog.parse(raw, NOW).time / 1e6).astimezone()
        assert (moment.year, moment.hour) == (year, 10)


@pytest.mark.parametrize(
    "raw", [b"", b"text", b"Feb 30 10:00:00 h a: b", b"Xyz  1 10:00:00 h a: b", b"2026-13-01T1 h a"]
)
def test_no_time(raw):
    """What has no time is a message as a whole."""
    assert _syslog.parse(raw, NOW) == (None, None, None, raw.decode())


@given(st.binary(max_size=80) | st.from_regex(_syslog._OLD) | st.from_regex(_syslog._NEW))
def test_any_line(raw):
    """Any line gives a message."""
    assert isinstance(_syslog.parse(raw, NOW).message, str)
