"""Tests of ``logins_events``, on files of records and with a real journald."""

import asyncio
import json
import os
import time

import pytest
from zeek_agent_linux import _utmp
from zeek_agent_linux.logins_events import LoginsEvents

from plugins.linux.tests.journald import Journald
from plugins.linux.tests.listening import Listener, made
from zeek_agent_core.errors import TableError
from zeek_agent_core.testing.conformance import check_table

ACCEPTED = "Accepted publickey for root from 192.0.2.1 port 5022 ssh2: RSA SHA256:x"


def record(kind, *, pid=0, line="", user="", host="", seconds=None):
    """Return a record of this machine's form."""
    text = [part.encode() for part in (line, user, host)]
    now = int(time.time()) if seconds is None else seconds
    return _utmp.layout().pack(kind, pid, text[0], b"", text[1], text[2], 0, 0, 0, now, 0, b"")


@pytest.fixture
def host(tmp_path):
    """Return the root of a host with empty files."""
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    for name in ("wtmp", "btmp"):
        (tmp_path / "var/log" / name).touch()
    return tmp_path


def write(host, name, *records):
    """Append records as `login` does."""
    with (host / "var/log" / name).open("ab") as file:
        file.write(b"".join(records))


def table(host, **settings):
    """Return the table of *host*."""
    return made(LoginsEvents, host, state=host / "state", **settings)


async def test_who_comes_and_goes(host):
    """Logins, logouts and failures come with user, origin and terminal."""
    async with Listener(table(host)) as found:
        assert found.table.source == "wtmp"
        write(host, "wtmp", record(7, pid=5, line="pts/0", user="root", host="192.0.2.1"))
        write(host, "btmp", record(6, pid=6, line="ssh:notty", user="root", host="x.example"))
        await found.count(2)
        write(host, "wtmp", record(8, pid=5, line="pts/0"))
        rows = {row["action"]: row for row in await found.count(3)}
    login, failed, logout = rows["login"], rows["failed"], rows["logout"]
    assert (login["user"], login["uid"], login["address"]) == ("root", 0, "192.0.2.1")
    assert (failed["host"], failed["service"], failed.get("uid")) == ("x.example", "sshd", None)
    assert (logout["user"], logout["terminal"]) == ("root", "pts/0")
    assert logout["duration"] >= 0


async def test_while_the_agent_did_not_run(host):
    """What was recorded meanwhile comes once, over a rotation of the file."""
    async with Listener(table(host)) as found:
        write(host, "wtmp", record(7, line="pts/0", user="ann"))
        await found.count(1)
    write(host, "wtmp", record(7, line="pts/1", user="bob"))
    log = host / "var/log/wtmp"
    log.rename(log.with_name("wtmp.1"))
    write(host, "wtmp", record(7, line="pts/2", user="eve"), record(2, line="~", user="reboot"))
    async with Listener(table(host)) as found:
        await found.count(3)
        assert found.values("user") == ["bob", "eve", None]
        assert found.values("action")[-1] == "boot"


async def test_not_older_than_wanted(host):
    """What happened too long ago is left out."""
    async with Listener(table(host)) as found:
        old = int(time.time()) - 90_000
        write(host, "wtmp", record(7, line="a", user="old", seconds=old))
        write(host, "wtmp", record(7, line="b", user="new"))
        await found.count(1)
        assert found.values("user") == ["new"]


async def test_who_was_there_before(host):
    """Of a session that began before the first query the end is known, and the begin if asked."""
    (host / "run/utmp").write_bytes(record(7, pid=1, line="pts/9", user="root") + b"cut")
    async with Listener(table(host, initial=True)) as found:
        await found.count(1)
        write(host, "wtmp", record(8, line="pts/9"))
        await found.count(2)
        assert found.values("action") == ["present", "logout"]
        assert found.values("user") == ["root", "root"]


async def test_without_btmp(host):
    """Where failures cannot be read it is said so."""
    (host / "var/log/btmp").unlink()
    async with Listener(table(host)) as found:
        assert "logins that failed" in found.table.last_warning
        write(host, "wtmp", record(7, line="pts/0", user="ann"))
        await found.count(1)


async def test_many_records_that_tell_nothing(host):
    """A login behind many other records is found at once."""
    async with Listener(table(host)) as found:
        other = record(6, line="tty1", user="LOGIN")
        write(host, "wtmp", *[other] * 1000, record(7, line="pts/0", user="ann"))
        await found.count(1)
        assert found.values("user") == ["ann"]


async def test_the_journal(tmp_path):
    """Without `wtmp` the messages of sshd tell, those of anybody else do not."""
    with Journald() as journald:

        def table():
            settings = {"source": "journal", "directory": str(journald.directory)}
            return made(LoginsEvents, state=tmp_path, **settings)

        sshd = {"SYSLOG_IDENTIFIER": "sshd"}
        async with Listener(table()) as found:
            assert found.table.source == "journal"
            journald.send({"MESSAGE": ACCEPTED}, {**sshd, "MESSAGE": ACCEPTED})
            (row,) = await found.count(1)
            assert (row["action"], row["user"], row["uid"]) == ("login", "root", 0)
            assert (row["address"], row["port"], row["method"]) == ("192.0.2.1", 5022, "publickey")
            assert row["pid"] == os.getpid()
        failed = "Failed password for bob from 192.0.2.9 port 6 ssh2"
        journald.send({**sshd, "MESSAGE": failed})
        async with Listener(table()) as found:
            (row,) = await found.count(1)
            assert (row["action"], row["user"]) == ("failed", "bob")


async def test_another_boot(tmp_path):
    """That the host was booted since the agent last ran is told once."""
    with Journald() as journald:

        def table():
            settings = {"source": "journal", "directory": str(journald.directory)}
            return made(LoginsEvents, state=tmp_path, **settings)

        async with Listener(table()) as found:
            await asyncio.sleep(0.2)
            assert found.rows == []
        bookmark = tmp_path / "logins_events.json"
        kept = json.loads(bookmark.read_text())
        kept["journal"]["boot"] = "another"
        bookmark.write_text(json.dumps(kept))
        async with Listener(table()) as found:
            (row,) = await found.count(1)
            assert row["action"] == "boot"
            assert row["time"] < time.time() * 1e6
        async with Listener(table()) as found:
            journald.send({"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": ACCEPTED})
            await found.count(1)
            assert found.values("action") == ["login"]


async def test_a_logout_while_the_agent_did_not_run(host):
    """Who logged in before and out while the agent did not run is still known."""
    async with Listener(table(host)) as found:
        write(host, "wtmp", record(7, line="pts/0", user="ann", host="192.0.2.1"))
        await found.count(1)
    write(host, "wtmp", record(8, line="pts/0"))
    async with Listener(table(host)) as found:
        (row,) = await found.count(1)
        assert (row["action"], row["user"], row["address"]) == ("logout", "ann", "192.0.2.1")


def test_nothing_to_read(tmp_path):
    """Where neither is there it is said why."""

    async def run():
        async for _ in made(LoginsEvents, tmp_path).events():
            pass

    with pytest.raises(TableError, match=r"wtmp: no such file.*journal: no journal is kept"):
        asyncio.run(run())


def test_conforms(host):
    """The table keeps the rules that all tables keep."""
    check_table(made(LoginsEvents, host))
