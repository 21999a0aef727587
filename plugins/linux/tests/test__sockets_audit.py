"""What calls on sockets mean for ``sockets_events``; real ones are tested in `_audit`."""

import pytest
from zeek_agent_linux._sockets_audit import flow_of, state_of


@pytest.mark.parametrize(
    ("call", "returned", "protocol", "state"),
    [
        ("connect", 0, 6, "established"),
        ("connect", -115, 6, "established"),
        ("connect", -111, 6, "failed"),
        ("accept", 5, None, "established"),
        ("accept4", -11, None, None),
        ("listen", 0, 6, "listen"),
        ("listen", -95, 17, None),
        ("bind", 0, 17, "listen"),
        ("bind", 0, 6, None),
        ("bind", 0, None, None),
        ("connect", None, 6, "failed"),
    ],
)
def test_a_call_changes_the_state(call, returned, protocol, state):
    """A connection under way counts; to bind is to listen for datagrams only."""
    row = {"syscall": call, "exit": returned, "protocol": protocol}
    assert state_of(row) == state


@pytest.mark.parametrize(("family", "anywhere"), [(2, "0.0.0.0"), (10, "::")])
def test_what_listens_has_any_peer(family, anywhere):
    """A socket that listens has the peer that other sources tell too."""
    row = {
        "syscall": "listen", "serial": 1, "time": 5, "family": family, "pid": 2, "comm": "x",
        "euid": 0, "egid": 0, "local_address": "::1", "local_port": 80, "protocol": 6,
    }  # fmt: skip
    flow = flow_of(row, 7)
    assert (flow.remote_addr, flow.remote_port, flow.is_listening) == (anywhere, 0, True)
    assert (flow.uid, flow.netns, flow.direction, flow.since) == (0, 7, None, 5000)
