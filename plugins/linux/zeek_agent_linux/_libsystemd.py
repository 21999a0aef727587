"""Reads systemd's journal with its own library, through ctypes.

Sources: sd-journal(3) and the pages it names. A journal must be used by one
thread only, and not after a fork.
"""

import ctypes
import os
from collections.abc import Iterable, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Self

from zeek_agent_linux._entries import LONGEST, Step

LIBRARY = "libsystemd.so.0"
LOCAL_ONLY = 1

_Pointer = ctypes.c_void_p
_Size = ctypes.c_size_t
_OUT_POINTER = ctypes.POINTER(ctypes.c_void_p)
_VOID = ("close", "flush_matches", "restart_data")

# What may wait for the disk lets other threads run meanwhile; what looks at the
# entry at hand does not: to give up and regain the interpreter would cost more.
_SLOW = {
    "open": [_OUT_POINTER, ctypes.c_int],
    "open_directory": [_OUT_POINTER, ctypes.c_char_p, ctypes.c_int],
    "close": [_Pointer],
    "get_fd": [_Pointer],
    "reliable_fd": [_Pointer],
    "process": [_Pointer],
    "next": [_Pointer],
    "previous_skip": [_Pointer, ctypes.c_uint64],
    "seek_head": [_Pointer],
    "seek_tail": [_Pointer],
    "seek_cursor": [_Pointer, ctypes.c_char_p],
    "seek_realtime_usec": [_Pointer, ctypes.c_uint64],
    "test_cursor": [_Pointer, ctypes.c_char_p],
    "set_data_threshold": [_Pointer, _Size],
    "add_match": [_Pointer, ctypes.c_char_p, _Size],
    "flush_matches": [_Pointer],
}
# These are called for each entry, with pointers of the right types only: to have
# the arguments converted would double what a call costs.
_QUICK = ("get_data", "restart_data", "enumerate_data", "get_realtime_usec", "get_cursor")


class Library:
    """The functions of the library that are used, by their name without `sd_journal_`."""

    def __init__(self) -> None:
        """Load the library; raise `OSError` if it is not there."""
        slow, quick = ctypes.CDLL(LIBRARY), ctypes.PyDLL(LIBRARY)
        for name, arguments in _SLOW.items():
            function = getattr(slow, f"sd_journal_{name}")
            function.argtypes = arguments
            setattr(self, name, function)
        for name in _QUICK:
            setattr(self, name, getattr(quick, f"sd_journal_{name}"))
        for name in _VOID:
            getattr(self, name).restype = None
        self.free = ctypes.CDLL(None).free
        self.free.argtypes = [_Pointer]
        self.free.restype = None

    def __getattr__(self, name: str) -> Any:
        """Say that the library lacks a function; this is for the type checker."""
        raise AttributeError(name)


@cache
def load() -> Library:
    """Return the library, loaded once; raise `OSError` if it is not there or too old."""
    try:
        return Library()
    except AttributeError as error:
        raise OSError(f"{LIBRARY} is too old: {error}") from error


