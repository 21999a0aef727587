"""Tests of ``groups``."""

import grp

import pytest
from zeek_agent_linux import groups

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database


@pytest.fixture
def host(tmp_path):
    """Return a host with a few groups."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\nsudo:x:27:bob,alice\npeople:x:1000:\n#x:x:1:\n")
    return Host(tmp_path)


async def query(host, sql):
    """Return the rows of one statement."""
    async with Database(groups.zeek_agent_tables(host)) as db:
        return (await db.execute(sql)).rows


async def test_groups_of_a_file(host):
    """Members are a set of names; low ids are the system's."""
    assert await query(host, "SELECT name, gid, is_system, members, sid FROM groups") == [
        ("root", 0, 1, '{"elem":"text","value":[]}', None),
        ("sudo", 27, 1, '{"elem":"text","value":["alice","bob"]}', None),
        ("people", 1000, 0, '{"elem":"text","value":[]}', None),
    ]


async def test_lookups(host):
    """Groups are found by name and by id."""
    assert await query(host, "SELECT gid FROM groups WHERE name = 'sudo'") == [(27,)]
    assert await query(host, "SELECT name FROM groups WHERE gid IN (0, 1000, 5, 'x')") == [
        ("root",),
        ("people",),
    ]


async def test_live_groups():
    """On this host every listed group is there, and is found by id."""
    rows = await query(Host(), "SELECT name FROM groups")
    assert {name for (name,) in rows} == {entry.gr_name for entry in grp.getgrall()}
    assert await query(Host(), "SELECT name FROM groups WHERE gid = 0") == [("root",)]
    assert await query(Host(), "SELECT name FROM groups WHERE gid = -1 OR gid = 1e20") == []
