"""Tests of Windows's evented tables with scripted readers."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest
from scripted_windows import (
    DEVICE,
    NOON,
    ScriptedNative,
    ScriptedReader,
    batch,
    image,
    network,
    started,
    stopped,
    tcp,
)
from test__changes import buffer
from zeek_agent_windows._changes import ADDED, MODIFIED, NEW_NAME, OLD_NAME, REMOVED
from zeek_agent_windows._eventlog import Rendered
from zeek_agent_windows._watch import Seen
from zeek_agent_windows._watching import expanded
from zeek_agent_windows.file_events import FileEvents
from zeek_agent_windows.files_events import FilesEvents
from zeek_agent_windows.processes_events import ProcessesEvents
from zeek_agent_windows.sockets_events import SocketsEvents, TableSource
from zeek_agent_windows.system_logs_events import SystemLogsEvents

from zeek_agent_core.host import AgentFacts, Host
from zeek_agent_core.testing._rows import value_findings
from zeek_agent_core.testing.conformance import findings

EVENTS = Path(__file__).parent / "fixtures/events"
NOTEPAD = rf"{DEVICE}\Windows\System32\notepad.exe"
HERE, THERE = ("192.0.2.5", 50001), ("198.51.100.7", 443)


class Listing:
    """A process that still runs."""

    def one(self, pid, names):
        """Return its facts."""
        if pid != 42:
            return None
        facts = {
            "create_time": NOON / 1e6, "exe": r"C:\Windows\System32\notepad.exe",
            "cmdline": ["notepad", "a b.txt"], "cwd": r"C:\Users\ada",
        }  # fmt: skip
        return {"pid": pid, **{name: facts[name] for name in names}}


def host(**settings):
    """Return a host with settings."""
    return Host("/", settings)


def logged(*names):
    """Return recorded events of the log."""
    return [Rendered((EVENTS / f"{name}.xml").read_text(), None) for name in names]


def processes(*batches, **more):
    """Return the table of processes, with a trace that gives *batches*."""
    reader = ScriptedReader(*batches)
    return ProcessesEvents(host(), reader, more.get("watching", reader), Listing())


def files(*batches):
    """Return the table of files."""
    settings = {"directories": ["C:\\Users"]}
    return FileEvents(host(file_events=settings), ScriptedReader(*batches))


def logs(*batches, state=None, **settings):
    """Return the table of the log, and its reader."""
    reader = ScriptedReader(*batches)
    made = Host("/", {"system_logs_events": settings}, AgentFacts(state=state))
    return SystemLogsEvents(made, reader), reader


def sockets(*batches, **settings):
    """Return the table of sockets."""
    made = host(sockets_events=settings)
    return SocketsEvents(made, ScriptedNative(), image, ScriptedReader(*batches))


PROCESS = (started(42, 7, NOTEPAD), started(43, 42, NOTEPAD), stopped(42, "notepad.exe", 3))
CHANGES = [
    (ADDED, "ada\\x"),
    (MODIFIED, "ada\\x"),
    (OLD_NAME, "ada\\x"),
    (NEW_NAME, "y"),
    (REMOVED, "y"),
]
TABLES = {
    "processes_events": lambda: processes(batch(*PROCESS)),
    "sockets_events": lambda: sockets(batch(network(12, 42, HERE, THERE))),
    "file_events": lambda: files([Seen("C:\\Users", buffer(CHANGES))]),
    "system_logs_events": lambda: logs(logged("logon", "classic"))[0],
}


async def first(table, number=1):
    """Return the first *number* rows of a table."""
    rows = []
    async with asyncio.timeout(20), aclosing(table.events()) as events:
        async for came in events:
            rows += came
            if len(rows) >= number:
                return rows
    raise AssertionError("the events ended")


@pytest.mark.parametrize("name", TABLES)
async def test_conforms(name):
    """The table keeps the rules that all tables keep."""
    assert await findings(TABLES[name]()) == []


async def test_processes():
    """Arguments and directory come from the process, if it still runs and is the same."""
    table = processes(batch(*PROCESS, lost=5))
    rows = await first(table, 3)
    assert value_findings(table, rows) == []
    assert table.losses == {"kernel": 5}
    one, two, end = rows
    assert (one["state"], one["cmdline"], one["cwd"]) == (
        "started", "notepad a b.txt", r"C:\Users\ada",
    )  # fmt: skip
    assert two["incomplete"]
    assert "cmdline" not in two
    assert (end["state"], end["exit_code"], end["duration"]) == ("stopped", 3, 2_000_000_000)
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}
    assert not filled & set(table.origin.null)


async def test_unreadable_payloads_are_counted():
    """An event that is cut is lost, the others are not."""
    table = processes(batch(started(42, 7, NOTEPAD, cut=10), PROCESS[2]))
    assert [row["state"] for row in await first(table)] == ["stopped"]
    assert table.losses == {"unreadable": 1}


async def test_wmi_serves_where_tracing_does_not():
    """Without event tracing, WMI tells of processes."""
    event = {
        "class": "Win32_ProcessStartTrace", "ProcessID": 42, "ParentProcessID": 7,
        "ProcessName": "notepad.exe", "TIME_CREATED": "134402868000000000", "ExitStatus": None,
    }  # fmt: skip
    ended = {**event, "class": "Win32_ProcessStopTrace", "ExitStatus": -1, "ProcessID": 44}
    reader = ScriptedReader([event, ended, {"class": "Win32_ThreadTrace"}, {}])
    table = processes(PermissionError(13, "Access is denied"), watching=reader)
    table.trace = ScriptedReader()
    table.trace.open = lambda: (_ for _ in ()).throw(OSError(5, "Access is denied"))
    rows = await first(table, 2)
    assert [(r["state"], r["pid"], r["name"]) for r in rows] == [
        ("started", 42, "notepad.exe"), ("stopped", 44, "notepad.exe"),
    ]  # fmt: skip
    assert rows[0]["cmdline"] == "notepad a b.txt"
    assert rows[1]["exit_code"] == 0xFFFFFFFF
    assert value_findings(table, rows) == []
    assert "etw: access is denied" in table.last_warning
    assert (reader.opened, reader.closed) == (1, 1)


async def test_sockets_by_tracing():
    """Connections come from the kernel, with their programs."""
    events = [network(n, 4000, HERE, THERE, micros=NOON + n * 1000) for n in (12, 13)]
    table = sockets(batch(*events))
    rows = await first(table, 2)
    assert value_findings(table, rows) == []
    assert [(r["state"], r["direction"]) for r in rows] == [
        ("established", "out"),
        ("closed", "out"),
    ]
    assert rows[0]["process"] == r"C:\Program Files\Chrome\chrome.exe"
    assert rows[1]["duration"] == 1_000_000
    name, (provider,) = table.trace.asked
    assert name == "zeek-agent sockets"
    assert provider.events == (12, 13, 15, 28, 29, 31, 42, 58)


async def test_datagrams_are_left_out_if_the_settings_say_so():
    """Each datagram is an event, which a busy host may not want."""
    table = sockets(batch(network(12, 4000, HERE, THERE)), udp=False)
    await first(table)
    assert table.trace.asked[1][0].events == (12, 13, 15, 28, 29, 31)


def test_sockets_by_tables():
    """Differences of two looks keep the owner of a connection that ends."""
    table = sockets(source="polling")
    source = TableSource(table)
    assert source.news() == []
    native = table.system()
    native.tcp4[1] = tcp("TIME_WAIT", *HERE, *THERE)
    native.tcp4.append(tcp("LISTEN", "0.0.0.0", 8080, pid=900))
    native.tcp6.clear()
    rows = source.news()
    assert value_findings(table, rows) == []
    shown = sorted((r["state"], r["pid"], r["process"], r["local_port"]) for r in rows)
    chrome = r"C:\Program Files\Chrome\chrome.exe"
    assert shown == [
        ("closed", 4000, chrome, 50001),
        ("failed", 4000, chrome, 50002),
        ("listen", 900, "svchost.exe", 8080),
    ]
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


async def test_tables_serve_where_tracing_does_not():
    """Without event tracing, differences serve, and the setting `initial` shows what is there."""
    table = sockets(initial=True, interval=0.05)
    table.trace = ScriptedReader()
    table.trace.open = lambda: (_ for _ in ()).throw(OSError(5, "Access is denied"))
    rows = await first(table)
    assert {row["state"] for row in rows} == {"open"}
    assert 445 in {row["local_port"] for row in rows}


async def test_files():
    """Changes have their paths; a buffer that overflowed is a loss."""
    table = files([Seen("C:\\Users", buffer(CHANGES)), Seen("C:\\Users", b"")])
    rows = await first(table, 4)
    assert value_findings(table, rows) == []
    assert [(r["syscall"], r["path"]) for r in rows] == [
        ("create", "C:\\Users\\ada\\x"),
        ("modify", "C:\\Users\\ada\\x"),
        ("rename", "C:\\Users\\ada\\x"),
        ("unlink", "C:\\Users\\y"),
    ]
    assert table.losses == {"overflow": 1}
    filled = {name for row in rows for name, value in row.items() if value is not None} | {"time"}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


async def test_changes_of_files():
    """Like changes that come together are one row, with their number."""
    changes = [(ADDED, "x"), (MODIFIED, "x"), (MODIFIED, "x"), (OLD_NAME, "x"), (NEW_NAME, "y")]
    table = FilesEvents(
        host(files_events={"paths": ["C:\\Users"]}),
        ScriptedReader([Seen("C:\\Users", buffer([*changes, (REMOVED, "y")]))]),
    )
    rows = await first(table, 4)
    assert value_findings(table, rows) == []
    assert [(r["action"], r["path"], r["old_path"], r["count"]) for r in rows] == [
        ("created", "C:\\Users\\x", None, 1),
        ("modified", "C:\\Users\\x", None, 2),
        ("renamed", "C:\\Users\\y", "C:\\Users\\x", 1),
        ("deleted", "C:\\Users\\y", None, 1),
    ]
    filled = {name for row in rows for name, value in row.items() if value is not None} | {"time"}
    assert filled | set(table.origin.null) == {column.name for column in table.columns}


def test_expanded(tmp_path, monkeypatch):
    """Variables and wildcards are replaced; a wildcard at the end is of no matter."""
    monkeypatch.setenv("DATA", str(tmp_path))
    for name in ("a/x", "b/x", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    assert expanded("$DATA/a/*") == [f"{tmp_path}/a"]
    assert expanded("$DATA/*/x/") == [f"{tmp_path}/a/x", f"{tmp_path}/b/x"]
    assert expanded("C:\\missing\\*") == ["C:\\missing"]


async def test_no_directories():
    """Without a directory to watch the table says so."""
    table = FileEvents(host(file_events={"directories": []}), ScriptedReader())
    with pytest.raises(Exception, match="directories names 0 directories; 1 to 32 are possible"):
        await first(table)


async def test_log():
    """Events become rows; what is none is counted; the settings reach the log."""
    settings = {"channels": ["System", "Security"], "query": "*[System[Level<=3]]"}
    items = [*logged("logon", "service_state"), Rendered("<x", None)]
    table, reader = logs(items, **settings)
    rows = await first(table, 2)
    assert [row["eventid"] for row in rows] == ["Security 80231", "System 4711"]
    assert table.losses == {"unreadable": 1}
    assert reader.asked == ({"System": None, "Security": None}, settings["query"])
    assert (reader.opened, reader.closed) == (1, 1)


async def test_the_log_goes_on_where_it_was(tmp_path):
    """What all queries have read is kept over restarts of the agent."""
    table, _ = logs(logged("logon", "service_state"), state=tmp_path)
    async with asyncio.timeout(20), aclosing(table.events()) as events:
        async for came in events:
            if came:
                table.was_read(len(came))
                break
        file = tmp_path / "system_logs_events.json"
        while not file.exists():
            await asyncio.sleep(0.02)
        table.places.read["System"] = 4712
    assert json.loads(file.read_bytes())["System"] == 4712, "written in the end"
    table.places.was_read({"System": 4711})
    table.places.write()
    assert json.loads(file.read_bytes()) == {"Security": 80231, "System": 4711}
    assert file.stat().st_mode & 0o77 == 0
    again, reader = logs(logged("classic"), state=tmp_path)
    await first(again)
    assert reader.asked[0] == {"System": 4711, "Security": 80231, "Application": None}


async def test_a_damaged_file_of_places(tmp_path):
    """A file that makes no sense counts as nothing."""
    (tmp_path / "system_logs_events.json").write_text('["x"]')
    table, reader = logs(logged("classic"), state=tmp_path)
    await first(table)
    assert set(reader.asked[0].values()) == {None}


async def test_no_channels():
    """The log needs a channel."""
    table, _ = logs(channels=[])
    with pytest.raises(Exception, match="channels names 0 channels; 1 to 60 are possible"):
        await first(table)


async def test_a_reader_that_fails_is_closed():
    """Trouble while reading reaches the asker, and nothing stays open."""
    table, reader = logs(OSError(6, "The handle is invalid"))
    with pytest.raises(Exception, match="the handle is invalid"):
        await first(table)
    assert (reader.opened, reader.closed) == (1, 1)
