"""Names of controlling terminals.

``stat`` holds a device number; ``/proc/tty/drivers`` says which driver has it.
Sources: proc(5), fs/proc/proc_tty.c and Documentation/admin-guide/devices.txt.
"""

from typing import NamedTuple

PTS = range(136, 144)
"""Major numbers of pseudo-terminals."""
CONSOLE = 4
CONSOLES = 64
"""Major number, and how many minor numbers, of virtual consoles."""
DRIVER_WORDS = 4


class Driver(NamedTuple):
    """Terminals of one kind: devices of one major number, in a row."""

    base: str
    major: int
    first: int
    last: int


def device(number: int) -> tuple[int, int]:
    """Return major and minor from the form that ``stat`` uses (new_encode_dev)."""
    number &= 0xFFFFFFFF
    return number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00


def parse_drivers(text: str) -> list[Driver]:
    """Return the drivers in ``/proc/tty/drivers``."""
    drivers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < DRIVER_WORDS or not words[-3].isdecimal():
            continue
        first, _, last = words[-2].partition("-")
        base = words[-4].removeprefix("/dev/")
        drivers.append(Driver(base, int(words[-3]), int(first), int(last or first)))
    return drivers


def terminal(number: int, drivers: list[Driver]) -> str | None:
    """Return the name below ``/dev`` of a terminal; None for 0, which means none."""
    if not number:
        return None
    major, minor = device(number)
    if major in PTS:
        return f"pts/{(major - PTS.start) * 256 + minor}"
    if (
        major == CONSOLE and minor < CONSOLES
    ):  # consoles count from 1, or from 0 for the current one
        return f"tty{minor}"
    for driver in drivers:
        if driver.major == major and driver.first <= minor <= driver.last:
            single = driver.first == driver.last
            return driver.base if single else f"{driver.base}{minor - driver.first}"
    return f"{major}:{minor}"
