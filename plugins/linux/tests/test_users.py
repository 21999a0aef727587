"""Tests of ``users``."""

import pwd

import pytest
from zeek_agent_linux import users

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
toor:x:0:0::/root:
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
alice:x:1000:1000:Alice \xff,,,:/home/alice:/bin/sh
bob:x:1001:27:Bob:/home/bob:/bin/sh
carol:x:1002:1002::/home/carol:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
alice:x:2000:2000:again:/:/bin/false
+nis::::::
bad:x:y:0:::
short:x
"""
GROUP = b"""sudo:x:27:alice
wheel:x:10:
users:x:100:carol
"""


@pytest.fixture
def host(tmp_path):
    """Return a host with a few accounts."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_bytes(PASSWD)
    (etc / "group").write_bytes(GROUP)
    (etc / "login.defs").write_text("# UID_MIN 5\nUID_MIN\t\t  1000\n")
    return Host(tmp_path)


async def query(host, sql):
    """Return the rows of one statement."""
    async with Database(users.zeek_agent_tables(host)) as db:
        return (await db.execute(sql)).rows


async def test_all_users(host):
    """Each name has one row; lines that are no accounts are left out."""
    rows = await query(host, "SELECT name, uid, is_admin, is_system FROM users")
    assert rows == [
        ("root", "0", 1, 1),
        ("toor", "0", 1, 1),
        ("daemon", "1", 0, 1),
        ("alice", "1000", 1, 0),
        ("bob", "1001", 1, 0),
        ("carol", "1002", 0, 0),
        ("nobody", "65534", 0, 1),
    ]


async def test_stock_columns(host):
    """The columns of the C++ agent come in its order; what is unknown is NULL."""
    rows = await query(host, "SELECT * FROM users WHERE name IN ('alice', 'toor')")
    assert rows == [
        ("alice", "Alice \\xff,,,", 1, 0, "1000", 1000, "/home/alice", "/bin/sh", None),
        ("toor", None, 1, 1, "0", 0, "/root", None, None),
    ]


@pytest.mark.parametrize(
    "condition",
    [
        "uid = '0'",
        "uid IN ('0', '1001', 'x', '-1', '99999999999')",
        "name = 'bob'",
        "name IN ('bob', 'nobody', x'41')",
        "uid = ''",
    ],
)
async def test_pushdown_changes_nothing(host, condition):
    """A condition gives what filtering all rows gives."""
    plain = condition.replace("uid ", "+uid ").replace("name ", "+name ")
    found = await query(host, f"SELECT * FROM users WHERE {condition}")
    assert sorted(found) == sorted(await query(host, f"SELECT * FROM users WHERE {plain}"))


async def test_live_users():
    """On this host every listed user is there, and is found by name and id."""
    rows = await query(Host(), "SELECT name, uid FROM users")
    assert {name for name, _ in rows} == {entry.pw_name for entry in pwd.getpwall()}
    assert ("root",) in await query(Host(), "SELECT name FROM users WHERE uid = 0")
    assert await query(Host(), "SELECT uid, is_admin FROM users WHERE name = 'root'") == [("0", 1)]
    assert (
        await query(Host(), "SELECT 1 FROM users WHERE name = 'no such' OR uid = '4000000'") == []
    )
    assert await query(Host(), "SELECT 1 FROM users WHERE uid = '4294967296'") == []
    assert await query(Host(), "SELECT 1 FROM users WHERE name = char(0)") == []
