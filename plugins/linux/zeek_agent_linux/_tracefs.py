"""Trace events of the kernel, by way of an instance of one's own in tracefs.

Sources: Documentation/trace/ftrace.rst and events.rst, fsopen(2), fsmount(2).
An instance has its own buffers and events, so that others who trace are not
disturbed. It outlives its maker, so that one left behind by an agent that was
killed is found by its name and removed; the kernel does not let go of one that
somebody reads.
"""

import asyncio
import ctypes
import errno
import fcntl
import os
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import NamedTuple, Self

from zeek_agent_core.api import Host
from zeek_agent_linux import _procfs
from zeek_agent_linux._tracepage import Decoder, Event, PageReader, parse_format

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
INSTANCES = 8
"""So many agents may trace the same table at once."""
MEMORY = 32 << 20
"""Bytes of the kernel's memory for the buffers of all processors together, if that is enough."""
MOST, LEAST = 8192, 512
"""Bounds of the buffer of each processor, in KiB; 1 MiB holds some 20,000 events."""
PAGE = os.sysconf("SC_PAGE_SIZE")
LOCK_SECONDS = 2.0
"""How long to wait for another agent that makes its instance at this moment."""
SLICE = 64
"""Pages that are worked on before others have their turn."""

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # the same numbers on all architectures
_CLOEXEC, _CREATE = 1, 6


_CLOSED = select.epoll()
_CLOSED.close()


class Traced(NamedTuple):
    """A trace event to enable, and its fields that are read."""

    path: str
    """Below `events`."""
    fields: Sequence[str]


