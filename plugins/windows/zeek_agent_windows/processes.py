"""``processes`` on Windows, through psutil."""

import ntpath

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.portable import processes
from zeek_agent_core.portable.processes import COMMON, Facts, Fill, path, whole

PRIORITIES = {
    0x20: "normal",
    0x40: "idle",
    0x80: "high",
    0x100: "realtime",
    0x4000: "below_normal",
    0x8000: "above_normal",
}
"""Priority classes of `GetPriorityClass`."""


def image(facts: Facts) -> str | None:
    """Return the path of the program, or its mere name where that must not be known."""
    exe = facts["exe"]
    return path(exe) if exe and ntpath.isabs(exe) else path(facts["name"] or "")


FILLS = {
    **COMMON,
    "name": Fill(("exe", "name"), image),
    "priority": whole("nice", lambda nice: PRIORITIES.get(int(nice), "unknown")),
}


class Processes(processes.Processes):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`NtQuerySystemInformation`, `GetProcessMemoryInfo` and others, through psutil",
        needs="Administrators, or SYSTEM, for paths, arguments and times of other users' processes",
        verified="the same code on Linux; a scripted host with what psutil gives on Windows",
        null=("uid", "gid", "ruid", "rgid", "tty", "cgroup", "container"),
    )
    fills = FILLS


@hookimpl
def zeek_agent_tables(host: Host) -> list[Processes]:
    """Offer the table on the host itself."""
    return [Processes(host)] if host.platform == "windows" else []
