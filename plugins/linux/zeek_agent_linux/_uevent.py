"""The kernel's device events: parses them, and looks up the thing in sysfs.

Sources: lib/kobject_uevent.c of the kernel, sysfs-bus-usb in Documentation/ABI.
"""

import errno
import os
import socket
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zeek_agent_core.api import Row, text

KOBJECT_UEVENT = 15
"""Netlink family; the socket module has no name for it."""
KERNEL_GROUP = 1
"""Group to which the kernel sends; udev repeats on group 2."""
SO_RCVBUFFORCE = 33
BUFFER = 8 << 20
_MESSAGE = 1 << 14
AT_ONCE = 500
"""Events that are taken at one time."""
_KNOWN = 10_000
"""Things whose description is kept for the moment when they go."""

Settings = Mapping[str, str]
"""What an event says, such as `DEVPATH`."""

Facts = Mapping[str, str]
"""Columns that describe a thing."""


def parse(message: bytes) -> Settings:
    """Return what one event says; raise `ValueError` if it is none of the kernel's."""
    header, *lines = message.rstrip(b"\0").split(b"\0")
    if b"@" not in header:
        raise ValueError(f"no event of the kernel: {header[:40]!r}")
    settings = dict(text(line).partition("=")[::2] for line in lines if b"=" in line)
    action, _, path = text(header).partition("@")
    if settings.get("ACTION") != action or settings.get("DEVPATH") != path:
        raise ValueError(f"an event that contradicts itself: {header[:40]!r}")
    return settings


class Received(NamedTuple):
    """What was taken from the socket."""

    events: list[Settings]
    lost: int
    forged: int
    """Messages that did not come from the kernel, or make no sense."""


class Uevents:
    """The socket on which the kernel tells of devices."""

    def __init__(self) -> None:
        """Open it; raise `OSError`."""
        made = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, KOBJECT_UEVENT
        )
        try:
            made.settimeout(0)
            try:
                made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            except PermissionError:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            made.bind((0, KERNEL_GROUP))
        except BaseException:
            made.close()
            raise
        self._socket = made
        self._last: int | None = None
        self._overflowed = False

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return self._socket.fileno()

    def receive(self) -> Received:
        """Return events that wait, not too many at one time."""
        events: list[Settings] = []
        lost = forged = 0
        while len(events) + forged < AT_ONCE:
            try:
                message, (sender, _) = self._socket.recvfrom(_MESSAGE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._overflowed = True
                continue
            try:
                event = parse(message) if sender == 0 else None
            except ValueError:
                event = None
            if event is None:
                forged += 1
                continue
            lost += self._missed(event)
            events.append(event)
        return Received(events, lost, forged)

    def _missed(self, event: Settings) -> int:
        """Return how many events were lost before *event*.

        The numbers count those of other network namespaces too, so a gap means
        something only after an overflow; what was queued before it comes first.
        """
        number = event.get("SEQNUM", "")
        sequence = int(number) if number.isdecimal() else None
        last, self._last = self._last, sequence
        if not self._overflowed or sequence is None or last is None:
            return 0
        missed = max(sequence - last - 1, 0)
        self._overflowed = missed == 0
        return missed


class Things:
    """Knows, by their path, the things that devices belong to."""

    def __init__(self, sys: str) -> None:
        """Look below the directory *sys*."""
        self._sys = sys
        self._known: OrderedDict[str, Facts] = OrderedDict()

    def learn(self) -> None:
        """Look at all there is on the buses, so that it can be described when it goes."""
        for path in self.present():
            self.facts(path, {})

    def present(self) -> Iterator[str]:
        """Yield the paths of the devices that are there."""
        for links in ("bus/*/devices/*", "class/block/*", "class/net/*"):
            for link in sorted(Path(self._sys).glob(links)):
                real = os.path.realpath(link)
                if real.startswith(f"{self._sys}/devices/"):
                    yield real.removeprefix(self._sys)

    def settings(self, path: str) -> Settings:
        """Return for a device that is there what an event would say."""
        directory = Path(self._sys + path)
        settings = {"DEVPATH": path, "ACTION": "present"}
        try:
            settings["SUBSYSTEM"] = (directory / "subsystem").resolve(strict=True).name
            lines = (directory / "uevent").read_bytes().splitlines()
            settings |= dict(text(line).partition("=")[::2] for line in lines)
        except OSError:  # gone meanwhile
            pass
        return settings

    def facts(self, path: str, settings: Settings) -> Facts:
        """Return the columns that describe what the device at *path* belongs to."""
        known = self._known.get(path)
        action = settings.get("ACTION")
        if known is not None and action == "remove":
            return self._known.pop(path)
        found = {**(known or {}), **self._look(path), **ids(settings)}
        if found and action != "remove":
            self._known[path] = found
            self._known.move_to_end(path)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return found

    def _look(self, path: str) -> dict[str, str]:
        """Return what sysfs tells, of the device itself or the nearest thing it is part of."""
        found: dict[str, str] = {}
        while path.count("/") > 1:
            directory = f"{self._sys}{path}"
            for column, names in _ATTRIBUTES.items():
                if column not in found and (value := self._first(directory, names)):
                    found[column] = value
            if _is_thing(found):
                return found
            path = path.rpartition("/")[0]
        return found if "vendor" in found or "serial" in found else {}

    @staticmethod
    def _first(directory: str, names: tuple[str, ...]) -> str | None:
        for name in names:
            try:
                file = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                value = text(os.read(file, 256)).strip()
            except OSError:
                continue
            finally:
                os.close(file)
            if value:
                return value.removeprefix("0x")
        return None


_ATTRIBUTES = {
    "vendor_id": ("idVendor",),
    "product_id": ("idProduct",),
    "vendor": ("manufacturer",),
    "product": ("product", "model"),
    "serial": ("serial",),
}
"""Files in sysfs that tell of a column."""


def _is_thing(found: Facts) -> bool:
    return "vendor_id" in found


def ids(settings: Settings) -> dict[str, str]:
    """Return vendor and product by their numbers, as events of the USB and PCI buses have them."""
    product, pci = settings.get("PRODUCT", "").split("/"), settings.get("PCI_ID", "").split(":")
    if len(product) == 3 and settings.get("SUBSYSTEM") == "usb":  # noqa: PLR2004 - and a version
        return {"vendor_id": product[0].zfill(4), "product_id": product[1].zfill(4)}
    if len(pci) == 2:  # noqa: PLR2004
        return {"vendor_id": pci[0].lower(), "product_id": pci[1].lower()}
    return {}


def row(settings: Settings, facts: Facts) -> Row:
    """Return the row of an event."""
    subsystem = settings.get("SUBSYSTEM")
    name = settings.get("INTERFACE")
    if name is None and "DEVNAME" in settings:
        name = "/dev/" + settings["DEVNAME"].removeprefix("/dev/")
    return {
        "action": settings.get("ACTION"),
        "subsystem": subsystem,
        "type": settings.get("DEVTYPE"),
        "path": settings.get("DEVPATH"),
        "old_path": settings.get("DEVPATH_OLD"),
        "name": name,
        "driver": settings.get("DRIVER"),
        **facts,
    }
