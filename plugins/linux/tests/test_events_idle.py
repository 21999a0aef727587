"""Evented tables of logs, logins, devices and files: nothing is left when nobody asks."""

import asyncio
import resource
import threading
from itertools import chain
from pathlib import Path

import pytest
from zeek_agent_linux.devices_events import DevicesEvents
from zeek_agent_linux.files_events import FilesEvents
from zeek_agent_linux.logins_events import LoginsEvents
from zeek_agent_linux.system_logs_events import SystemLogsEvents

from plugins.linux.tests.journald import Journald
from plugins.linux.tests.listening import made
from zeek_agent_core.events import Events

ROUNDS = 10


def held():
    """Return what this process holds: descriptors by kind, children, threads for reading."""
    kinds = []
    for file in Path("/proc/self/fd").iterdir():
        try:
            kinds.append(str(file.readlink()).partition(":")[0])
        except OSError:
            continue
    children = [file.read_text().split() for file in Path("/proc/self/task").glob("*/children")]
    threads = [t.name for t in threading.enumerate() if t.name.startswith("journal")]
    kernel = [kind for kind in kinds if kind in ("anon_inode", "socket") or "journal" in kind]
    return sorted(kernel), list(chain(*children)), threads


@pytest.fixture
def tables(tmp_path):
    """Return the tables, which all have a source."""
    (tmp_path / "files").mkdir()
    with Journald() as journald:
        directory = str(journald.directory)
        yield [
            made(SystemLogsEvents, state=tmp_path, directory=directory, source="journal"),
            made(LoginsEvents, state=tmp_path, directory=directory, source="journal"),
            made(DevicesEvents),
            made(FilesEvents, tmp_path, paths=("/files",)),
        ]


async def test_queries_come_and_go(tables):
    """However often queries come and go, nothing of the tables stays in the kernel."""
    events = Events(tables, lambda work, name: asyncio.create_task(work, name=name))
    names = [table.name for table in tables]
    before = held()
    for _ in range(ROUNDS):
        events.acquire(names, "a query")
        async with asyncio.timeout(20):
            while not all(table.source for table in tables):
                await asyncio.sleep(0.005)
        assert len(held()[0]) >= len(before[0]) + len(tables)
        events.release(names, "a query")
        await asyncio.wait([collector.task for collector in events.collectors.values()])
        async with asyncio.timeout(1):
            while held() != before:
                await asyncio.sleep(0.005)


async def test_nothing_happens(tables):
    """While nothing happens nothing wakes the agent."""
    events = Events(tables, lambda work, name: asyncio.create_task(work, name=name))
    names = [table.name for table in tables]
    events.acquire(names, "a query")
    async with asyncio.timeout(20):
        while not all(table.source for table in tables):
            await asyncio.sleep(0.005)
    await asyncio.sleep(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    await asyncio.sleep(2)
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    events.release(names, "a query")
    await asyncio.wait([collector.task for collector in events.collectors.values()])
    assert switches < 10
