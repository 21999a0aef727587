"""Reads the ring buffer through which programs hand over events.

Source: Documentation/bpf/ringbuf.rst and kernel/bpf/ringbuf.c of the kernel.
The buffer is mapped twice in a row, so that no record is ever split.
"""

import mmap
import struct
import threading
from typing import NamedTuple

from zeek_agent_linux._bpf import syscall
from zeek_agent_linux._bpf.descriptors import Descriptors

PAGE = mmap.PAGESIZE
BUSY, DISCARDED = 1 << 31, 1 << 30
HEAD = 8
POSITION = struct.Struct("=Q")


class Records(NamedTuple):
    """Records in a buffer: where each begins, and how long it is."""

    buffer: bytes
    places: list[tuple[int, int]]

    def split(self) -> list[bytes]:
        """Return the records one by one."""
        return [self.buffer[at : at + length] for at, length in self.places]


class Ring:
    """A ring buffer in the kernel, and its mapping."""

    def __init__(self, size: int) -> None:
        """Make one of *size* bytes, a power of two and a multiple of the page."""
        self._files = Descriptors()
        self.fd = self._files.add(syscall.create_map(syscall.RINGBUF, 0, 0, size))
        self._size = size
        self._lock = threading.Lock()
        try:
            self._consumer = mmap.mmap(self.fd, PAGE)
            try:
                self._data = mmap.mmap(self.fd, PAGE + 2 * size, prot=mmap.PROT_READ, offset=PAGE)
            except OSError:
                self._consumer.close()
                raise
        except OSError:
            self._files.close()
            raise

    def read(self, most: int) -> Records:
        """Return the oldest records, about *most* bytes of them, and make room for others."""
        begin: int = POSITION.unpack_from(self._consumer)[0]
        end: int = POSITION.unpack_from(self._data)[0]
        self._fence()
        start = PAGE + begin % self._size
        raw = self._data[start : start + min(end - begin, most)]
        places, used = parse_records(raw)
        if not places and not used and len(raw) == most and end > begin:
            return self.read(min(2 * most, self._size))  # a record longer than that
        self._fence()
        POSITION.pack_into(self._consumer, 0, begin + used)
        return Records(raw, places)

    def _fence(self) -> None:
        """Let reads and writes before this be done before those after it, on any processor.

        To take a lock and let it go is what Python has for that.
        """
        with self._lock:
            pass
        with self._lock:
            pass

    def close(self) -> None:
        """Let go of the mapping and of the buffer; twice is fine."""
        if self.fd >= 0:
            self._consumer.close()
            self._data.close()
            self._files.close()
            self.fd = -1


def parse_records(raw: bytes) -> tuple[list[tuple[int, int]], int]:
    """Return the places of the whole records that *raw* begins with, and how far they reach.

    A record still being written ends them, and so does one that is cut.
    """
    places: list[tuple[int, int]] = []
    offset, end = 0, len(raw)
    words = memoryview(raw[: end & ~7]).cast("I")
    while offset + HEAD <= end:
        length = words[offset >> 2]
        size = length
        if length >= DISCARDED:  # or busy
            if length >= BUSY:
                break
            size &= ~DISCARDED
        place = offset + HEAD
        if place + size > end:
            break
        if size == length:
            places.append((place, size))
        offset = min(place + size + 7 & ~7, end)
    return places, offset
