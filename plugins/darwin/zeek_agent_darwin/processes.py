"""``processes`` on macOS, through psutil."""

from zeek_agent_core.api import Host, Origin, hookimpl
from zeek_agent_core.portable import processes
from zeek_agent_core.portable.processes import COMMON, part, whole


def terminal(device: str) -> str:
    """Return the name of a terminal without its directory."""
    return device.removeprefix("/dev/")


FILLS = {
    **COMMON,
    "uid": part("uids", "effective"),
    "gid": part("gids", "effective"),
    "ruid": part("uids", "real"),
    "rgid": part("gids", "real"),
    "priority": whole("nice", lambda nice: str(-nice)),
    "tty": whole("terminal", terminal),
}


class Processes(processes.Processes):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`libproc` and `sysctl`, through psutil",
        needs="root for memory, times, arguments and directories of other users' processes",
        verified="the same code on Linux; a scripted host with what psutil gives on macOS",
        null=("cgroup", "container"),
    )
    fills = FILLS


@hookimpl
def zeek_agent_tables(host: Host) -> list[Processes]:
    """Offer the table on the host itself."""
    return [Processes(host)] if host.platform == "darwin" else []