class Journal:
    """An open journal, standing between two entries; a context manager."""

    def __init__(self, directory: str = "") -> None:
        """Open the files in *directory*, or those of this host; raise `OSError`."""
        self._lib = load()
        self._handle = ctypes.c_void_p()
        reference = ctypes.byref(self._handle)
        if directory:
            result = self._lib.open_directory(reference, os.fsencode(directory), 0)
        else:
            result = self._lib.open(reference, LOCAL_ONLY)
        _checked(result, directory or "the journal")
        self._lib.set_data_threshold(self._handle, LONGEST)
        self._data, self._size = ctypes.c_size_t(), ctypes.c_size_t()
        self._data_reference = ctypes.byref(self._data)
        self._size_reference = ctypes.byref(self._size)
        self._number = ctypes.c_uint64()
        self._number_reference = ctypes.byref(self._number)

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the journal; twice is fine."""
        if self._handle:
            self._lib.close(self._handle)
            self._handle = ctypes.c_void_p()

    def fileno(self) -> int:
        """Return the descriptor that is readable after a change."""
        return _checked(self._lib.get_fd(self._handle), "the journal")

    @property
    def is_reliable(self) -> bool:
        """Whether the descriptor tells of all changes; on a network file system it does not."""
        return bool(self._lib.reliable_fd(self._handle) > 0)

    def process(self) -> None:
        """Take note of what changed; needed after the descriptor was readable."""
        _checked(self._lib.process(self._handle), "the journal")

    def next(self) -> bool:
        """Move to the next entry; return whether there is one."""
        result = self._lib.next(self._handle)
        return result > 0 or _checked(result, "the journal") > 0

    def seek_cursor(self, cursor: str) -> bool:
        """Move to the entry at *cursor*, or behind the gap where it was; return if it is there."""
        text = cursor.encode()
        _checked(self._lib.seek_cursor(self._handle, text), f"cursor {cursor!r}")
        return self.next() and self._lib.test_cursor(self._handle, text) > 0

    def seek_time(self, microseconds: int) -> None:
        """Move before the first entry of that time or later, in µs since the epoch."""
        _checked(self._lib.seek_realtime_usec(self._handle, microseconds), "the journal")

    def seek_end(self, before: int = 0) -> None:
        """Move behind the last entry, or so many entries *before* that."""
        _checked(self._lib.seek_tail(self._handle), "the journal")
        skip = before + 1
        if _checked(self._lib.previous_skip(self._handle, skip), "the journal") < skip:
            _checked(self._lib.seek_head(self._handle), "the journal")

    def match(self, alternatives: Iterable[Sequence[bytes]]) -> None:
        """See only entries that have, of each of *alternatives*, one `FIELD=value`."""
        self._lib.flush_matches(self._handle)
        for terms in alternatives:
            for term in terms:
                _checked(self._lib.add_match(self._handle, term, len(term)), "the journal")

    def get(self, field: bytes) -> bytes | None:
        """Return the value of *field* in the entry at hand, the first if there are several."""
        lib, handle = self._lib, self._handle
        if lib.get_data(handle, field, self._data_reference, self._size_reference):
            return None
        skip = len(field) + 1
        return ctypes.string_at(self._data.value + skip, self._size.value - skip)

    def fill(self, row: dict[str, Any], steps: Iterable[Step]) -> None:
        """Put into *row* what *steps* read of the entry at hand; in one loop, as calls cost."""
        get_data, handle, string_at = self._lib.get_data, self._handle, ctypes.string_at
        data, size = self._data, self._size
        data_reference, size_reference = self._data_reference, self._size_reference
        for column, convert, field, skip, others in steps:
            if get_data(handle, field, data_reference, size_reference) == 0:
                row[column] = convert(string_at(data.value + skip, size.value - skip))
            elif others:
                values = (value for value in map(self.get, others) if value is not None)
                row[column] = next(map(convert, values), None)

    def all(self) -> list[tuple[bytes, bytes]]:
        """Return all fields of the entry at hand, in order, with their values."""
        found = []
        self._lib.restart_data(self._handle)
        while (
            self._lib.enumerate_data(self._handle, self._data_reference, self._size_reference) > 0
        ):
            raw = ctypes.string_at(self._data.value, self._size.value)
            field, _, value = raw.partition(b"=")
            found.append((field, value))
        return found

    def time(self) -> int:
        """Return when the entry at hand was taken, in µs since the epoch."""
        result = self._lib.get_realtime_usec(self._handle, self._number_reference)
        if result:
            _checked(result, "the journal")
        return self._number.value

    def cursor(self) -> str:
        """Return the place of the entry at hand."""
        text = ctypes.c_void_p()
        _checked(self._lib.get_cursor(self._handle, ctypes.byref(text)), "the journal")
        try:
            return ctypes.string_at(text.value or 0).decode()
        finally:
            self._lib.free(text)


def _checked(result: int, what: str) -> int:
    """Return *result* unless it is a negative error number."""
    if result < 0:
        raise OSError(-result, os.strerror(-result), what)
    return int(result)
