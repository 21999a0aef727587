"""``sockets_events`` with the sockets of this machine."""

import pytest
from zeek_agent_linux.sockets_events import SocketsEvents

from zeek_agent_core.testing.conformance import check_table


@pytest.mark.parametrize("source", ["polling"])
def test_conforms(host, source):
    """The table keeps the rules that all tables keep, with each of its sources."""
    check_table(SocketsEvents(host("/", sockets_events={"source": source})))
