"""Tests of Windows's snapshot tables on a scripted host."""

from types import SimpleNamespace

import pytest
from scripted_windows import NOON, ScriptedNative, filetime, image
from zeek_agent_windows import _accounts, groups, processes, services, sockets, users
from zeek_agent_windows._accounts import Group, User
from zeek_agent_windows._registry import Info
from zeek_agent_windows.registry_keys import RegistryKeys
from zeek_agent_windows.registry_values import RegistryValues

from zeek_agent_core.api import ParameterError, TableError, Where
from zeek_agent_core.host import Host
from zeek_agent_core.testing.conformance import check_table

DOMAIN = "S-1-5-21-1111111111-2222222222-3333333333"
ADMIN, GUEST, ADA, GRACE = (f"{DOMAIN}-{end}" for end in (500, 501, 1001, 1002))


class Accounts:
    """Accounts as pywin32 shows them."""

    def users(self):
        """Yield four accounts."""
        yield User(r"DESK-1\Administrator", "", ADMIN, None)
        yield User(r"DESK-1\Guest", "", GUEST, None)
        yield User(r"DESK-1\ada", "Ada", ADA, r"C:\Users\ada")
        yield User(r"DESK-1\grace", "Grace", GRACE, r"C:\Users\grace")

    def groups(self):
        """Yield three groups."""
        members = ((ADMIN, r"DESK-1\Administrator"), (ADA, r"DESK-1\ada"))
        yield Group("Administrateurs", "S-1-5-32-544", members)
        yield Group("engineers", f"{DOMAIN}-1003", ((GRACE, r"DESK-1\grace"),))
        yield Group("gone", None, ())


class Listing:
    """Processes as psutil shows them on Windows."""

    FACTS = (
        {
            "pid": 4, "name": "System", "ppid": 0, "create_time": 0.0, "nice": None,
            "memory_info": None, "cpu_times": None, "exe": "", "cmdline": [], "cwd": None,
        },
        {
            "pid": 4000, "name": "chrome.exe", "ppid": 900, "create_time": 1_795_000_000.5,
            "nice": 0x8000, "memory_info": SimpleNamespace(rss=90_000_000, vms=120_000_000),
            "cpu_times": SimpleNamespace(user=1.5, system=0.25),
            "exe": r"C:\Program Files\Chrome\chrome.exe",
            "cmdline": [r"C:\Program Files\Chrome\chrome.exe", "--type=renderer"],
            "cwd": r"C:\Users\ada",
        },
    )  # fmt: skip

    def all(self, names):
        """Yield what is asked for."""
        for facts in self.FACTS:
            yield {"pid": facts["pid"], **{name: facts[name] for name in names}}

    def one(self, pid, names):
        """Return one process."""
        return next((facts for facts in self.all(names) if facts["pid"] == pid), None)


def listed():
    """Yield services as psutil shows them."""
    spooler = {
        "name": "Spooler", "display_name": "Print Spooler", "status": "running", "pid": 1234,
        "start_type": "automatic", "binpath": r"C:\Windows\System32\spoolsv.exe",
        "username": "LocalSystem", "description": "",
    }  # fmt: skip
    yield lambda: spooler
    yield lambda: {
        **spooler,
        "name": "Fax",
        "status": "stopped",
        "pid": None,
        "start_type": "manual",
    }

    def refused():
        raise OSError("access denied")

    yield refused


class Registry:
    """A registry as `winreg` shows it."""

    KEYS = {  # noqa: RUF012 - never changed
        "SOFTWARE": [],
        r"SOFTWARE\Vendor": [("", "default", 1), ("Path", r"%SystemRoot%\x", 2)],
        r"SOFTWARE\Vendor\Run": [
            ("b", b"\x01\xff", 3), ("A", 7, 4), ("many", ["x", "y"], 7), ("none", None, 0),
            ("odd", b"", 99), ("big", "z" * 70_000, 1), ("name\udcff", "lone \ud800", 1),
        ],
        r"SOFTWARE\Vendor\RunOnce": [],
        r"SOFTWARE\Secret": None,
    }  # fmt: skip

    def _entry(self, root, path):
        if root != 0x80000002:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        folded = {key.casefold(): (key, values) for key, values in self.KEYS.items()}
        if path and path.casefold() not in folded:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        key, values = folded.get(path.casefold(), ("", []))
        if values is None:
            raise PermissionError(13, "Access is denied")
        return key, values

    def info(self, root, path):
        """Return what a key tells of itself."""
        _, values = self._entry(root, path)
        return Info(len(self.keys(root, path)), len(values), filetime(NOON))

    def keys(self, root, path):
        """Return the names of the keys below a key."""
        key, _ = self._entry(root, path)
        start = f"{key}\\" if key else ""
        below = [k[len(start) :] for k in self.KEYS if k.startswith(start) and k != key]
        return [name for name in below if "\\" not in name]

    def values(self, root, path):
        """Return the values of a key."""
        return self._entry(root, path)[1]


