"""What the tests of auditing share: events, and the kernel's auditing, left as it was found."""

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import pytest
from zeek_agent_linux._audit.assembler import Assembler
from zeek_agent_linux._audit.netlink import Control
from zeek_agent_linux._audit.records import EOE, SYSCALL
from zeek_agent_linux._audit.rules import KEY, rules_for
from zeek_agent_linux._audit.status import Status

from zeek_agent_core.api import Where
from zeek_agent_core.events import Collector

TAIL = (
    "auid=4294967295 uid=1001 gid=1001 euid=1001 suid=1001 fsuid=1001 egid=1001 sgid=1001 "
    'fsgid=1001 tty=(none) ses=4294967295 comm="x" exe="/usr/bin/x" key="zeek-agent"'
)
SCRATCH = 61_234
"""A user ID that nobody has: only what tests do is recorded, nothing else on the host."""
SECONDS = 20.0
TEST_KEY = "zeek-agent-tests"
LOCK = Path("/run/lock/zeek-agent-audit-tests")

DAEMON = """
import os, socket, struct, sys
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
kernel.bind((0, 0))
status = struct.pack("=11I", 4, 0, 0, os.getpid(), *[0] * 7)
kernel.send(struct.pack("=IHHII", 16 + len(status), 1001, 5, 1, 0) + status)
answer = kernel.recv(9000)
code, = struct.unpack_from("=i", answer, 16)
print("daemon" if code == 0 else f"refused {code}", flush=True)
while code == 0:
    kernel.recv(9000)
"""
"""Registers as the audit daemon, and throws away what it gets."""


@pytest.fixture
def event():
    """Return a maker of events: the fields of the call, then other records as (type, fields)."""

    def made(call, *others):
        head = call if "arch=" in call else f"arch=c000003e {call}"
        ids = "" if "pid=" in call else " ppid=400 pid=500"
        assembler = Assembler()
        records = [(SYSCALL, f"{head}{ids} {TAIL}"), *others, (EOE, "")]
        for kind, body in records:
            assembler.add((kind, "1700000000.123:77", body), 0.0)
        (complete,) = assembler.take()
        return complete

    return made


class Kernel:
    """The kernel's auditing, for one test at a time."""

    scratch = SCRATCH

    def __init__(self, control: Control) -> None:
        self.control = control
        self.before = control.status()
        self._processes: list[subprocess.Popen[str]] = []

    def status(self) -> Status:
        """Return the state of auditing."""
        return self.control.status()

    def settled(self) -> tuple[object, ...]:
        """Return all that an agent must leave as it was."""
        status, rules = self.status(), [r for r in self.control.rules() if r.key == KEY]
        return status.enabled, status.pid, status.backlog_limit, status.backlog_wait_time, rules

    def load(self, *calls: str, uid: int | None = SCRATCH) -> None:
        """Load rules as an administrator would: for *calls*, and who makes them."""
        terms = () if uid is None else ((1, 0x40000000, uid),)
        for rule in rules_for((os.uname().machine,), calls, [terms]):
            self.control.add(rule._replace(key=TEST_KEY))

    def daemon(self) -> subprocess.Popen[str]:
        """Start another audit daemon."""
        process = self.start([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "daemon\n"
        return process

    def start(self, command, **options) -> subprocess.Popen[str]:
        """Start a process that ends with the test."""
        process = subprocess.Popen(command, **options)
        self._processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """Kill a process, and wait until the kernel has noticed that it was the daemon."""
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def clean(self) -> None:
        """Put everything back, whatever has happened."""
        for process in self._processes:
            self.end(process)
        for rule in self.control.rules():
            if rule.key in {KEY, TEST_KEY}:
                self.control.delete(rule)
        before = self.before
        if self.status().pid:
            with suppress(OSError):
                self.control.set(pid=os.getpid())  # takes over from a dead one
                self.control.set(pid=0)
        self.control.set(
            enabled=before.enabled,
            backlog_limit=before.backlog_limit,
            backlog_wait_time=before.backlog_wait_time,
        )


@pytest.fixture
def kernel():
    """Return the kernel's auditing; no other test, of any run on this host, uses it meanwhile."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock, Control() as control:
        fcntl.flock(lock, fcntl.LOCK_EX)
        end = monotonic() + SECONDS
        while control.status().pid and monotonic() < end:
            sleep(0.05)  # other tests' agents are the daemon for a moment
        made = Kernel(control)
        assert made.before.pid == 0, "an audit daemon runs: these tests need a host without one"
        try:
            yield made
        finally:
            made.clean()


class Run:
    """A table at work."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.table = collector.table

    @property
    def rows(self):
        """What has come so far, in order."""
        return list(self.collector.buffer.rows(0))

    async def until(self, condition, what="rows"):
        """Wait until *condition* of the rows holds; return them."""
        end = monotonic() + SECONDS
        while not condition(self.rows):
            table = self.table
            state = (table.source, self.collector.losses, self.collector.error, table.last_warning)
            assert monotonic() < end, f"no such {what}: {self.rows} {state}"
            await asyncio.sleep(0.02)
        return self.rows


@pytest.fixture
def running():
    """Return a context manager that has a table collect what the scratch user does."""

    @asynccontextmanager
    async def run(table, uids: Collection[int] | None = (SCRATCH,), **allowed):
        collector = Collector(table)
        given = {} if uids is None else {"uid": frozenset(uids)}
        where = Where(table.everything().columns, allowed={**given, **allowed})
        collector.read_by(object(), where)
        task = asyncio.create_task(collector.run())
        made = Run(collector)
        try:
            await made.until(lambda _: table.source, "source")
            yield made
        finally:
            task.cancel()
            await asyncio.wait([task])

    return run


@pytest.fixture
def place():
    """Return a directory in which the scratch user may work, unlike those below `tmp_path`."""
    with TemporaryDirectory(prefix="zeek-agent ") as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


class Actor:
    """Runs Python code as the scratch user."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.output: list[str] = []
        """What the last code has printed, in words."""

    async def __call__(self, code, status=0):
        """Run *code* to its end, with *status*; return the process ID."""
        process = await self._start(code)
        output, _ = await process.communicate()
        self.output = output.decode().split()
        assert process.returncode == status
        return process.pid

    @asynccontextmanager
    async def acting(self, code):
        """Run *code*, which calls `pause()` after its line of output; the block ends each pause."""
        process = await self._start(code)
        try:
            self.output = (await process.stdout.readline()).decode().split()
            yield process
        finally:
            process.stdin.close()
            await process.communicate()

    async def go_on(self, process):
        """End a pause of *process*."""
        process.stdin.write(b"\n")
        await process.stdin.drain()

    async def _start(self, code):
        head = "import os, socket, sys, threading\n"
        head += f"def pause(): sys.stdout.flush(); sys.stdin.readline()\nos.setuid({SCRATCH})\n"
        pipe = subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", head + code, stdin=pipe, stdout=pipe, cwd=self.place
        )


@pytest.fixture
def scratch(place):
    """Return what runs code as the scratch user."""
    return Actor(place)
