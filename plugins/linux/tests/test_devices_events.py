"""Tests of ``devices_events``, with the kernel's own events."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from zeek_agent_linux import _uevent
from zeek_agent_linux.devices_events import DevicesEvents

from plugins.linux.tests.listening import Listener, made
from zeek_agent_core.api import Where
from zeek_agent_core.testing.conformance import check_table

LOOPBACK = "/sys/class/net/lo/uevent"


def trigger(action="change", path=LOOPBACK):
    """Let the kernel send an event of a device."""
    Path(path).write_text(action)


async def test_a_device_changes():
    """An event of the kernel comes with device and name."""
    async with Listener(made(DevicesEvents)) as found:
        trigger()
        await found.until(lambda: "lo" in found.values("name"))
        (row,) = [row for row in found.rows if row["name"] == "lo"]
        assert (row["action"], row["subsystem"]) == ("change", "net")
        assert row["path"] == "/devices/virtual/net/lo"
        assert found.table.source == "uevent"


INSIDE = """
import asyncio, subprocess
from zeek_agent_linux.devices_events import DevicesEvents
from plugins.linux.tests.listening import Listener, made

def ip(*arguments):
    subprocess.run(["ip", "link", *arguments], check=True)

async def main():
    async with Listener(made(DevicesEvents)) as found:
        ip("add", "za0", "type", "veth", "peer", "name", "za1")
        await found.until(lambda: "za0" in found.values("name"))
        ip("set", "za0", "name", "za2")
        ip("del", "za2")
        gone = ("remove", "za2")
        await found.until(lambda: gone in [(row["action"], row["name"]) for row in found.rows])
        for row in found.rows:
            if row["name"] in ("za0", "za2"):
                print(row["action"], row["name"], row["old_path"])

asyncio.run(main())
"""


def test_a_device_comes_and_goes():
    """A network device is added, renamed and removed, under its name."""
    command = ["unshare", "--net", sys.executable, "-c", INSIDE]
    root = Path(__file__).parents[3]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout
    assert lines.splitlines() == [
        "add za0 None",
        "move za2 /devices/virtual/net/za0",
        "remove za2 None",
    ]


async def test_conditions():
    """What no query wants is left out."""
    table = made(DevicesEvents)
    table.wanted = Where(table.everything().columns, allowed={"action": {"online"}})
    async with Listener(table) as found:
        trigger("change")
        trigger("online")
        await found.until(lambda: found.rows)
        assert found.values("action") == ["online"]


async def test_what_others_send_is_not_believed():
    """A message that does not come from the kernel is counted, and gives no row."""
    forged = b"add@/devices/evil\0ACTION=add\0DEVPATH=/devices/evil\0SUBSYSTEM=usb\0"
    async with Listener(made(DevicesEvents)) as found:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _uevent.KOBJECT_UEVENT) as other:
            other.bind((0, 0))
            other.sendto(forged, (0, _uevent.KERNEL_GROUP))
        trigger()
        await found.until(lambda: "lo" in found.values("name"))
        assert found.table.losses == {"forged": 1}
        assert "usb" not in found.values("subsystem")


def test_overflow_is_counted():
    """What did not fit into the socket's buffer is counted by the kernel's numbers."""
    uevents = _uevent.Uevents()
    uevents._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    trigger()
    uevents.receive()
    for _ in range(200):
        trigger()
    received = uevents.receive()
    trigger()
    later = uevents.receive()
    uevents.close()
    events = len(received.events) + len(later.events)
    assert received.lost + later.lost >= 201 - events > 0


async def test_what_is_there():
    """If it is asked for, the devices that are there come first."""
    async with Listener(made(DevicesEvents, initial=True)) as found:
        await found.until(lambda: "lo" in found.values("name"))
        assert set(found.values("action")) == {"present"}


async def test_a_burst():
    """Of 2,000 events each comes once."""
    table = made(DevicesEvents)
    async with Listener(table) as found:
        await asyncio.to_thread(lambda: [trigger() for _ in range(2000)])
        await found.until(lambda: found.values("name").count("lo") >= 2000)
        assert (found.values("name").count("lo"), table.losses) == (2000, {})


def test_conforms():
    """The table keeps the rules that all tables keep."""
    check_table(made(DevicesEvents))


@pytest.mark.parametrize("source", ["netlink"])
def test_a_source_that_is_none(source):
    """A wrong name of a source is refused at the start."""
    with pytest.raises(Exception, match=source):
        made(DevicesEvents, source=source).check_settings()
