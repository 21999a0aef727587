"""``processes_events`` through BPF: what only it knows."""

import asyncio
import os
import shutil
import signal
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _cgroupids
from zeek_agent_linux._bpf.programs import process_events as programs
from zeek_agent_linux._bpf.ring import Records
from zeek_agent_linux._processes_events_bpf import BpfSource, joined
from zeek_agent_linux.processes_events import ProcessesEvents

from zeek_agent_core.host import Host
from zeek_agent_core.table import Where

SHELL = os.path.realpath("/bin/sh")
STATES = {"started", "stopped"}


async def lives(watch, *commands, **options):
    """Run *commands* one after the other; return the rows of each by state."""
    found = []
    async with watch(ProcessesEvents, "BPF") as seen:
        pids = []
        for command in commands:
            process = await asyncio.create_subprocess_exec(*command, **options)
            await process.wait()
            pids.append(process.pid)
        for pid in pids:
            await seen.count(1, pid=pid, state="stopped")
            found.append(seen.rows(pid=pid))
    assert seen.collector.losses == {}
    return found


@pytest.fixture
def login():
    """Return the user ID with which this session logged in; None if there is none."""
    number = int(Path("/proc/self/loginuid").read_text())
    return None if number == 0xFFFFFFFF else number


async def test_shortest_life_in_full(watch, actor, login, tmp_path):
    """A process that ends at once is told of in full: arguments, directory, users, group, login."""
    process = [actor, "one", "Zürich", "", "a b\n", b"\xff".decode(errors="surrogateescape")]
    (rows,) = await lives(watch, process, cwd=tmp_path)
    assert [row["state"] for row in rows] == ["started", "stopped"]
    for row in rows:
        assert row["cmdline"] == f"{actor} one Zürich  a b\n \\xff"
        assert (row["name"], row["exe"], row["cwd"]) == (actor, actor, str(tmp_path))
        assert (row["uid"], row["gid"], row["ruid"], row["rgid"]) == (0, 0, 0, 0)
        assert row["ppid"] == os.getpid()
        assert row["auid"] == login
        assert row["cgroup"]
        assert row["priority"] == "20"
        assert row["vsize"] > 0
        assert not row["incomplete"]
    assert rows[1]["exit_code"] == 0


async def test_script_and_relative_path(watch, tmp_path):
    """A script is known by its own path, as it was given, and by what runs it."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexit 4\n")
    script.chmod(0o755)
    (rows,) = await lives(watch, ["./script", "x"], cwd=tmp_path)
    assert rows[0]["name"] == "./script"
    assert rows[0]["exe"] == SHELL
    assert rows[0]["cmdline"] == "/bin/sh ./script x"
    assert rows[1]["exit_code"] == 4


async def test_program_that_is_gone(watch, actor, tmp_path):
    """A program without a name in the file system is told as `processes` tells it."""
    file = os.memfd_create("secret")
    with open(actor, "rb") as program, os.fdopen(os.dup(file), "wb") as copy:  # noqa: ASYNC230, PTH123
        shutil.copyfileobj(program, copy)
    (rows,) = await lives(watch, [f"/proc/self/fd/{file}", "one"], pass_fds=[file])
    os.close(file)
    assert rows[0]["exe"] == "/memfd:secret (deleted)"


@contextmanager
def mounted(path):
    """Mount a file system that is empty."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "test", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


async def test_mounts_and_depth(watch, actor, tmp_path):
    """A directory is told across mounts; one that is too deep is not known, and no guess."""
    with mounted(tmp_path / "mounted") as inner:
        near, deep = inner / "a" / "b", inner.joinpath(*["d"] * 40)
        near.mkdir(parents=True)
        deep.mkdir(parents=True)
        long = inner / ("n" * 255) / ("m" * 255)
        long.mkdir(parents=True)
        (rows,) = await lives(watch, [actor, "one"], cwd=near)
        assert rows[0]["cwd"] == str(near)
        (rows,) = await lives(watch, [actor, "one"], cwd=long)
        assert rows[0]["cwd"] == str(long)
        (rows,) = await lives(watch, [actor, "one"], cwd=deep)
        assert rows[0]["cwd"] is None
        assert rows[0]["incomplete"]


async def test_many_arguments(watch, actor):
    """Arguments that are too long are cut, and nothing else is lost by that."""
    (rows,) = await lives(watch, [actor, "one", *["x" * 100] * 1000])
    whole = f"{actor} one " + " ".join(["x" * 100] * 1000)
    assert whole.startswith(rows[0]["cmdline"])
    assert 8000 < len(rows[0]["cmdline"]) <= programs.ARGUMENT_BYTES
    assert not rows[0]["incomplete"]


