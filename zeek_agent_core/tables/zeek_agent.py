"""``zeek_agent``: the agent and its host, in one row."""

import ipaddress
import os
import platform as system
import socket
import time
from collections.abc import Iterator

from zeek_agent_core import __version__
from zeek_agent_core.api import Column, Host, Row, Snapshot, Type, Where, hookimpl
from zeek_agent_core.identity import version_number

PLATFORM_NAMES = {"linux": "Linux", "darwin": "Darwin", "windows": "Windows"}


class ZeekAgent(Snapshot):
    """The agent and the host it runs on, in one row.

    Its columns are also the facts that the agent tells Zeek in its hello.
    """

    name = "zeek_agent"
    columns = (
        Column("id", Type.TEXT, "id of the agent, kept over restarts"),
        Column("instance", Type.TEXT, "id of this run of the agent, new at each start"),
        Column("hostname", Type.TEXT, "name of the host"),
        Column(
            "addresses",
            Type.SET,
            "addresses of the host's interfaces, without loopback and link-local ones",
            element=Type.ADDRESS,
        ),
        Column("platform", Type.TEXT, "`Linux`, `Darwin` or `Windows`"),
        Column("os_name", Type.TEXT, "name and version of the operating system"),
        Column("kernel_name", Type.TEXT, "name of the kernel"),
        Column("kernel_version", Type.TEXT, "release of the kernel"),
        Column("kernel_arch", Type.TEXT, "processor architecture the kernel is built for"),
        Column("agent_version", Type.COUNT, "version as a number: 3.0.0 is 300000000"),
        Column("broker", Type.TEXT, "version of what connects to Zeek; `n/a` without connection"),
        Column("uptime", Type.INTERVAL, "time since the agent started"),
        Column("tables", Type.SET, "names of the tables available now", element=Type.TEXT),
    )
    volatile = frozenset({"uptime"})
    examples = ("SELECT hostname, os_name, seconds(uptime) FROM zeek_agent",)

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the one row; facts that cost something only where they are wanted."""
        agent = self.host.agent
        row = {
            "id": agent.id,
            "instance": agent.instance,
            "hostname": socket.gethostname(),
            "platform": PLATFORM_NAMES[self.host.platform],
            "agent_version": version_number(__version__),
            "broker": agent.transport,
            "uptime": max(time.time_ns() - int(agent.started * 1e9), 0),
            **kernel(),
        }
        if where.wants("os_name"):
            row["os_name"] = os_name(self.host)
        if where.wants("addresses"):
            row["addresses"] = addresses()
        if where.wants("tables"):
            row["tables"] = {table["name"] for table in agent.tables()}
        yield row


def kernel() -> Row:
    """Return the columns that uname(2) fills; none on Windows."""
    if not hasattr(os, "uname"):
        return {}
    facts = os.uname()
    return {
        "kernel_name": facts.sysname,
        "kernel_version": facts.release,
        "kernel_arch": facts.machine,
    }


def os_name(host: Host) -> str | None:
    """Return what os-release(5) calls the system, or what the platform says."""
    if host.platform == "darwin":
        return f"macOS {system.mac_ver()[0]}"
    if host.platform == "windows":
        return f"Windows {system.release()} {system.version()}"
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            text = host.path(path).read_text(errors="replace")
        except OSError:
            continue
        settings = dict(line.partition("=")[::2] for line in text.splitlines())
        for key in ("PRETTY_NAME", "NAME", "ID"):
            if settings.get(key):
                return settings[key].strip("\"'")
    return None


def addresses() -> set[str] | None:
    """Return the addresses by which others may know the host; None if there are none."""
    import psutil  # noqa: PLC0415 - 10 ms that few statements need

    families = (socket.AF_INET, socket.AF_INET6)
    found = set()
    for interface in psutil.net_if_addrs().values():
        for entry in interface:
            if entry.family not in families:
                continue
            address = ipaddress.ip_address(entry.address.partition("%")[0])
            if not (address.is_loopback or address.is_link_local):
                found.add(str(address))
    return found or None


@hookimpl
def zeek_agent_tables(host: Host) -> list[ZeekAgent]:
    """Offer the table everywhere."""
    return [ZeekAgent(host)]
