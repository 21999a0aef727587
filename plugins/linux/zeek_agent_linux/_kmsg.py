"""Reads the kernel's own log at ``/dev/kmsg``.

Source: Documentation/ABI/testing/dev-kmsg of the kernel.
"""

import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

PATH = "/dev/kmsg"
_RECORD = 8192
"""A read takes one record; one that is longer cannot be read at all."""
_HEAD = re.compile(rb"(\d+),(\d+),(\d+),([^;]*);([^\n]*)")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


class Record(NamedTuple):
    """One message."""

    level: int
    """Severity, 0 to 7."""
    facility: int
    sequence: int
    """Number of the message since boot."""
    microseconds: int
    """Since boot."""
    message: bytes


def parse(raw: bytes) -> Record:
    """Return the message in one record; raise `ValueError` if it is none."""
    match = _HEAD.match(raw)
    if match is None:
        raise ValueError(f"no kernel message: {raw[:40]!r}")
    priority, sequence, microseconds = (int(match[number]) for number in (1, 2, 3))
    message = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), match[5])
    return Record(priority & 7, priority >> 3, sequence, microseconds, message)


class Kmsg:
    """The kernel's log, read from a message on."""

    def __init__(self, path: str, sequence: int | None) -> None:
        """Begin behind message *sequence*, or with all there are; raise `OSError`."""
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._last = sequence

    def close(self) -> None:
        """Read no more."""
        os.close(self.descriptor)

    def read(self) -> Iterator[tuple[Record | None, int]]:
        """Yield the messages that wait, each with how many were lost before it.

        None is a record that makes no sense.
        """
        while True:
            try:
                raw = os.read(self.descriptor, _RECORD)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:  # overwritten; the next sequence tells how many
                    continue
                if error.errno != errno.EINVAL:  # longer than the buffer: it is left out
                    raise
                yield None, 1
                continue
            try:
                record = parse(raw)
            except ValueError:
                yield None, 1
                continue
            last, sequence = self._last, record.sequence
            if last is not None and sequence <= last:
                continue
            self._last = sequence
            yield record, 0 if last is None else sequence - last - 1
