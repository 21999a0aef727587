"""Sockets that came and went between two looks, and ends that were announced meanwhile."""

import socket
from socket import htons

import pytest
from zeek_agent_linux import _netns
from zeek_agent_linux._sockdiff import Differences
from zeek_agent_linux._sockends import Ending
from zeek_agent_linux._socklists import KINDS, Listing
from zeek_agent_linux._tcpstates import Ends

from zeek_agent_core.api import Host

TCP = next(kind for kind in KINDS if kind.list == "tcp")
HERE = socket.inet_aton("10.0.0.1")
THERE = socket.inet_aton("10.0.0.2")
ESTABLISHED, FIN_WAIT2, CLOSE, LISTEN = 1, 5, 7, 10
OWN = _netns.own("/proc").inode
CLIENT = Ends("IPv4", "10.0.0.1", 4000, "10.0.0.2", 80)
INWARD = Ends("IPv4", "10.0.0.1", 22, "10.0.0.2", 4001)


def listing(*sockets, netns=OWN):
    """Return what the kernel lists: state, local and remote port, inode of each."""
    found = [
        (state, htons(local), htons(remote), HERE, THERE if remote else bytes(4), inode)
        for state, local, remote, inode in sockets
    ]
    return [Listing(netns, TCP, found)]


@pytest.fixture
def differences():
    """Return differences that have seen a server on port 22."""
    made = Differences(Host(), {6})
    assert made.compare(listing((LISTEN, 22, 0, 1))) == []
    return made


def told(*sockets, of, netns=OWN):
    """Return states and local ports that are told of a look."""
    return [(state, flow.local_port) for state, flow in of.compare(listing(*sockets, netns=netns))]


SERVER = (LISTEN, 22, 0, 1)


def test_came_and_went(differences):
    """A socket is told once as it comes, and once as it goes."""
    assert told(SERVER, (ESTABLISHED, 4000, 80, 2), of=differences) == [("established", 4000)]
    assert told(SERVER, (ESTABLISHED, 4000, 80, 2), of=differences) == []
    assert told(SERVER, of=differences) == [("closed", 4000)]
    assert told(of=differences) == [("closed", 22)]


def test_direction(differences):
    """What comes in for a port on which somebody listens is incoming, the rest is outgoing."""
    found = differences.compare(
        listing(SERVER, (ESTABLISHED, 22, 4001, 2), (ESTABLISHED, 4000, 80, 3))
    )
    assert {flow.local_port: flow.direction for _, flow in found} == {22: "in", 4000: "out"}


def test_announced_end(differences):
    """An end that is announced is told at once, and not again by the next look."""
    told(SERVER, (ESTABLISHED, 4000, 80, 2), of=differences)
    ((state, flow),) = differences.end(Ending(6, CLIENT, 7, 8, 5))
    assert (state, flow.local_port) == ("closed", 4000)
    assert told(SERVER, of=differences) == []


def test_end_after_the_listing(differences):
    """What was listed and has ended before it was compared is told with its end, once."""
    late = listing(SERVER, (ESTABLISHED, 4000, 80, 2))
    states = [state for state, _ in differences.end(Ending(6, CLIENT, 2, 1, 0))]
    assert states == ["established", "closed"]
    assert differences.compare(late) == []
    assert told(SERVER, of=differences) == []


def test_short_connections(differences):
    """A connection that no look has seen is told when it has ended: who opened it, if known."""
    for ending, direction in [
        (Ending(6, INWARD, 1, 1, 0), "in"),
        (Ending(6, CLIENT, 2, 1, 0), "out"),
        (Ending(6, CLIENT, 1, 1, 0), None),
    ]:
        found = differences.end(ending)
        assert [state for state, _ in found] == ["established", "closed"]
        assert {flow.direction for _, flow in found} == {direction}
        assert {flow.netns for _, flow in found} == {OWN}


def test_failed(differences):
    """An attempt of which nothing was acknowledged has failed."""
    ((state, flow),) = differences.end(Ending(6, CLIENT, 0, 0, 0))
    assert (state, flow.direction) == ("failed", "out")


def test_no_peer(differences):
    """A socket that never had a peer, or has forgotten it, gives nothing as it ends."""
    assert differences.end(Ending(6, CLIENT._replace(remote_port=0), 0, 0, 0)) == []


def test_let_go_of(differences):
    """What a process has let go of is no new connection; a known one goes on until its end."""
    assert told(SERVER, (FIN_WAIT2, 4000, 80, 0), of=differences) == []
    told(SERVER, (ESTABLISHED, 4000, 80, 2), of=differences)
    assert told(SERVER, (FIN_WAIT2, 4000, 80, 0), of=differences) == []
    assert told(SERVER, of=differences) == [("closed", 4000)]


def test_other_namespaces(differences):
    """The same ends in another network namespace are another socket's."""
    both = listing(SERVER) + listing((ESTABLISHED, 4000, 80, 9), netns=77)
    ((state, flow),) = differences.compare(both)
    assert (state, flow.netns) == ("established", 77)
    assert [state for state, _ in differences.end(Ending(6, CLIENT, 2, 1, 0))] == [
        "established", "closed",
    ]  # fmt: skip
    assert differences.compare(both) == []
