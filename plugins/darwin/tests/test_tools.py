"""Evented tables whose source is a tool, with programs that play the tools."""

import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from zeek_agent_darwin import (
    file_events,
    files_events,
    process_events,
    processes_events,
    system_logs_events,
)
from zeek_agent_darwin._child import Child, Lines

from zeek_agent_core.host import Host
from zeek_agent_core.testing.conformance import findings

FIXTURES = Path(__file__).parent / "fixtures/streams"
TABLES = {
    "eslogger": (file_events, files_events, process_events, processes_events),
    "log": (system_logs_events,),
}
PLAYED = {"eslogger": "eslogger.jsonl", "log": "log_stream.ndjson"}
TOOL = """#!{python}
import os, sys, time
root = {root!r}
with open(root + "/told", "a") as told:
    print(os.getpid(), *sys.argv[1:], file=told, flush=True)
sys.stdout.write(open({output!r}).read())
sys.stdout.flush()
{then}
"""


def host(tmp_path, tool, then="time.sleep(600)", **settings):
    """Return a macOS host with a program that plays *tool*."""
    program = tmp_path / "usr/bin" / tool
    program.parent.mkdir(parents=True, exist_ok=True)
    output = str(FIXTURES / PLAYED[tool])
    program.write_text(
        TOOL.format(python=sys.executable, root=str(tmp_path), output=output, then=then)
    )
    program.chmod(0o755)
    made = Host(tmp_path, settings)
    made.platform = "darwin"
    return made


async def first(table, number):
    """Return the first *number* rows of a table."""
    rows = []
    async with asyncio.timeout(20), aclosing(table.events()) as events:
        async for batch in events:
            rows += batch
            if len(rows) >= number:
                return rows
    raise AssertionError("the events ended")


