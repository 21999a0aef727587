"""Tests of ``system_logs_events``, with a real journald, the kernel's log, and files."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from zeek_agent_linux import _libsystemd
from zeek_agent_linux.system_logs_events import (
    JournalctlSource,
    JournalSource,
    SystemLogsEvents,
)

from plugins.linux.tests.journald import Journald
from plugins.linux.tests.listening import Listener, made
from zeek_agent_core.api import Where
from zeek_agent_core.errors import ConfigError, TableError
from zeek_agent_core.testing.conformance import check_table

MANY = 20_000
EXE = str(Path("/proc/self/exe").resolve())
BOTH = pytest.mark.parametrize("source", ["journal", "journalctl"])


@pytest.fixture
def journald():
    """Return a running journald."""
    with Journald() as running:
        yield running


@pytest.fixture
def table(journald, tmp_path):
    """Return a maker of tables that read the journal."""

    def make(source="journal", **settings):
        directory = str(journald.directory)
        return made(
            SystemLogsEvents, state=tmp_path, source=source, directory=directory, **settings
        )

    return make


def numbered(first, last):
    """Return messages with numbers."""
    return [{"MESSAGE": f"message {number}", "PRIORITY": "6"} for number in range(first, last)]


def messages(rows):
    """Return the numbered messages among *rows*."""
    return [row["message"] for row in rows if row["message"].startswith("message ")]


def expected(first, last):
    """Return what `numbered` gives."""
    return [f"message {number}" for number in range(first, last)]


@BOTH
async def test_a_message(journald, table, source):
    """A message comes with who wrote it, also if it is binary, or has lines."""
    async with Listener(table(source, fields=("CODE_FILE",))) as log:
        assert log.table.source == source
        journald.send(
            {"MESSAGE": "hello", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "me", "CODE_FILE": "x.c"},
            {"MESSAGE": b"two\n\nlines \xff\0", "_NOT_TRUSTED": "10"},
            {"MESSAGE": "x" * 100_000},
        )
        first, second, third = (await log.count(3))[:3]
    assert first["message"] == "hello"
    assert (first["process"], first["level"], first["identifier"]) == (EXE, "4", "me")
    assert (first["pid"], first["uid"]) == (os.getpid(), 0)
    assert json.loads(first["fields"]) == {"CODE_FILE": "x.c"}
    assert second["message"] == "two\n\nlines \\xff\0"
    assert second.get("level") is None
    assert len(third["message"]) == 1 << 16
    assert second["time"] >= first["time"] > 1_600_000_000_000_000


@BOTH
async def test_a_flood(journald, table, source):
    """Of 20,000 messages, as fast as journald takes them, each comes once and in order."""
    async with Listener(table(source)) as log:
        await asyncio.to_thread(journald.send, *numbered(0, MANY))
        await log.until(lambda: len(log.rows) >= MANY, 60)
        assert messages(log.rows) == expected(0, MANY)
        assert log.table.losses == {}


@BOTH
async def test_the_agent_is_restarted(journald, table, source):
    """What was written while the agent did not run comes when it is back; nothing comes twice."""
    async with Listener(table(source)) as log:
        journald.send(*numbered(0, 5))
        await log.count(5)
    journald.send(*numbered(5, 8))
    async with Listener(table(source)) as log:
        journald.send(*numbered(8, 10))
        await log.count(5)
        assert messages(log.rows) == expected(5, 10)


async def test_before_the_first_message(journald, table):
    """The place is kept also where an agent has seen no message yet."""
    async with Listener(table()) as log:
        await asyncio.sleep(0.1)
        assert log.rows == []
    journald.send(*numbered(0, 2))
    async with Listener(table()) as log:
        await log.count(2)
        assert messages(log.rows) == expected(0, 2)


async def test_what_no_query_has_read_comes_again(journald, table):
    """Rows that were given but not read when the agent ended are given again."""
    async with Listener(table(), reads=False) as log:
        journald.send(*numbered(0, 3))
        await log.count(3)
        log.table.was_read(1)
    async with Listener(table()) as log:
        await log.count(3)
        assert messages(log.rows) == expected(0, 3)


async def test_the_fallback_goes_on_where_the_library_was(journald, table):
    """One source after the other in one agent gives each message once."""
    async with Listener(table("journal")) as log:
        journald.send(*numbered(0, 3))
        await log.count(3)
    async with Listener(table("journalctl")) as log:
        journald.send(*numbered(3, 5))
        await log.count(2)
        assert messages(log.rows) == expected(3, 5)


class Failing(JournalSource):
    """The library, as if it could not read one of the messages."""

    def _row(self, journal):
        row = super()._row(journal)
        if row["message"] == "message 3":
            raise RuntimeError("it cannot be read")
        return row


class Falling(SystemLogsEvents):
    """The table with a library that fails."""

    sources = (Failing, JournalctlSource)


async def test_the_library_fails_at_work(journald, tmp_path):
    """When the library fails the child goes on, and each message comes once; there is no gap."""
    table = made(Falling, state=tmp_path, directory=str(journald.directory))
    async with Listener(table) as log:
        assert table.source == "journal"
        for number in range(6):
            journald.send(*numbered(number, number + 1))
            await asyncio.sleep(0.3)
        await log.until(lambda: len(messages(log.rows)) == 6)
        assert messages(log.rows) == expected(0, 6)
        assert (table.source, table.losses) == ("journalctl", {})


@BOTH
async def test_rotation(journald, table, source):
    """Messages before, during and after a rotation come once each."""
    async with Listener(table(source)) as log:
        for number in range(6):
            await asyncio.to_thread(journald.send, *numbered(number * 100, number * 100 + 100))
            await asyncio.to_thread(journald.control, "--rotate")
        await log.count(600)
        await log.until(lambda: len(messages(log.rows)) >= 600)
        assert messages(log.rows) == expected(0, 600)
        assert log.table.losses == {}


async def test_vacuum(journald, table):
    """If the entry at the bookmark was deleted it goes on with the nearest that is left."""
    async with Listener(table()) as log:
        journald.send(*numbered(0, 5))
        await log.count(5)
    journald.send(*numbered(5, 6))
    journald.sync()
    journald.control("--rotate")
    journald.control("--vacuum-files=1")
    journald.send(*numbered(6, 8))
    async with Listener(table()) as log:
        await log.until(lambda: "message 7" in messages(log.rows))
        assert messages(log.rows) == expected(6, 8)
        assert log.table.losses == {"deleted": 1}


@BOTH
async def test_journald_is_killed(journald, table, source):
    """Messages come again when a killed journald is back."""
    async with Listener(table(source)) as log:
        journald.send(*numbered(0, 3))
        await log.until(lambda: len(messages(log.rows)) == 3)
        journald.stop(signal.SIGKILL)
        await asyncio.to_thread(journald.start)
        journald.send(*numbered(3, 6))
        await log.until(lambda: len(messages(log.rows)) == 6)
        assert messages(log.rows) == expected(0, 6)
        assert log.table.losses == {}


async def test_conditions_are_applied_by_the_journal(journald, table):
    """What no query wants is not read; what becomes wanted is."""
    events = table()
    events.wanted = Where(frozenset({"message", "level"}), highs={"level": "3"})
    async with Listener(events) as log:
        journald.send(
            {"MESSAGE": "bad", "PRIORITY": "2"},
            {"MESSAGE": "fine", "PRIORITY": "6"},
            {"MESSAGE": "worse", "PRIORITY": "3"},
        )
        rows = await log.count(2)
        assert [row["message"] for row in rows] == ["bad", "worse"]
        assert set(rows[0]) == {"time", "message", "level"}
        events.wanted = events.everything()
        events.wanted_changed()
        journald.send({"MESSAGE": "fine again", "PRIORITY": "6"})
        await log.until(lambda: "fine again" in log.values("message"))
        assert log.values("message").count("bad") == 1


@BOTH
async def test_a_bookmark_that_makes_no_sense(journald, table, tmp_path, source):
    """With a damaged bookmark it goes on with what is new."""
    (tmp_path / "system_logs_events.json").write_text('{"journal": "s=x;nonsense"}')
    journald.send(*numbered(0, 2))
    journald.sync()
    async with Listener(table(source)) as log:
        journald.send(*numbered(2, 4))
        await log.until(lambda: len(messages(log.rows)) == 2)
        assert messages(log.rows) == expected(2, 4)


async def test_initial(journald, table):
    """If it is asked for, the ten newest messages come first, where no place is known."""
    journald.send(*numbered(0, 20))
    journald.sync()
    async with Listener(table(initial=True)) as log:
        await log.count(10)
        assert messages(log.rows) == expected(10, 20)


async def test_not_further_back_than_wanted(journald, table):
    """After a long pause no more is caught up with than the settings say."""
    async with Listener(table()) as log:
        journald.send(*numbered(0, 1))
        await log.count(1)
    journald.send(*numbered(1, 3))
    journald.sync()
    await asyncio.sleep(0.3)
    async with Listener(table(catch_up=0.1)) as log:
        journald.send(*numbered(3, 4))
        await log.until(lambda: messages(log.rows))
        assert messages(log.rows) == expected(3, 4)


async def test_it_waits_for_its_readers(journald, table):
    """While queries do not read what they have, the journal keeps the rest."""
    events = table()
    events.capacity = 100  # for this table alone
    async with Listener(events, reads=False) as log:
        await asyncio.to_thread(journald.send, *numbered(0, 3000))
        await log.until(lambda: len(log.rows) > 50)
        held = len(log.rows)
        await asyncio.sleep(0.5)
        assert len(log.rows) == held < 3000
        while len(log.rows) < 3000:
            events.was_read(len(log.rows))
            await asyncio.sleep(0.01)
        assert messages(log.rows) == expected(0, 3000)


def children():
    """Return the commands of the programs that this process runs, by their IDs."""
    lists = [file.read_text() for file in Path("/proc/self/task").glob("*/children")]
    pids = [pid for found in lists for pid in found.split()]
    return {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}


def journalctls():
    """Return the running children that are `journalctl`."""
    return [pid for pid, command in children().items() if command.startswith(b"/usr/bin/journal")]


async def test_the_child_ends_with_the_table(journald, table):
    """No `journalctl` is left when no query needs the table."""
    async with Listener(table("journalctl")):
        assert len(journalctls()) == 1
    assert journalctls() == []


async def test_the_child_is_killed(journald, table):
    """If `journalctl` ends, it is said how."""
    async with Listener(table("journalctl")) as log:
        os.kill(journalctls()[0], signal.SIGKILL)
        with pytest.raises(TableError, match=r"journalctl: .*status -9"):
            await log.until(lambda: False)


def descriptors():
    """Return what this process has open."""
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        try:
            found.add((file.name, str(file.readlink())))
        except OSError:
            continue
    return found


async def test_nothing_is_left(journald, table):
    """After the last query no descriptor and no thread of the table is left."""
    async with Listener(table()) as log:
        assert log.table.source == "journal"
    before = descriptors()
    for _ in range(5):
        async with Listener(table()) as log:
            journald.send(*numbered(0, 1))
            await log.count(1)
    assert len(descriptors()) <= len(before)


def test_no_journal(tmp_path):
    """Where nothing logs it is said why nothing can be read."""
    table = made(SystemLogsEvents, tmp_path)

    async def run():
        async for _ in table.events():
            pass

    with pytest.raises(TableError, match=r"no journal is kept here.*neither the kernel's log"):
        asyncio.run(run())


def test_a_source_that_is_none():
    """A wrong name of a source is refused at the start."""
    with pytest.raises(ConfigError, match="'journald' is none of journal, journalctl, syslog"):
        made(SystemLogsEvents, source="journald").check_settings()


def test_an_entry_that_is_gone(journald):
    """Reading where there is no entry is an error, no crash."""
    with _libsystemd.Journal(str(journald.directory)) as journal:
        with pytest.raises(OSError, match="journal"):
            journal.time()
        assert journal.get(b"MESSAGE") is None
        with pytest.raises(OSError, match="cursor"):
            journal.seek_cursor("nonsense")
    journal.__exit__(None, None, None)


def test_a_directory_that_is_not_there(tmp_path):
    """A journal that does not exist is an error with its name."""
    with pytest.raises(OSError, match="no-such"):
        _libsystemd.Journal(str(tmp_path / "no-such"))


async def test_files_of_syslog(tmp_path):
    """Without a journal, lines of syslog's files come, old and new form, over a rotation."""
    (tmp_path / "var/log").mkdir(parents=True)
    log = tmp_path / "var/log/syslog"
    log.write_text("Nov 27 22:00:00 host old: before\n")

    def table():
        return made(SystemLogsEvents, tmp_path, state=tmp_path / "state")

    async with Listener(table()) as found:
        assert found.table.source == "syslog"
        with log.open("a") as file:
            file.write("Nov 27 22:00:01 host cron[12]: (root) CMD (x)\n")
            file.write("2026-11-27T22:10:01.123456+00:00 host sshd[7]: hi: there\n")
            file.write("no syslog at all\n")
        first, second, third = await found.count(3)
        assert (first["process"], first["pid"], first["message"]) == ("cron", 12, "(root) CMD (x)")
        assert (second["time"], second["identifier"]) == (1795817401123456, "sshd")
        assert second["message"] == "hi: there"
        assert third == {"message": "no syslog at all"}
        log.rename(log.with_name("syslog.1"))
        log.write_text("Nov 27 22:00:02 host a: new file\n")
        await found.count(4)
    with log.open("a") as file:
        file.write("Nov 27 22:00:03 host a: meanwhile\n")
    async with Listener(table()) as found:
        assert [row["message"] for row in await found.count(1)] == ["meanwhile"]