def made():
    """Return all tables on scripted hosts."""
    return [
        users.Users(Host(), Accounts()),
        groups.Groups(Host(), Accounts()),
        services.Services(Host(), listed),
        processes.Processes(Host(), Listing()),
        sockets.Sockets(Host(), ScriptedNative(), image),
        RegistryKeys(Host(), Registry()),
        RegistryValues(Host(), Registry()),
    ]


def table(name):
    """Return the table *name*."""
    return next(each for each in made() if each.name == name)


PATTERNS = {
    "registry_keys": r"HKLM\SOFTWARE\*\Run*",
    "registry_values": r"hklm\software\vendor\*",
}


@pytest.mark.parametrize("name", [each.name for each in made()])
def test_conforms(name):
    """The table keeps the rules that all tables keep."""
    others = [other for other in made() if other.name != name]
    given = {"_pattern": PATTERNS[name]} if name in PATTERNS else None
    check_table(table(name), parameters=given, others=others)


@pytest.mark.parametrize("name", [each.name for each in made()])
def test_null_is_what_the_docs_say(name):
    """Columns that are said to be NULL are, and all others are filled somewhere."""
    made_table = table(name)
    shown = {column.name for column in made_table.columns if not column.is_parameter}
    rows = list(made_table.rows(Where(frozenset(shown), {"_pattern": r"HKLM\SOFTWARE\*\*"})))
    filled = {column for row in rows for column, value in row.items() if value is not None}
    assert filled | set(made_table.origin.null) == shown
    assert not filled & set(made_table.origin.null)


def test_users(sql):
    """Administrators are members of their group, whatever its name is."""
    rows = sql("SELECT name, is_admin, is_system, uid, home FROM users", table("users"))
    assert rows == [
        (r"DESK-1\Administrator", 1, 0, ADMIN, None),
        (r"DESK-1\Guest", 0, 1, GUEST, None),
        (r"DESK-1\ada", 1, 0, ADA, r"C:\Users\ada"),
        (r"DESK-1\grace", 0, 0, GRACE, r"C:\Users\grace"),
    ]
    assert sql(f"SELECT full_name FROM users WHERE uid = '{ADA}'", table("users")) == [("Ada",)]


def test_groups(sql):
    """Built-in groups are the system's; one without SID is neither."""
    rows = sql("SELECT name, sid, is_system, members FROM groups", table("groups"))
    assert [row[:3] for row in rows] == [
        ("Administrateurs", "S-1-5-32-544", 1),
        ("engineers", f"{DOMAIN}-1003", 0),
        ("gone", None, None),
    ]
    assert r"DESK-1\\ada" in rows[0][3]


@pytest.mark.parametrize(("sid", "number"), [("S-1-5-21-500", 500), (None, None), ("x-y", None)])
def test_relative_id(sid, number):
    """The end of a SID tells built-in accounts apart."""
    assert _accounts.relative_id(sid) == number


def test_services(sql):
    """A service that must not be asked is a warning; others have their state."""
    asked = table("services")
    names = "name, is_running, is_enabled, pid, active_state, unit_file_state"
    assert sql(f"SELECT {names} FROM services", asked) == [
        ("Spooler", 1, 1, 1234, "running", "automatic"),
        ("Fax", 0, None, None, "stopped", "manual"),
    ]
    assert asked.last_warning == "a service cannot be asked: access denied"


def test_processes(sql):
    """The name is the program's path, or what the system calls it."""
    names = "name, pid, ppid, priority, startup, vsize, utime, cmdline"
    assert sql(f"SELECT {names} FROM processes", table("processes")) == [
        ("System", 4, 0, None, None, None, None, None),
        (
            r"C:\Program Files\Chrome\chrome.exe", 4000, 900, "above_normal",
            1_795_000_000_500_000_000, 120_000_000, 1_500_000_000,
            r"C:\Program Files\Chrome\chrome.exe --type=renderer",
        ),
    ]  # fmt: skip


