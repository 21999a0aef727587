"""Whether process IDs are those of the kernel."""

import pytest
from zeek_agent_linux._pidns import INITIAL, check_initial

from zeek_agent_core.api import Host


def test_other_namespace(tmp_path):
    """In a PID namespace of its own the agent says so; in the first one it says nothing."""
    link = tmp_path / "proc/self/ns/pid"
    link.parent.mkdir(parents=True)
    link.symlink_to(INITIAL)
    check_initial(Host(tmp_path))
    link.unlink()
    link.symlink_to("pid:[4026532001]")
    with pytest.raises(OSError, match="not in the initial PID namespace"):
        check_initial(Host(tmp_path))
