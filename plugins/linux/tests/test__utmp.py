"""Records of `wtmp`."""

import ipaddress
import platform
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _utmp

NARROW, WIDE = _utmp.layout("x86_64"), _utmp.layout("aarch64")

# As `utmpdump` of util-linux shows and reads it.
DUMPED = (
    "[7] [01234] [ts/0] [root    ] [pts/0       ] [192.0.2.7           ] [192.0.2.7      ] "
    "[2024-03-14T23:23:45,123456+00:00]\n"
)


def record(form, kind, *, pid=0, line="", user="", host="", time=0, address=b""):
    """Return a record as `login` and others write it."""
    parts = [part.encode() for part in (line, user, host)]
    return form.pack(kind, pid, parts[0], b"", parts[1], parts[2], 0, 0, 0, time, 5, address)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="utmpdump writes this machine's form")
def test_a_real_record():
    """A record that util-linux wrote is understood."""
    run = subprocess.run(["utmpdump", "-r"], input=DUMPED.encode(), capture_output=True, check=True)
    found = _utmp.parse(run.stdout, NARROW)
    expected = (7, 1234, "pts/0", "root", "192.0.2.7", 1710458625123456, "192.0.2.7")
    assert found == expected


def test_sizes():
    """Records are as long as in the GNU C library, where time has 32 bits and where 64."""
    assert (NARROW.size, WIDE.size) == (384, 400)


@given(
    st.sampled_from([NARROW, WIDE]),
    st.integers(0, 9),
    st.integers(0, 2**31 - 1),
    st.text("abc/ö", max_size=8),
    st.integers(0, 2**31 - 1),
    st.ip_addresses(),
)
def test_parsing_undoes_writing(form, kind, pid, user, time, address):  # noqa: PLR0917
    """What was written is read, on both kinds of machines."""
    raw = record(form, kind, pid=pid, user=user, time=time, address=address.packed)
    found = _utmp.parse(raw, form)
    assert found[:2] == (kind, pid)
    assert (found.user, found.time) == (user, time * 1_000_000 + 5)
    if found.address is not None and any(address.packed[4:]):
        mapped = getattr(address, "ipv4_mapped", None)
        assert ipaddress.ip_address(found.address) == (mapped or address)


@given(st.binary(min_size=384, max_size=384))
def test_any_record(raw):
    """Whatever is in a record, it gives a row or none."""
    found = _utmp.parse(raw, NARROW)
    row = _utmp.Sessions().row(found)
    assert row is None or row["action"] in {"login", "logout", "boot", "shutdown"}
    assert _utmp.described(found, "failed")["action"] == "failed"


@pytest.mark.parametrize("size", [0, 1, 383, 385])
def test_truncated(size):
    """A record that is cut is an error."""
    with pytest.raises(ValueError, match=f"{size} bytes"):
        _utmp.parse(bytes(size), NARROW)


def told(*records):
    """Return the rows for *records*."""
    sessions = _utmp.Sessions()
    rows = [sessions.row(_utmp.parse(raw, NARROW)) for raw in records]
    return [row for row in rows if row is not None]


def test_a_session():
    """Who logs out is known by the terminal; how long it took, too."""
    login, logout = told(
        record(NARROW, 7, pid=9, line="pts/1", user="ann", host="x.example", time=100),
        record(NARROW, 8, pid=9, line="pts/1", time=160),
    )
    assert (login["action"], login["user"], login["host"]) == ("login", "ann", "x.example")
    assert (logout["action"], logout["user"], logout["terminal"]) == ("logout", "ann", "pts/1")
    assert logout["duration"] == 60_000_000_000


def test_what_is_no_login():
    """The end of a getty, changes of the clock and of the run level are no logins."""
    kinds = [(8, ""), (1, "runlevel"), (3, ""), (4, ""), (5, ""), (6, "LOGIN"), (0, "")]
    assert told(*[record(NARROW, kind, line="tty1", user=user) for kind, user in kinds]) == []


def test_boot_ends_all_sessions():
    """After a start of the system nobody is logged in any more."""
    rows = told(
        record(NARROW, 7, line="pts/1", user="ann"),
        record(NARROW, 1, line="~", user="shutdown"),
        record(NARROW, 2, line="~", user="reboot"),
        record(NARROW, 8, line="pts/1"),
    )
    assert [row["action"] for row in rows] == ["login", "shutdown", "boot"]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("fe80::1%eth0", "fe80::1"), ("10.0.0.1", "10.0.0.1"), (":0", None), ("", None),
        ("host.example", None),
    ],
)  # fmt: skip
def test_hosts_that_are_addresses(host, address):
    """What stands for the host may be an address."""
    assert _utmp.host_address(host) == address


def test_layout_is_that_of_the_c_library():
    """The time is where the C library has it, in both forms."""
    for form, kind, at in ((NARROW, "=i", 340), (WIDE, "=q", 344)):
        assert struct.unpack_from(kind, record(form, 7, time=77), at) == (77,)