async def test_end_by_signal_with_core(watch, actor):
    """The number of the signal is told, whether memory was dumped or not."""
    (rows,) = await lives(watch, [actor, "kill", str(int(signal.SIGABRT))])
    assert rows[1]["exit_signal"] == signal.SIGABRT
    assert rows[1].get("exit_code") is None


async def test_child_that_executes_nothing(watch):
    """A child that executes nothing has its parent's program, and does not guess a directory."""
    async with watch(ProcessesEvents, "BPF", forks=True) as seen:
        process = await asyncio.create_subprocess_exec("sh", "-c", "cd /; (exit 3); exit 0")
        await process.wait()
        (child,) = await seen.count(1, ppid=process.pid, state="stopped")
        (forked,) = seen.rows(pid=child["pid"], state="forked")
        (parent,) = seen.rows(pid=process.pid, state="started")
    assert child["exe"] == forked["exe"] == parent["exe"]
    assert child["cmdline"] == parent["cmdline"]
    assert child["exit_code"] == 3
    assert child["cwd"] is None
    assert child["incomplete"]


@contextmanager
def group(name):
    """Make a control group in the first hierarchy that can be written to."""
    for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
        if Path(mount, "cgroup.procs").exists():
            path = Path(mount, name)
            path.mkdir()
            try:
                yield path
            finally:
                path.rmdir()
            return
    pytest.fail("no control groups are mounted")


async def test_container(watch, actor):
    """A short process in the group of a container is told with it, also when none is left."""
    name = "ab" * 32
    with group(name) as path:
        script = f"echo $$ > {path}/cgroup.procs; exec {actor} one"
        (rows,) = await lives(watch, ["sh", "-c", script])
    assert rows[-1]["container"] == name
    assert rows[-1]["cgroup"].endswith(name)


def test_group_by_identity():
    """A group of the unified hierarchy is found by its ID; one that is gone is not."""
    mount = next(m for m in _cgroupids.MOUNTS if Path(m, "cgroup.controllers").exists())
    path = Path(mount, "test-identity")
    path.mkdir()
    number = path.stat().st_ino
    try:
        assert _cgroupids.by_identity(number) == ("/test-identity", None)
    finally:
        path.rmdir()
    assert _cgroupids.by_identity(number) is None


async def test_only_what_is_wanted(watch, act):
    """A query for starts alone gets no ends; one for ends that comes later gets them."""
    where = Where(frozenset({"time", "pid", "state"}), allowed={"state": {"started"}})
    async with watch(ProcessesEvents, "BPF", where) as seen:
        first, _, _ = await act("one")
        await seen.count(1, pid=first)
        seen.collector.read_by("another", None)
        rows = []
        while not any(row["state"] == "stopped" for row in rows):
            second, _, _ = await act("one")
            await asyncio.sleep(0.3)
            rows = seen.rows(pid=second)
    assert [row["state"] for row in seen.rows(pid=first)] == ["started"]
    assert {row["state"] for row in rows} == STATES


async def test_turned_off(watch):
    """With `bpf = false` another source serves, and the reason is to be read."""
    table = ProcessesEvents(Host(uses_bpf=False))
    events = table.events()
    async with asyncio.timeout(30):
        await anext(events)
    await events.aclose()
    assert "BPF: the configuration has `bpf = false` in [linux]" in table.last_warning


def test_joined():
    """Names from the last to the first make a path."""
    assert joined(b"echo\0bin\0usr\0") == b"/usr/bin/echo"
    assert joined(b"") == b"/"
    assert joined(b"memfd:x\0") == b"/memfd:x"


@given(
    st.lists(
        st.tuples(st.binary(min_size=programs.EVENT.size, max_size=400), st.integers(0, 4)),
        max_size=20,
    )
)
def test_any_record(records):
    """A record with any content makes a row or none, and never an error."""
    source = BpfSource(ProcessesEvents(Host()))
    raw, places = b"", []
    for content, kind in records:
        made = bytearray(content)
        struct.pack_into("=I", made, programs.EVENT.places["kind"][0], kind)
        places.append((len(raw), len(made)))
        raw += bytes(made)
    names = {column.name for column in ProcessesEvents.columns}
    for row in source._work(Records(raw, places)):
        assert row.keys() <= names
