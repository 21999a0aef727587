"""Rows of ``processes_events``."""

import pytest
from zeek_agent_linux._procrows import ProcessRows
from zeek_agent_linux._proctree import Process
from zeek_agent_linux.processes_events import ProcessesEvents

from zeek_agent_core.host import Host
from zeek_agent_core.table import Where

WHOLE = Process(10, 1, 5, "true", 0, 0, 0, 0, "/bin/true", "true", "/", ended=9)


def rows(*, allowed=None, columns=None, forks=False, **more) -> ProcessRows:
    """Return what makes rows for one query."""
    table = ProcessesEvents(Host(settings={"processes_events": {"forks": forks}}))
    table.wanted = Where(columns or table.everything().columns, allowed=allowed or {})
    return ProcessRows(table, **more)


@pytest.mark.parametrize(
    ("status", "code", "signal"),
    [(0, 0, None), (3 << 8, 3, None), (9, None, 9), (11 | 0x80, None, 11), (255 << 8, 255, None)],
)
def test_status(status, code, signal):
    """A status is an exit code or a signal, whether or not there was a core dump."""
    row = rows().stopped(WHOLE, 100, 7, status)
    assert row is not None
    assert (row.get("exit_code"), row.get("exit_signal")) == (code, signal)
    assert (row["duration"], row["startup"], row["incomplete"]) == (4, 7, False)


def test_no_status():
    """A source without exit codes says that they are missing."""
    row = rows(knows_status=False).stopped(WHOLE, 100, 7)
    assert row is not None
    assert row["incomplete"]


def test_incomplete():
    """What is NULL without need makes a row incomplete, if anybody asks for it."""
    bare = Process(10, 1, uid=0, gid=0)
    row = rows().started(bare, 100, None)
    assert row is not None
    assert (row["uid"], row["cmdline"], row["incomplete"]) == (0, None, True)
    row = rows(columns=frozenset({"pid", "uid"})).started(bare, 100, None)
    assert row is not None
    assert not row["incomplete"]


def test_conditions():
    """Rows that are not wanted are not made."""
    assert rows(allowed={"pid": {11}}).started(WHOLE, 1, 1) is None
    assert rows(allowed={"uid": {0}}).started(WHOLE, 1, 1) is not None
    assert rows(allowed={"state": {"stopped"}}).started(WHOLE, 1, 1) is None
    assert rows(allowed={"state": {"started"}}).stopped(WHOLE, 1, 1, 0) is None


def test_forks():
    """Forks are told only if the settings say so."""
    assert rows().forked(WHOLE, 1, 1) is None
    row = rows(forks=True).forked(WHOLE, 1, 1)
    assert row is not None
    assert row["state"] == "forked"
