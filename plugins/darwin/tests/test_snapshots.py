"""Tests of macOS's snapshot tables on a scripted host."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from zeek_agent_darwin import _directory, _launchd, groups, processes, services, users

from zeek_agent_core.api import TableError
from zeek_agent_core.host import Host
from zeek_agent_core.testing.conformance import check_table

FIXTURES = Path(__file__).parent / "fixtures"


def ids(real, effective):
    """Return user or group IDs."""
    return SimpleNamespace(real=real, effective=effective)


class Directory:
    """An Open Directory with a few records."""

    def read(self, kind, attributes):
        """Return recorded output of dscl."""
        assert "RecordName" in attributes
        return (FIXTURES / f"directory/{kind.lower()}.plist").read_bytes()

    def group_ids(self, name, gid):
        """Return the groups of a user; one is an administrator through another group."""
        return {"ada": [20, 601, 80], "grace": [20, 601]}.get(name, [gid])


class Launchd:
    """A launchd with a few jobs."""

    def domain(self):
        """Return recorded output of launchctl."""
        return (FIXTURES / "launchd/launchctl_print_system.txt").read_text()


class Listing:
    """Processes as psutil shows them on macOS."""

    FACTS = (
        {
            "pid": 337, "name": "opendirectoryd", "ppid": 1, "create_time": 1_795_000_000.25,
            "uids": ids(0, 0), "gids": ids(0, 0), "nice": -5, "terminal": None,
            "memory_info": SimpleNamespace(rss=9_000_000, vms=420_000_000),
            "cpu_times": SimpleNamespace(user=12.5, system=3.25),
            "exe": "/usr/libexec/opendirectoryd",
            "cmdline": ["/usr/libexec/opendirectoryd"], "cwd": "/",
        },
        {
            "pid": 812, "name": "zsh", "ppid": 1, "create_time": 1_795_000_100.0,
            "uids": ids(501, 0), "gids": ids(20, 20), "nice": 0,
            "terminal": "/dev/ttys001", "memory_info": None, "cpu_times": None, "exe": "/bin/zsh",
            "cmdline": None, "cwd": None,
        },
    )  # fmt: skip

    def all(self, names):
        """Yield what is asked for."""
        for facts in self.FACTS:
            yield {"pid": facts["pid"], **{name: facts[name] for name in names}}

    def one(self, pid, names):
        """Return one process."""
        return next((facts for facts in self.all(names) if facts["pid"] == pid), None)


def made():
    """Return all tables on scripted hosts."""
    return [
        users.Users(Host(), Directory()),
        groups.Groups(Host(), Directory()),
        services.Services(Host(FIXTURES / "launchd"), Launchd()),
        processes.Processes(Host(), Listing()),
    ]


@pytest.mark.parametrize("table", made(), ids=lambda table: table.name)
def test_conforms(table):
    """The table keeps the rules that all tables keep."""
    others = [other for other in made() if other.name != table.name]
    check_table(table, others=others)


@pytest.mark.parametrize("table", made(), ids=lambda table: table.name)
def test_null_is_what_the_docs_say(table):
    """Columns that are said to be NULL are, and all others are filled somewhere."""
    from zeek_agent_core.api import Where

    everything = Where(frozenset(column.name for column in table.columns))
    rows = list(table.rows(everything))
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert not filled & set(table.origin.null)
    assert filled | set(table.origin.null) == set(everything.columns)


def test_users(sql):
    """Hidden accounts are the system's; administrators are found through other groups too."""
    names = "name, is_admin, is_system, uid, gid"
    rows = sql(f"SELECT {names} FROM users", made()[0])
    assert rows == [
        ("ada", 1, 0, "501", 20),
        ("grace", 0, 0, "502", 20),
        ("backup", 0, 1, "503", 20),
        ("_mdnsresponder", 0, 1, "65", 65),
        ("nobody", 0, 1, "4294967294", 4294967294),
        ("root", 1, 1, "0", 0),
    ]
    assert sql("SELECT email FROM users WHERE uid = '501'", made()[0]) == [("ada@example.org",)]


def test_groups(sql):
    """Groups have the members that they list."""
    rows = sql("SELECT name, gid, is_system, members FROM groups", made()[1])
    assert rows[0] == ("admin", 80, 1, '{"elem":"text","value":["ada","root"]}')
    assert rows[2][:3] == ("engineers", 601, 0)


def test_a_directory_that_does_not_answer(sql):
    """What is no property list is an error with the reason."""

    class Broken(Directory):
        raw = b"<?xml version='1.0'?><plist>"

        def read(self, kind, attributes):
            return self.raw

    with pytest.raises(OSError, match="cannot read users of Open Directory: dscl gave no property"):
        list(_directory.read(Broken(), "Users", ()))
    Broken.raw = b"<plist><string>x</string></plist>"
    with pytest.raises(OSError, match="no list of records"):
        list(_directory.read(Broken(), "Users", ()))


def test_services(sql):
    """Jobs with and without a file, running or not, overridden or not."""
    table = made()[2]
    rows = sql("SELECT name, is_running, is_enabled, pid, path FROM services ORDER BY name", table)
    assert rows == [
        (
            "com.apple.mDNSResponder.reloaded", 1, 1, 337,
            "/System/Library/LaunchDaemons/com.apple.mDNSResponder.plist",
        ),
        ("com.example.agent.helper", 1, None, 4242, None),
        ("com.example.failing", 0, 0, None, None),
        ("com.openssh.sshd", 0, 1, None, "/Library/LaunchDaemons/com.openssh.sshd.plist"),
    ]  # fmt: skip
    assert table.last_warning == "/Library/LaunchDaemons/broken.plist is no job of launchd"


def test_launchctl_is_missing():
    """Without launchctl the table says what failed."""
    if Path(services.LAUNCHCTL).exists():
        pytest.skip("this is macOS")
    with pytest.raises(TableError, match="cannot ask launchctl"):
        list(services.Services(Host()).rows(None))


def test_a_domain_of_another_layout():
    """What is not understood is not there."""
    assert _launchd.parse_domain("services = {\n???\n}\n\x00") == ({}, {})
    assert _launchd.parse_job(b"") is None
    assert _launchd.parse_job(b"<plist><dict/></plist>") is None


def test_processes(sql):
    """Facts that must not be known are NULL; the priority is the negated nice value."""
    names = "name, pid, uid, ruid, priority, startup, rsize, utime, tty, cmdline"
    rows = sql(f"SELECT {names} FROM processes", made()[3])
    assert rows == [
        (
            "opendirectoryd", 337, 0, 0, "5", 1_795_000_000_250_000_000, 9_000_000, 12_500_000_000,
            None, "/usr/libexec/opendirectoryd",
        ),
        ("zsh", 812, 0, 501, "0", 1_795_000_100_000_000_000, None, None, "ttys001", None),
    ]  # fmt: skip
