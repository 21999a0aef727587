"""The process events connector of the real kernel."""

import os
import subprocess
from pathlib import Path

import pytest
from zeek_agent_linux import _cnproc
from zeek_agent_linux._procconnector import Connector


def drained(connector: Connector) -> list[_cnproc.Event]:
    """Return all events that wait."""
    found: list[_cnproc.Event] = []
    while items := connector.read(100):
        found += [event for event, _ in items]
    return found


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_one_process(actor):
    """A process forks, executes, and ends with its status, under one ID."""
    with Connector() as connector:
        process = subprocess.Popen([actor, "exit", "9"])
        process.wait()
        events = [e for e in drained(connector) if process.pid in {e.b, e.d}]
    kinds = [e.what for e in events if e.what in {_cnproc.FORK, _cnproc.EXEC, _cnproc.EXIT}]
    assert kinds == [_cnproc.FORK, _cnproc.EXEC, _cnproc.EXIT]
    assert events[-1].c == 9 << 8
    assert (events[-1].e, events[-1].f) == (events[0].a, os.getpid())


def test_no_more_than_asked_for():
    """So many events are read at once, and the rest next time."""
    with Connector() as connector:
        subprocess.run(["/bin/true"], check=True)
        assert len(connector.read(1)) == 1
        assert len(connector.read(1)) == 1
        assert drained(connector)
        assert connector.lost == 0


def test_check():
    """The kernel's answer is waited for, whatever else happens meanwhile."""
    with Connector() as connector:
        connector.check()


def on_each_processor(connector):
    """Return what is told while something happens on each processor."""
    events = []
    for processor in os.sched_getaffinity(0):
        words = ["taskset", "--cpu-list", str(processor), "/bin/true"]
        subprocess.run(words, check=True)
        events += drained(connector)
    return events


def test_losses_are_counted(actor, monkeypatch):
    """What did not fit is what the sequence numbers lack: nothing is lost unseen."""
    monkeypatch.setattr("zeek_agent_linux._procconnector.BUFFER", 1 << 16)
    with Connector() as connector:
        on_each_processor(connector)  # only what lies between two events can be counted
        assert connector.lost == 0
        subprocess.run([actor, "fork", "5000", "8"], check=True, stdout=subprocess.DEVNULL)
        events = drained(connector)
        events += on_each_processor(connector)
    assert connector.lost > 0
    assert len(events) + connector.lost >= 10_000


class Deaf(Connector):
    """Never hears the kernel's answer."""

    def read(self, most):
        return []


def test_no_answer(monkeypatch):
    """If the kernel does not answer, that is an error, however much else happens."""
    monkeypatch.setattr("zeek_agent_linux._procconnector.ANSWER_SECONDS", 0.05)
    before = descriptors()
    with Deaf() as connector, pytest.raises(PermissionError, match="initial namespaces"):
        connector.check()
    assert descriptors() == before


def test_two_hundred_times():
    """To listen and stop two hundred times leaves nothing here."""
    before = descriptors()
    for _ in range(200):
        with Connector() as connector:
            connector.fileno()
    assert descriptors() == before
