"""Names of controlling terminals."""

import pytest
from zeek_agent_linux._tty import parse_drivers, terminal

DRIVERS = parse_drivers(
    "/dev/console         /dev/console    5       1 system:console\n"
    "serial               /dev/ttyS       4 64-67 serial\n"
    "usbserial            /dev/ttyUSB   188 0-511 serial\n"
    "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
    "unknown              /dev/tty        4 1-63 console\n"
    "nonsense\n"
)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, None),
        (136 << 8 | 3, "pts/3"),
        (137 << 8 | 1, "pts/257"),
        (136 << 8 | 0x2C | 1 << 20, "pts/300"),
        (4 << 8 | 1, "tty1"),
        (4 << 8 | 65, "ttyS1"),
        (188 << 8 | 7, "ttyUSB7"),
        (5 << 8 | 1, "console"),
        (200 << 8 | 9, "200:9"),
    ],
)
def test_terminal_is_named_as_below_dev(number, name):
    """Device numbers become names, unknown ones stay numbers."""
    assert terminal(number, DRIVERS) == name
