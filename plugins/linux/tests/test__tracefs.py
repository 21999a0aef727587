"""Instances in tracefs: made, shared, left behind, removed."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from zeek_agent_linux import _tracefs
from zeek_agent_linux._processes_tracefs import EXEC, TRACED
from zeek_agent_linux._tracefs import Instance, buffer_size, online, open_tracefs, parse_list
from zeek_agent_linux._tracepage import Event

from zeek_agent_core.api import Host

NAME = f"zeek-agent-test-{os.getpid()}"


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def instances() -> set[str]:
    """Return the names of all instances of these tests."""
    root = open_tracefs(Host())
    try:
        directory = os.open("instances", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        try:
            names = os.listdir(directory)  # noqa: PTH208 - by descriptor
            return {name for name in names if name.startswith(NAME)}
        finally:
            os.close(directory)
    finally:
        os.close(root)


def collected(instance: Instance) -> list[Event]:
    """Return all events that wait."""
    return [event for some in instance.read() for event in some]


async def test_events(act):
    """While an instance is open it has the events of all processors, and then it is gone."""
    async with Instance(Host(), NAME, TRACED) as instance:
        assert instances() == {NAME}
        pid, _, _ = await act("one")
        await asyncio.sleep(0.05)
        execs = [v for _, kind, v in collected(instance) if instance.names[kind] == EXEC]
        assert pid in {values[0] for values in execs}
    assert instances() == set()


def test_wakes_at_the_first_event():
    """Who waits for events is woken by the first of them, not when a buffer is half full."""
    instance = Instance(Host(), NAME, TRACED)
    instance.open()
    try:
        for _ in range(3):
            poll = select.poll()
            poll.register(instance.fileno(), select.POLLIN)
            subprocess.run(["/bin/true"], check=True)
            assert poll.poll(10_000)
            assert collected(instance)
    finally:
        instance.close()


def test_filter():
    """A filter leaves out events in the kernel, and can be taken away."""
    instance = Instance(Host(), NAME, TRACED)
    instance.open()
    try:
        for text, is_there in [("pid == 1", False), ("", True)]:
            instance.filter(EXEC, text)
            collected(instance)
            process = subprocess.Popen(["/bin/true"])
            process.wait()
            time.sleep(0.05)
            execs = [v for _, kind, v in collected(instance) if instance.names[kind] == EXEC]
            assert (process.pid in {pid for pid, _ in execs}) == is_there
    finally:
        instance.close()


def test_left_behind():
    """What an agent that was killed has left behind is found and removed."""
    script = (
        "from zeek_agent_core.api import Host; import time;"
        "from zeek_agent_linux._tracefs import Instance;"
        "from zeek_agent_linux._processes_tracefs import TRACED;"
        f"Instance(Host(), {NAME!r}, TRACED).open(); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert instances() == {NAME}
    instance = Instance(Host(), NAME, TRACED)
    instance.open()
    assert instances() == {NAME}
    instance.close()
    assert instances() == set()


def test_another_agent_is_respected():
    """The instance of an agent that lives is left alone; one of another name is made."""
    first, second = Instance(Host(), NAME, TRACED), Instance(Host(), NAME, TRACED)
    first.open()
    second.open()
    assert instances() == {NAME, f"{NAME}-2"}
    subprocess.run(["/bin/true"], check=True)
    time.sleep(0.05)
    assert collected(first)
    assert collected(second)
    first.close()
    assert instances() == {f"{NAME}-2"}
    second.close()
    assert instances() == set()


def test_agents_that_begin_together():
    """Many agents that begin at one moment do not take each other's instances away."""

    def begin(_number: int) -> None:
        for _ in range(10):
            instance = Instance(Host(), NAME, TRACED)
            instance.open()
            instance.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, range(4))) == [None] * 4
    assert instances() == set()


def test_too_many_agents(monkeypatch):
    """There is a bound to how many agents trace at once, with a clear message."""
    monkeypatch.setattr(_tracefs, "INSTANCES", 1)
    first = Instance(Host(), NAME, TRACED)
    first.open()
    try:
        with pytest.raises(OSError, match="1 agents trace already"):
            Instance(Host(), NAME, TRACED).open()
    finally:
        first.close()


async def test_cancelled_while_opening():
    """Whoever is cancelled while an instance opens leaves none behind."""

    async def enter():
        async with Instance(Host(), NAME, TRACED):
            await asyncio.sleep(10)

    for pause in (0, 0.01, 0.03, 0.08):
        task = asyncio.create_task(enter())
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait([task])
        assert instances() == set()


def test_events_that_do_not_exist():
    """An event that this kernel does not have is an error, and nothing is left."""
    before = descriptors()
    traced = {"x": _tracefs.Traced("sched/sched_no_such_event", ("pid",))}
    with pytest.raises(FileNotFoundError):
        Instance(Host(), NAME, traced).open()
    assert descriptors() == before
    assert instances() == set()


def test_full_buffer_is_counted(actor, monkeypatch):
    """Events that found no room are counted, to the last one."""
    monkeypatch.setattr(_tracefs, "MOST", 64)
    monkeypatch.setattr(_tracefs, "LEAST", 64)
    instance = Instance(Host(), NAME, TRACED)
    instance.open()
    try:
        subprocess.run([actor, "fork", "8000", "8"], check=True, stdout=subprocess.DEVNULL)
        events = collected(instance)
        subprocess.run(["/bin/true"], check=True)
        time.sleep(0.05)
        assert collected(instance)
    finally:
        instance.close()
    assert instance.lost > 0
    assert len(events) + instance.lost >= 16_000


def test_two_hundred_times():
    """To open and close an instance two hundred times leaves nothing, here or in the kernel."""
    files, memory = descriptors(), 0
    for number in range(200):
        instance = Instance(Host(), NAME, TRACED)
        instance.open()
        instance.close()
        if number == 20:
            memory = resident()
    assert descriptors() == files
    assert instances() == set()
    assert resident() - memory < 2 << 20


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_not_mounted(tmp_path):
    """Where tracefs is not mounted and must not be, that is said."""
    with pytest.raises(OSError, match="not mounted"):
        open_tracefs(Host(tmp_path))
    host = Host()
    is_mounted = any(host.path(place).joinpath("instances").exists() for place in _tracefs.PLACES)
    if not is_mounted:
        with pytest.raises(OSError, match="not mounted"):
            open_tracefs(host, may_mount=False)


def test_own_mount_is_invisible():
    """A mount of one's own is seen by nobody else."""
    before = Path("/proc/self/mounts").read_text()
    root = _tracefs._mount()
    try:
        os.stat("events/sched", dir_fd=root)
        assert Path("/proc/self/mounts").read_text() == before
    finally:
        os.close(root)


def test_size_of_buffers():
    """All buffers together take no more than is set, unless there are very many processors."""
    assert buffer_size(1) == 8192
    assert buffer_size(8) == 4096
    assert buffer_size(1000) == 512


def test_processors(tmp_path):
    """Lists of processors are understood; where there is none, there is one processor."""
    assert parse_list("0-3,8,10-11\n") == [0, 1, 2, 3, 8, 10, 11]
    assert online("/sys/devices/system/cpu/online") == sorted(os.sched_getaffinity(1))
    assert online(str(tmp_path / "missing")) == [0]