def test_sockets(sql):
    """All sockets have owners, programs and states; `TIME_WAIT` has no owner."""
    rows = sql("SELECT * FROM sockets", table("sockets"))
    chrome = r"C:\Program Files\Chrome\chrome.exe"
    assert [row[:9] for row in rows] == [
        (4, "System", "IPv4", 6, "0.0.0.0", 445, "0.0.0.0", 0, "LISTEN"),
        (4000, chrome, "IPv4", 6, "192.0.2.5", 50001, "198.51.100.7", 443, "ESTABLISHED"),
        (None, None, "IPv4", 6, "192.0.2.5", 50000, "198.51.100.7", 443, "TIME_WAIT"),
        (900, "svchost.exe", "IPv4", 17, "0.0.0.0", 5353, "0.0.0.0", 0, None),
        (4000, chrome, "IPv6", 6, "2001:db8::5", 50002, "2001:db8::1", 443, "SYN_SENT"),
        (900, "svchost.exe", "IPv6", 17, "::", 5353, "::", 0, None),
        (5555, None, "IPv6", 17, "fe80::1", 1900, "::", 0, None),
    ]


def test_registry_keys(sql):
    """Patterns match within one name, whatever the case; what must not be read is a warning."""
    asked = table("registry_keys")
    names = "path, subkeys, entries, mtime"
    found = sql(rf"SELECT {names} FROM registry_keys('HKLM\software\*')", asked)
    assert found == [
        (r"HKEY_LOCAL_MACHINE\software\Secret", None, None, None),
        (r"HKEY_LOCAL_MACHINE\software\Vendor", 2, 2, NOON),
    ]
    assert "Secret: access is denied" in asked.last_warning
    assert sql(r"SELECT path FROM registry_keys('HKLM\nothing')", asked) == []
    assert sql("SELECT path, subkeys FROM registry_keys('HKLM')", asked) == [
        ("HKEY_LOCAL_MACHINE", 1)
    ]
    assert sql(r"SELECT count(*) FROM registry_keys('HKCU\*')", asked) == [(0,)]


def test_registry_values(sql):
    """Each type of value has its text; long data is cut, which is a warning."""
    asked = table("registry_values")
    names = "name, type, substr(data, 1, 20)"
    rows = sql(rf"SELECT {names} FROM registry_values('HKLM\SOFTWARE\Vendor\Run')", asked)
    assert rows == [
        ("A", "REG_DWORD", "7"),
        ("b", "REG_BINARY", "01ff"),
        ("big", "REG_SZ", "z" * 20),
        ("many", "REG_MULTI_SZ", '["x", "y"]'),
        ("name\\xff", "REG_SZ", "lone \\xed\\xa0\\x80"),
        ("none", "REG_NONE", None),
        ("odd", "unknown (99)", ""),
    ]
    assert "'big'" in asked.last_warning
    where = r"FROM registry_values('HKLM\SOFTWARE\*') WHERE type = 'REG_EXPAND_SZ'"
    assert sql(f"SELECT name, data {where}", asked) == [("Path", r"%SystemRoot%\x")]


@pytest.mark.parametrize("pattern", ["", r"C:\Windows", r"\HKLM", "HKLM\0", "HKLM\\" + "x" * 5000])
def test_wrong_patterns(pattern):
    """A pattern without a root is an error that shows a right one."""
    with pytest.raises(ParameterError, match=r"HKLM\\SOFTWARE"):
        list(table("registry_keys").rows(Where(frozenset({"path"}), {"_pattern": pattern})))


def test_too_many_keys(sql):
    """More matches than the settings allow are an error with the setting's name."""
    limited = RegistryKeys(Host("/", {"registry": {"max_matches": 1}}), Registry())
    with pytest.raises(Exception, match="more than 1 keys; narrow it, or raise max_matches"):
        sql(r"SELECT path FROM registry_keys('HKLM\SOFTWARE\*')", limited)


@pytest.mark.skipif("sys.platform == 'win32'")
@pytest.mark.parametrize(
    "kind",
    [users.Users, groups.Groups, services.Services, sockets.Sockets, RegistryKeys, RegistryValues],
)
def test_elsewhere(kind):
    """On another system the tables say that there is nothing to ask."""
    columns = frozenset(column.name for column in kind.columns)
    with pytest.raises(TableError, match="Windows only"):
        list(kind(Host()).rows(Where(columns, {"_pattern": "HKLM"})))