def open_tracefs(host: Host, *, may_mount: bool = True) -> int:
    """Return a descriptor of the directory; mount it for nobody else's eyes if need be.

    Such a mount has no place in the file system and goes with the descriptor.
    Raises `OSError` if there is none.
    """
    for place in PLACES:
        with suppress(OSError):
            directory = os.open(host.path(place), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.stat("instances", dir_fd=directory)
            except OSError:
                os.close(directory)
                raise
            return directory
    if not may_mount or host.prefix:
        raise OSError(errno.ENOENT, "tracefs is not mounted", PLACES[0])
    try:
        return _mount()
    except OSError as error:
        message = f"tracefs is not mounted, and to mount it is refused: {error.strerror}"
        raise OSError(error.errno, message) from error


def _mount() -> int:
    context = _call(_FSOPEN, b"tracefs", _CLOEXEC)
    try:
        _call(_FSCONFIG, context, _CREATE, None, None, 0)
        return _call(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)


def _call(number: int, *arguments: object) -> int:
    result = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


class Instance:
    """Some trace events of all processors, from when it is entered until it is left."""

    def __init__(
        self, host: Host, name: str, traced: Mapping[str, Traced], *, may_mount: bool = True
    ) -> None:
        """Get the events *traced*, by names of one's own; nothing happens yet."""
        self._host = host
        self._name = name
        self._traced = traced
        self._may_mount = may_mount
        self._root = -1
        self._path = ""
        self._files: dict[int, int] = {}
        self._is_made = False
        self._poll = _CLOSED
        self.names: dict[int, str] = {}
        """The names of *traced* by kind of event."""
        self.lost = 0
        """Events that the kernel had to drop, so far."""
        self._overrun: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        """Open it in a thread, as that takes 50 ms; `OSError` or `ValueError` if it cannot be."""
        opening = asyncio.get_running_loop().run_in_executor(None, self.open)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def open(self) -> None:
        """Make the instance and begin to trace."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._root = open_tracefs(self._host, may_mount=self._may_mount)
        self._poll = select.epoll()
        decoders = {}
        for name, (path, fields) in self._traced.items():
            record = parse_format(self._read(f"events/{path}/format"))
            self.names[record.kind] = name
            decoders[record.kind] = Decoder(record, fields)
        self._reader = PageReader(self._read("events/header_page"), decoders)
        with self._alone():
            self._make()
            self._open_processors()
        self._write("buffer_size_kb", str(buffer_size(os.sysconf("SC_NPROCESSORS_CONF"))))
        self._write("trace_clock", "boot")
        with suppress(OSError):  # older kernels wake at the first event anyway
            self._write("buffer_percent", "0")
        with suppress(OSError):  # nobody asks for the names of those who are traced
            self._write("options/record-cmd", "0")
        self._watch_processors()
        for path, _ in self._traced.values():
            self._write(f"events/{path}/enable", "1")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other agents from taking an instance for left behind while nobody reads it yet.

        One that stands still at that very moment is not waited for.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        directory = os.open("instances", flags, dir_fd=self._root)
        try:
            end = monotonic() + LOCK_SECONDS
            while monotonic() < end:
                with suppress(BlockingIOError):
                    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                sleep(0.01)
            yield
        finally:
            os.close(directory)

    def _make(self) -> None:
        """Make a directory for the instance in place of what was left behind."""
        for number in range(1, INSTANCES + 1):
            path = f"instances/{self._name}" + (f"-{number}" if number > 1 else "")
            try:
                os.rmdir(path, dir_fd=self._root)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    continue  # another agent reads it
                if error.errno not in {errno.ENOENT, errno.ENODEV}:  # there is none, any more
                    raise
            os.mkdir(path, 0o700, dir_fd=self._root)
            self._path, self._is_made = path, True
            return
        raise OSError(errno.EBUSY, f"{INSTANCES} agents trace already")

    def _open_processors(self) -> None:
        """Read from those processors that are there by now."""
        for number in online(f"{self._host.prefix}/sys/devices/system/cpu/online"):
            if number not in self._files:
                path = f"{self._path}/per_cpu/cpu{number}/trace_pipe_raw"
                flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
                self._files[number] = os.open(path, flags, dir_fd=self._root)

    def _watch_processors(self) -> None:
        """Wake up when one of them has events: at the first, if `buffer_percent` is set by now."""
        for file in self._files.values():
            with suppress(FileExistsError):
                self._poll.register(file, select.EPOLLIN)

    def filter(self, name: str, text: str) -> None:
        """Let pass only such events of one of the *traced* that *text* admits; all if empty.

        May take 20 ms, as the kernel waits for those who are at it.
        """
        self._write(f"events/{self._traced[name].path}/filter", text or "0")

    def close(self) -> None:
        """Stop tracing and remove the instance; again is no harm."""
        if self._is_made:
            for path, _ in self._traced.values():
                with suppress(OSError):
                    self._write(f"events/{path}/enable", "0")
        if self._is_made:
            with suppress(OSError), self._alone():
                self._close_files()
                self._is_made = False
                os.rmdir(self._path, dir_fd=self._root)
        self._close_files()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _close_files(self) -> None:
        self._poll.close()
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def fileno(self) -> int:
        """Return the descriptor, to wait for events."""
        return self._poll.fileno()

    def read(self) -> Iterator[list[Event]]:
        """Yield all events that wait, some pages at a time, by processor; stale ones first."""
        if len(self._files) != os.sysconf("SC_NPROCESSORS_ONLN"):
            self._open_processors()
            self._watch_processors()
        for processor, file in self._files.items():
            while True:
                events: list[Event] = []
                more = self._read_pages(processor, file, events)
                yield events
                if not more:
                    break

    def _read_pages(self, processor: int, file: int, events: list[Event]) -> bool:
        """Add the events of up to `SLICE` pages; return whether there may be more."""
        for _ in range(SLICE):
            try:
                page = os.read(file, PAGE)
            except BlockingIOError:
                return False
            if not page:
                return False
            if self._reader.read(page, events) != 0:
                self._count(processor)
        return True

    def _count(self, processor: int) -> None:
        """Add to `lost` what the buffer of a processor has dropped since the last time."""
        text = self._read(f"{self._path}/per_cpu/cpu{processor}/stats")
        for line in text.splitlines():
            word, _, value = line.partition(":")
            if word == "overrun":
                before = self._overrun.get(processor, 0)
                self._overrun[processor] = int(value)
                self.lost += max(int(value) - before, 0)

    def _read(self, path: str) -> str:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)
        with os.fdopen(file, encoding="ascii", errors="replace") as opened:
            return opened.read()

    def _write(self, name: str, text: str) -> None:
        """Write to a file of the instance."""
        path = f"{self._path}/{name}"
        file = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, dir_fd=self._root)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def buffer_size(processors: int) -> int:
    """Return the KiB of buffer for each of some *processors*."""
    return max(LEAST, min(MOST, (MEMORY >> 10) // processors))


def online(path: str) -> list[int]:
    """Return the numbers of the processors that run; one if that is not known."""
    try:
        return parse_list(_procfs.read(path).decode())
    except (OSError, ValueError):
        return [0]


def parse_list(text: str) -> list[int]:
    """Return the numbers in a list such as `0-3,8`, as in cpuset(7)."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