def write_kmsg(message):
    """Put a message into the kernel's log."""
    Path("/dev/kmsg").write_text(message)


async def test_messages_that_are_in_two_files(tmp_path):
    """Where `syslog` has everything, `messages` is not read as well."""
    (tmp_path / "var/log").mkdir(parents=True)
    for name in ("syslog", "messages", "auth.log"):
        (tmp_path / "var/log" / name).touch()
    async with Listener(made(SystemLogsEvents, tmp_path)) as found:
        for name in ("messages", "syslog", "auth.log"):
            with (tmp_path / "var/log" / name).open("a") as file:
                file.write(f"Nov 27 22:00:01 host x: {name}\n")
        await found.count(2)
        await asyncio.sleep(0.2)
        assert found.values("message") == ["syslog", "auth.log"]


@pytest.mark.skipif(not Path("/dev/kmsg").exists(), reason="needs the kernel's log")
async def test_the_kernels_log(tmp_path):
    """What is written to the kernel's log comes with its severity, after a restart too."""

    def table():
        return made(SystemLogsEvents, state=tmp_path, source="syslog", files=())

    def ours(log):
        return [row for row in log.rows if row["message"].startswith(f"test {os.getpid()}")]

    async with Listener(table()) as log:
        write_kmsg(f"<5>test {os.getpid()} é\n")
        await log.until(lambda: ours(log))
        (row,) = ours(log)
        assert (row["level"], row["process"]) == ("5", "kernel")
        assert row["message"].endswith(" é")
    write_kmsg(f"<5>test {os.getpid()} again\n")
    async with Listener(table()) as log:
        await log.until(lambda: ours(log))
        assert [row["message"] for row in ours(log)] == [f"test {os.getpid()} again"]


def test_conforms(journald, tmp_path):
    """The table keeps the rules that all tables keep."""
    check_table(made(SystemLogsEvents, source="journal", directory=str(journald.directory)))


def test_the_columns_of_the_older_agent_come_first():
    """Scripts that read `SELECT *` by position get what they always got."""
    names = [column.name for column in SystemLogsEvents.columns]
    assert names[:5] == ["time", "process", "level", "message", "eventid"]
