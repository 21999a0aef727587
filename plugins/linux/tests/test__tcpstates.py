"""What changes of TCP states tell of connections."""

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._sockrows import Flow
from zeek_agent_linux._tcpstates import Ends, Flows, Owner, ends_of

ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, CLOSE, CLOSE_WAIT, LISTEN = 1, 2, 3, 4, 7, 8, 10
ME = Owner(100, "server", 33, 33, 4026531833)
OTHER = Owner(200, "client", 1000, 100, 4026531833)
SERVER = Ends("IPv4", "10.0.0.1", 80, "0.0.0.0", 0)
INWARD = Ends("IPv4", "10.0.0.1", 80, "10.0.0.2", 4000)
OUTWARD = Ends("IPv4", "10.0.0.2", 4000, "10.0.0.1", 80)


def told(flows, key, old, new, ends, time=0, owner=None):  # noqa: PLR0917 - as `change`
    """Return the states told of a change."""
    return [state for state, _ in flows.change(key, old, new, ends, time, owner=owner)]


def test_opened():
    """Who opens a connection owns it, and its local port is that of the moment it is there."""
    flows = Flows()
    before = OUTWARD._replace(local_port=0)
    assert told(flows, 1, CLOSE, SYN_SENT, before, 5, OTHER) == []
    ((state, flow),) = flows.change(1, SYN_SENT, ESTABLISHED, OUTWARD, 6)
    assert (state, flow.pid, flow.direction, flow.since) == ("established", 200, "out", 6)
    assert ends_of(flow) == OUTWARD
    assert told(flows, 1, ESTABLISHED, FIN_WAIT1, OUTWARD) == []
    assert list(flows.change(1, FIN_WAIT1, CLOSE, OUTWARD, 9)) == [("closed", flow)]
    assert len(flows) == 0


def test_accepted():
    """A connection that comes in belongs to who listens."""
    flows = Flows()
    assert told(flows, 1, CLOSE, LISTEN, SERVER, 1, ME) == ["listen"]
    assert told(flows, 2, LISTEN, SYN_RECV, INWARD, 2) == []
    ((state, flow),) = flows.change(2, SYN_RECV, ESTABLISHED, INWARD, 3)
    assert (state, flow.direction) == ("established", "in")
    assert (flow.pid, flow.process, flow.uid, flow.gid, flow.netns) == ME
    assert told(flows, 1, LISTEN, CLOSE, SERVER, 4) == ["closed"]
    assert told(flows, 2, CLOSE_WAIT, CLOSE, INWARD, 5) == ["closed"]
    assert len(flows) == 0


def test_failed():
    """An attempt that is never answered, or refused, has failed."""
    flows = Flows()
    told(flows, 1, CLOSE, SYN_SENT, OUTWARD, 1, OTHER)
    ((state, flow),) = flows.change(1, SYN_SENT, CLOSE, OUTWARD, 2)
    assert (state, flow.pid, flow.since) == ("failed", 200, None)


def test_both_open_at_once():
    """A connection that both ends open is one that each of them opened."""
    flows = Flows()
    told(flows, 1, CLOSE, SYN_SENT, OUTWARD, 1, OTHER)
    assert told(flows, 1, SYN_SENT, SYN_RECV, OUTWARD, 2) == []
    ((state, flow),) = flows.change(1, SYN_RECV, ESTABLISHED, OUTWARD, 3)
    assert (state, flow.direction, flow.pid) == ("established", "out", 200)


def test_key_used_again():
    """A socket whose end was missed has expired when its key is used by another."""
    flows = Flows()
    told(flows, 1, CLOSE, LISTEN, SERVER, 1, ME)
    assert told(flows, 1, CLOSE, SYN_SENT, OUTWARD, 2, OTHER) == ["expired"]
    assert told(flows, 1, SYN_SENT, ESTABLISHED, OUTWARD, 3) == ["established"]
    assert told(flows, 1, SYN_RECV, ESTABLISHED, INWARD, 4) == ["expired", "established"]
    assert flows.listeners(INWARD) == []


def test_attempt_that_was_missed():
    """An attempt whose end was missed has never been told, so it does not expire."""
    flows = Flows()
    told(flows, 1, CLOSE, SYN_SENT, OUTWARD, 1, OTHER)
    assert told(flows, 1, CLOSE, LISTEN, SERVER, 2, ME) == ["listen"]


def test_beginning_was_missed():
    """A connection whose beginning was missed is told without owner."""
    flows = Flows()
    ((state, flow),) = flows.change(1, SYN_SENT, ESTABLISHED, OUTWARD, 3)
    assert (state, flow.direction, flow.pid) == ("established", "out", None)
    ((state, flow),) = flows.change(2, ESTABLISHED, CLOSE, INWARD, 3)
    assert (state, flow.direction, flow.pid, flow.since) == ("closed", None, None, None)
    assert told(flows, 3, SYN_SENT, CLOSE, OUTWARD) == []


def found(ends, owner, **more):
    """Return a flow that was there before."""
    local, remote = (ends.local_addr, ends.local_port), (ends.remote_addr, ends.remote_port)
    flow = Flow("k", ends.family, 6, *local, *remote, **more)
    flow.pid, flow.process, flow.uid, flow.gid, flow.netns = owner
    return flow


