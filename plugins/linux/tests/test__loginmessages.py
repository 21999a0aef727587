"""Messages about logins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _loginmessages as module

STARTED, ENDED = module.SESSION_STARTED.decode(), module.SESSION_ENDED.decode()


def entry(message, writer="sshd", pid="7", uid="0", **fields):
    """Return the fields of an entry of the journal."""
    all_fields = {"MESSAGE": message, "SYSLOG_IDENTIFIER": writer, "_PID": pid, "_UID": uid}
    return {key.encode(): value.encode() for key, value in (all_fields | fields).items()}


def told(*entries):
    """Return the rows for *entries*, a second apart."""
    messages = module.Messages()
    rows = [messages.row(each.get, number * 1_000_000) for number, each in enumerate(entries, 1)]
    return [row for row in rows if row is not None]


@pytest.mark.parametrize(
    ("message", "action", "user", "address", "port", "method"),
    [
        ("Accepted password for ann from 192.0.2.1 port 5 ssh2", "login", "ann", "192.0.2.1", 5,
         "password"),
        ("Accepted publickey for root from ::1 port 4022 ssh2: ED25519 SHA256:x", "login", "root",
         "::1", 4022, "publickey"),
        ("Failed password for bob from 192.0.2.9 port 6 ssh2", "failed", "bob", "192.0.2.9", 6,
         "password"),
        ("Failed none for invalid user admin from fe80::1%eth0 port 6 ssh2", "failed", "admin",
         "fe80::1", 6, "none"),
        ("Failed password for x from 1.2.3.4 port 1 from 192.0.2.9 port 6 ssh2", "failed",
         "x from 1.2.3.4 port 1", "192.0.2.9", 6, "password"),
        ("Connection closed by authenticating user root 192.0.2.3 port 7 [preauth]", "failed",
         "root", "192.0.2.3", 7, None),
        ("Disconnected from invalid user  192.0.2.3 port 7 [preauth]", "failed", "", "192.0.2.3",
         7, None),
    ],
)  # fmt: skip
def test_sshd(message, action, user, address, port, method):  # noqa: PLR0917
    """Logins and failures come with user, origin and method, whatever the user is called."""
    (row,) = told(entry(message))
    assert (row["action"], row["user"], row["address"]) == (action, user, address)
    assert (row["port"], row.get("method"), row["pid"]) == (port, method, 7)
    assert row["service"] == "sshd"


def test_the_end_of_a_session():
    """The end of a session is known by the process, with origin and duration."""
    _, row = told(
        entry("Accepted publickey for ann from 192.0.2.1 port 5 ssh2: x"),
        entry("pam_unix(sshd:session): session closed for user ann"),
    )
    assert (row["action"], row["user"], row["address"]) == ("logout", "ann", "192.0.2.1")
    assert row["duration"] == 1_000_000_000


def test_a_failure_is_told_once():
    """After failures with passwords the end of the connection is no other one."""
    rows = told(
        entry("Failed password for bob from 192.0.2.9 port 6 ssh2"),
        entry("Connection closed by authenticating user bob 192.0.2.9 port 6 [preauth]"),
    )
    assert len(rows) == 1


def test_sessions_of_logind():
    """Sessions at the console are told by logind; those of sshd are not told twice."""
    logind = {"writer": "systemd-logind", "pid": "1"}
    rows = told(
        entry("Accepted password for ann from 192.0.2.1 port 5 ssh2", pid="50"),
        entry("", **logind, MESSAGE_ID=STARTED, SESSION_ID="1", USER_ID="ann", LEADER="50"),
        entry("", **logind, MESSAGE_ID=STARTED, SESSION_ID="2", USER_ID="bob", LEADER="60"),
        entry("", **logind, MESSAGE_ID=ENDED, SESSION_ID="1"),
        entry("", **logind, MESSAGE_ID=ENDED, SESSION_ID="2"),
        entry("", **logind, MESSAGE_ID=ENDED, SESSION_ID="3"),
        entry("System is powering down.", **logind, MESSAGE_ID=module.SHUTDOWN.decode()),
    )
    seen = [(row["action"], row.get("user"), row.get("session")) for row in rows]
    assert seen == [
        ("login", "ann", None),
        ("login", "bob", "2"),
        ("logout", "bob", "2"),
        ("logout", None, "3"),
        ("shutdown", None, None),
    ]
    assert rows[2]["duration"] == 2_000_000_000


def test_login():
    """Failures at the console are told."""
    (row,) = told(
        entry("FAILED LOGIN (1) ON '/dev/tty1' FOR 'bob', Authentication failure", writer="login")
    )
    assert (row["action"], row["user"], row["terminal"]) == ("failed", "bob", "tty1")


def test_only_root_is_believed():
    """Anybody may write a message under the name of sshd; it is not believed."""
    assert told(entry("Accepted password for a from 192.0.2.1 port 5 ssh2", uid="1000")) == []


@given(
    st.dictionaries(
        st.sampled_from(module.FIELDS),
        st.binary(max_size=40) | st.sampled_from([b"sshd", b"systemd-logind", b"login", b"0"]),
    )
)
def test_any_message(fields):
    """Any message gives a row or none."""
    row = module.Messages().row(fields.get, 1)
    assert row is None or row["time"] == 1
