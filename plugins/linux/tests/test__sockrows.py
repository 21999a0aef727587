"""Rows of ``sockets_events``."""

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._sockrows import Flow, SocketRows, seuid
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.host import AgentFacts, Host
from zeek_agent_core.table import Where


def flow(**values) -> Flow:
    """Return a connection with some values of its own."""
    return Flow("key", "IPv4", 6, "10.0.0.1", 80, "10.0.0.2", 4000, **values)


def made(*, allowed=None, agent="", **values):
    """Return the row of a connection as it closes."""
    table = SocketsEvents(Host(agent=AgentFacts(id=agent)))
    if allowed:
        table.wanted = Where(table.everything().columns, allowed=allowed)
    return SocketRows(table).row(flow(**values), "closed", 5, 900)


def test_unknown_owner():
    """Root is 0, unknown is NULL, and only then the row is incomplete."""
    assert made(pid=1, process="init", uid=0)["incomplete"] is False
    row = made(pid=1, process="init")
    assert (row["uid"], row["incomplete"]) == (None, True)


def test_duration():
    """A connection whose beginning was not seen has no duration."""
    assert made(since=600)["duration"] == 300
    assert "duration" not in made()


def test_conditions():
    """Rows that are not wanted are not made."""
    assert made(allowed={"local_port": {81}}) is None
    assert made(allowed={"local_port": {80}, "state": {"closed"}}) is not None
    assert made(allowed={"uid": {0}}) is None


@given(st.text(), st.text())
def test_seuid(one, other):
    """IDs of sockets have one form, are the same for the same socket only."""
    first, second = seuid(b"agent", one), seuid(b"agent", other)
    assert len(first) == 13
    assert first.startswith("S")
    assert first[1:].isalnum()
    assert (first == second) == (one == other)
    assert seuid(b"another", one) != first


def test_seuid_of_agents():
    """Two agents give different IDs, one agent always the same."""
    assert made(agent="A")["seuid"] == made(agent="A")["seuid"] != made(agent="B")["seuid"]
