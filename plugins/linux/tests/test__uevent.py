"""The kernel's events of devices."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _uevent

CAPTURED = (
    b"add@/devices/pci0000:00/usb1/1-2\0ACTION=add\0DEVPATH=/devices/pci0000:00/usb1/1-2\0"
    b"SUBSYSTEM=usb\0MAJOR=189\0MINOR=1\0DEVNAME=bus/usb/001/002\0DEVTYPE=usb_device\0"
    b"PRODUCT=781/5567/100\0TYPE=0/0/0\0BUSNUM=001\0DEVNUM=002\0SEQNUM=2361\0"
)
STICK = {"vendor_id": "0781", "product_id": "5567", "vendor": "SanDisk", "product": "Cruzer",
         "serial": "200435"}  # fmt: skip


@pytest.fixture
def sys(tmp_path):
    """Return a /sys with a memory stick in it."""
    stick = tmp_path / "devices/pci0000:00/usb1/1-2"
    disk = stick / "1-2:1.0/host0/target0/block/sdb"
    disk.mkdir(parents=True)
    for name, text in {
        "idVendor": "0781", "idProduct": "5567", "manufacturer": "SanDisk", "product": "Cruzer",
        "serial": "200435",
    }.items():  # fmt: skip
        (stick / name).write_text(f"{text}\n")
    (stick / "uevent").write_text("DEVTYPE=usb_device\nDEVNAME=bus/usb/001/002\n")
    devices = tmp_path / "bus/usb/devices"
    devices.mkdir(parents=True)
    (devices / "1-2").symlink_to(stick)
    (tmp_path / "class").mkdir()
    (stick / "subsystem").symlink_to(tmp_path / "bus/usb")
    return tmp_path


def test_captured(sys):
    """A memory stick comes with what it is, and where it is."""
    event = _uevent.parse(CAPTURED)
    row = _uevent.row(event, _uevent.Things(str(sys)).facts(event["DEVPATH"], event))
    assert {key: value for key, value in row.items() if value is not None} == {
        "action": "add",
        "subsystem": "usb",
        "type": "usb_device",
        "path": "/devices/pci0000:00/usb1/1-2",
        "name": "/dev/bus/usb/001/002",
        **STICK,
    }


def test_parts_belong_to_the_thing(sys):
    """The disk on a stick has the stick's vendor and serial number."""
    path = "/devices/pci0000:00/usb1/1-2/1-2:1.0/host0/target0/block/sdb"
    assert _uevent.Things(str(sys)).facts(path, {"ACTION": "add"}) == STICK


def test_what_is_gone_is_still_known(sys):
    """Of a stick that is pulled out it is known which one it was."""
    things = _uevent.Things(str(sys))
    things.learn()
    path = "/devices/pci0000:00/usb1/1-2"
    (sys / "devices").rename(sys / "away")
    assert things.facts(path, {"ACTION": "remove"}) == STICK
    assert things.facts(path, {"ACTION": "remove"}) == {}


def test_what_is_there(sys):
    """What is there already is told as by an event."""
    things = _uevent.Things(str(sys))
    (path,) = things.present()
    settings = things.settings(path)
    assert settings["SUBSYSTEM"] == "usb"
    assert settings["DEVNAME"] == "bus/usb/001/002"
    assert things.settings("/devices/none")["ACTION"] == "present"


@pytest.mark.parametrize(
    "message",
    [
        b"", b"libudev\0\xfe\xed", b"add\0ACTION=add", b"add@/a\0ACTION=remove\0DEVPATH=/a",
        b"add@/a\0ACTION=add\0DEVPATH=/b", b"add@/a",
    ],
)  # fmt: skip
def test_what_is_none_of_the_kernels(message):
    """What does not look like the kernel's is refused, udev's own messages too."""
    with pytest.raises(ValueError, match="event"):
        _uevent.parse(message)


@given(st.binary(max_size=100))
def test_nonsense(message):
    """Any message is an event or an error."""
    with contextlib.suppress(ValueError):
        assert "ACTION" in _uevent.parse(message)


def test_numbers_of_pci():
    """Vendor and product of PCI devices are known from the event."""
    found = _uevent.ids({"SUBSYSTEM": "pci", "PCI_ID": "8086:10D3"})
    assert found == {"vendor_id": "8086", "product_id": "10d3"}