def is_gone(pid):
    """Return whether no process has this ID."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(("tool", "module"), [(t, m) for t, ms in TABLES.items() for m in ms])
async def test_conforms(tmp_path, tool, module):
    """The table keeps the rules that all tables keep, and lets go of its tool."""
    (table,) = module.zeek_agent_tables(host(tmp_path, tool))
    assert await findings(table) == []
    pids = [int(line.split()[0]) for line in (tmp_path / "told").read_text().splitlines()]
    assert pids
    assert all(map(is_gone, pids))


async def test_the_tool_is_told_what_is_wanted(tmp_path):
    """Events of forks are asked for only if the settings say so; no shell reads the arguments."""
    settings = {"processes_events": {"forks": True}}
    (table,) = processes_events.zeek_agent_tables(host(tmp_path, "eslogger", **settings))
    rows = await first(table, 5)
    assert [row["state"] for row in rows] == ["forked", "started", "started", "stopped", "stopped"]
    assert (tmp_path / "told").read_text().split()[1:] == [
        "--format",
        "json",
        "exec",
        "exit",
        "fork",
    ]
    assert table.losses == {"kernel": 3}


async def test_the_filter_of_the_log(tmp_path):
    """Predicate and level of the settings reach `log` as they are."""
    predicate = 'process == "sshd" && eventMessage CONTAINS "$(x)"'
    settings = {"system_logs_events": {"predicate": predicate, "log_level": "debug"}}
    (table,) = system_logs_events.zeek_agent_tables(host(tmp_path, "log", **settings))
    assert len(await first(table, 6)) == 6
    told = (tmp_path / "told").read_text()
    assert told.endswith(
        f"stream --style ndjson --type log --level debug --predicate {predicate}\n"
    )
    assert table.losses == {"log": 42}


async def test_a_wrong_level_is_refused(tmp_path):
    """A level that the log does not have is an error with the valid ones."""
    settings = {"system_logs_events": {"log_level": "loud"}}
    (table,) = system_logs_events.zeek_agent_tables(host(tmp_path, "log", **settings))
    with pytest.raises(Exception, match="'loud' is none of default, info, debug"):
        await first(table, 1)


async def test_a_tool_that_ends_says_why(tmp_path):
    """What the tool complains of reaches the asker: here, that consent is missing."""
    complaint = "ES client: not permitted; grant Full Disk Access"
    then = f"sys.stderr.write({complaint!r} + '\\n'); sys.exit(3)"
    made = host(tmp_path, "eslogger", then)
    (tmp_path / "empty").touch()
    program = tmp_path / "usr/bin/eslogger"
    program.write_text(program.read_text().replace(str(FIXTURES / PLAYED["eslogger"]), os.devnull))
    (table,) = processes_events.zeek_agent_tables(made)
    with pytest.raises(Exception, match=f"eslogger ended with status 3: {complaint}"):
        await first(table, 1)


async def test_a_tool_that_is_missing(tmp_path):
    """On a macOS before 13 there is no `eslogger`, and the error names it."""
    made = Host(tmp_path)
    made.platform = "darwin"
    (table,) = processes_events.zeek_agent_tables(made)
    with pytest.raises(Exception, match=r"no such file or directory .*/usr/bin/eslogger"):
        await first(table, 1)


async def test_a_tool_that_does_not_want_to_end(tmp_path):
    """One that ignores the request to end is killed."""
    then = (
        "import signal; signal.signal(15, signal.SIG_IGN); print('{}', flush=True); time.sleep(600)"
    )
    made = host(tmp_path, "eslogger", then)
    child = Child([str(made.path("/usr/bin/eslogger"))])
    async with asyncio.timeout(20), aclosing(child.batches()) as batches:
        async for lines in batches:
            if b"{}" in lines:
                break
    (pid,) = (int(line.split()[0]) for line in (tmp_path / "told").read_text().splitlines())
    assert is_gone(pid)


async def test_a_reader_that_is_slow_holds_the_tool_back(tmp_path):
    """What is not read stays with the tool: nothing piles up here."""
    script = tmp_path / "tool"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfor n in range(1000):\n"
        f"    sys.stdout.write('x' * 65535 + '\\n'); sys.stdout.flush()\n"
        f"    open({str(tmp_path / 'count')!r}, 'w').write(str(n))\n"
    )
    script.chmod(0o755)
    child = Child([str(script)])
    total = 0
    async with asyncio.timeout(50), aclosing(child.batches()) as batches:
        async for lines in batches:
            if not total:
                await asyncio.sleep(0.5)
                written = int((tmp_path / "count").read_text())
                assert written < 50, "a pipe and two chunks, no more"
            total += len(lines)
            if total >= 1000:
                break
    assert total == 1000


def test_lines():
    """Pieces become lines; a long one is left out whole, and counted."""
    lines = Lines(longest=5)
    assert lines.feed(b"ab") == []
    assert lines.feed(b"c\n\nde\nfghi") == [b"abc", b"de"]
    assert lines.feed(b"jk") == []
    assert lines.feed(b"more") == []
    assert lines.feed(b"end\nnext\n") == [b"next"]
    assert lines.oversize == 1
    assert lines.feed(b"toolong\nok\n") == [b"ok"]
    assert lines.oversize == 2


async def test_names_of_the_first_generation(tmp_path, sql):
    """Queries written for the first generation on macOS find its columns by their old names."""
    (table,) = process_events.zeek_agent_tables(host(tmp_path, "eslogger"))
    rows = await first(table, 3)
    names = (
        "timestamp, type, process_id, parent_process_id, orig_parent_process_id, user_id, group_id"
    )
    found = await asyncio.to_thread(
        sql, f"SELECT {names} FROM process_events", table, events={table.name: rows}
    )
    assert found[1] == (1_795_813_200_001_500, "exec", 9001, 812, 812, 501, 20)
    (table,) = file_events.zeek_agent_tables(host(tmp_path, "eslogger"))
    rows = await first(table, 6)
    names = "type, process_id, user_id, file_path"
    found = await asyncio.to_thread(
        sql,
        f"SELECT {names} FROM file_events WHERE type = 'open'",
        table,
        events={table.name: rows},
    )
    assert found[0] == ("open", 9001, 501, "/etc/hosts")