def test_there_before():
    """What was found is known by its ends, and so is what comes in for it."""
    flows = Flows()
    flows.add(found(SERVER, ME, is_listening=True))
    flows.add(found(OUTWARD, OTHER, direction="out"))
    ((_, flow),) = flows.change(1, SYN_RECV, ESTABLISHED, INWARD, 3)
    assert flow.pid == 100
    ((state, flow),) = flows.change(2, FIN_WAIT1, CLOSE, OUTWARD, 4)
    assert (state, flow.pid, flow.direction) == ("closed", 200, "out")
    ((state, flow),) = flows.change(3, LISTEN, CLOSE, SERVER, 4)
    assert (state, flow.pid) == ("closed", 100)
    assert flows.listeners(INWARD) == []


def test_who_listens():
    """An exact address goes before any address; the family must be the same."""
    flows = Flows()
    told(flows, 1, CLOSE, LISTEN, SERVER._replace(local_addr="0.0.0.0"), 1, ME)
    told(flows, 2, CLOSE, LISTEN, Ends("IPv6", "::", 80, "::", 0), 1, OTHER)
    assert [flow.pid for flow in flows.listeners(INWARD)] == [100]
    mapped = Ends("IPv6", "::ffff:10.0.0.1", 80, "::ffff:10.0.0.2", 4000)
    assert [flow.pid for flow in flows.listeners(mapped)] == [200]
    told(flows, 3, CLOSE, LISTEN, SERVER, 1, OTHER)
    assert [flow.pid for flow in flows.listeners(INWARD)] == [200]


def test_several_listen():
    """Where several processes share a port, a connection has what they agree on."""
    flows = Flows()
    told(flows, 1, CLOSE, LISTEN, SERVER, 1, ME)
    told(flows, 2, CLOSE, LISTEN, SERVER, 1, ME._replace(pid=101))
    ((_, flow),) = flows.change(3, SYN_RECV, ESTABLISHED, INWARD, 3)
    assert (flow.pid, flow.process, flow.uid) == (None, "server", 33)


def test_adopted():
    """Who has taken over a listening socket owns what comes in from then on."""
    flows = Flows()
    told(flows, 1, CLOSE, LISTEN, SERVER, 1, ME)
    flows.adopt([found(SERVER, OTHER, is_listening=True)])
    ((_, flow),) = flows.change(3, SYN_RECV, ESTABLISHED, INWARD, 3)
    assert flow.pid == 200


def test_expired():
    """What is not there any more although its end was not seen expires, if it is old enough."""
    flows = Flows()
    flows.add(found(SERVER, ME, is_listening=True))
    told(flows, 1, SYN_SENT, ESTABLISHED, OUTWARD, 3)
    told(flows, 2, SYN_SENT, ESTABLISHED, OUTWARD._replace(local_port=4001), 8)
    told(flows, 3, CLOSE, SYN_SENT, OUTWARD._replace(local_port=0), 4, OTHER)
    assert flows.expire({SERVER, OUTWARD}, 5) == []
    gone = flows.expire(set(), 5)
    assert {ends_of(flow) for flow in gone} == {SERVER, OUTWARD}
    assert len(flows) == 2


def test_bounded():
    """No more flows are known than wanted; the oldest is forgotten and counted."""
    flows = Flows(most=10)
    for key in range(25):
        told(flows, key, CLOSE, LISTEN, SERVER._replace(local_port=key), key, ME)
    assert (len(flows), flows.forgotten) == (10, 15)
    assert flows.listeners(INWARD._replace(local_port=14)) == []
    assert len(flows.listeners(INWARD._replace(local_port=15))) == 1


def test_keys_are_distinct():
    """Two sockets that were at one address in the kernel one after the other stay apart."""
    flows = Flows()
    keys = set()
    for time in range(5):
        ((_, flow),) = flows.change(1, SYN_SENT, ESTABLISHED, OUTWARD, time)
        keys.add(flow.key)
        told(flows, 1, ESTABLISHED, CLOSE, OUTWARD, time)
    assert len(keys) == 5


STATES = st.integers(1, 12)
PORTS = st.integers(0, 2)
CHANGES = st.lists(st.tuples(st.integers(1, 4), STATES, STATES, PORTS, PORTS, st.booleans()))


@given(CHANGES)
def test_any_order(changes):
    """Whatever changes come: each flow begins at most once and ends at most once, in this order."""
    flows = Flows(most=3)
    history: dict[int, list[str]] = {}
    kept = []
    for time, (key, old, new, local, remote, has_owner) in enumerate(changes):
        ends = Ends("IPv4", "10.0.0.1", local, "10.0.0.2", remote)
        owner = OTHER if has_owner else None
        for state, flow in flows.change(key, old, new, ends, time, owner=owner):
            kept.append(flow)
            history.setdefault(id(flow), []).append(state)
    for states in history.values():
        assert states in (
            ["established"], ["listen"], ["closed"], ["failed"],
            ["established", "closed"], ["established", "expired"],
            ["listen", "closed"], ["listen", "expired"],
        )  # fmt: skip
    assert len(flows.known) <= 3


@given(CHANGES)
def test_nothing_is_left(changes):
    """When all sockets are closed, nothing is known of them."""
    flows = Flows()
    for time, (key, old, new, local, remote, _) in enumerate(changes):
        ends = Ends("IPv4", "10.0.0.1", local, "10.0.0.2", remote)
        flows.change(key, old, new, ends, time)
    for key in list(flows.known):
        flows.change(key, ESTABLISHED, CLOSE, INWARD, 99)
    assert len(flows) == 0
    for port in range(3):
        assert flows.listeners(Ends("IPv4", "10.0.0.1", port, "10.0.0.2", 0)) == []
