"""The audit tables as users meet them: by the rules of all tables, and through the agent."""

import pytest
from zeek_agent_linux.file_events import FileEvents
from zeek_agent_linux.process_events import ProcessEvents
from zeek_agent_linux.socket_events import SocketEvents

from zeek_agent_core.api import Host
from zeek_agent_core.testing.conformance import check_table


@pytest.mark.parametrize("kind", [ProcessEvents, SocketEvents, FileEvents])
def test_conforms(kernel, kind):
    """The tables keep the rules that all tables keep, and their examples run."""
    before = kernel.settled()
    check_table(kind(Host(settings={"audit": {"directories": ["/etc"]}})))
    assert kernel.settled() == before
