"""``processes_events`` with the processes of this machine."""

import pytest
from zeek_agent_linux.processes_events import ProcessesEvents

from zeek_agent_core.testing.conformance import check_table


@pytest.mark.parametrize("source", ["proc connector", "polling"])
def test_conforms(host, source):
    """The table keeps the rules that all tables keep, with each of its sources."""
    check_table(ProcessesEvents(host("/", processes_events={"source": source})))
