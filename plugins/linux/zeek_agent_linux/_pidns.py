"""Whether the agent has the process IDs that the kernel gives to everybody.

Source: pid_namespaces(7), include/linux/proc_ns.h (PROC_PID_INIT_INO).
"""

import errno
import os

from zeek_agent_core.api import Host

INITIAL = "pid:[4026531836]"


def check_initial(host: Host) -> None:
    """Raise `OSError` in a PID namespace of one's own: what sources tell are other IDs there."""
    path = f"{host.prefix}/proc/self/ns/pid"
    if os.readlink(path) != INITIAL:  # noqa: PTH115
        raise OSError(errno.EXDEV, "not in the initial PID namespace", path)
