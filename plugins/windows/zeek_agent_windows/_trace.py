"""Reads providers of Event Tracing in real time, through ctypes."""

import ctypes
import errno
import struct
import sys
import threading
from collections.abc import Sequence
from typing import NamedTuple

from zeek_agent_windows._blocking import Reader
from zeek_agent_windows._layouts import (
    EnableTraceParameters,
    EventFilterDescriptor,
    EventRecord,
    EventTraceLogfile,
    EventTraceProperties,
    Guid,
)
from zeek_agent_windows._tracing import Record

MOST = 100_000
"""Events that may wait to be read."""
QUERY, STOP = 0, 1
ENABLE = 1
REAL_TIME, EVENT_RECORDS = 0x100, 0x1000_0000
TRACED_GUID = 0x2_0000
LEVEL_INFORMATION = 4
PERFORMANCE_COUNTER = 1
ALREADY_EXISTS = 183
INVALID = 0xFFFF_FFFF_FFFF_FFFF
BUFFER_KB, BUFFERS = 64, (16, 128)
EXTRA = 2 * 1024
"""Room for the name behind the properties."""
JOIN_SECONDS = 0.5


class Provider(NamedTuple):
    """What is traced."""

    guid: bytes
    keywords: int
    events: tuple[int, ...]
    """IDs of the events that are wanted; the kernel leaves out all others."""


class Batch(NamedTuple):
    """What a trace gives."""

    records: Sequence[Record]
    lost: int
    """Events that were lost before them, by the kernel or for want of a reader."""


def trace(name: str, providers: Sequence[Provider]) -> Reader:
    """Return a reader of `Batch`, for a session called *name*."""
    if sys.platform == "win32":
        return Trace(name, providers)
    raise OSError(errno.ENOSYS, "this exists on Windows only")


class Queue:
    """Takes events from the thread that has them, for the one that wants them."""

    def __init__(self, most: int = MOST) -> None:
        """Hold *most* events."""
        self._most = most
        self._records: list[Record] = []
        self._ready = threading.Condition()
        self._lost = 0

    def put(self, record: Record) -> None:
        """Add an event, or count it as lost."""
        with self._ready:
            if len(self._records) >= self._most:
                self._lost += 1
                return
            self._records.append(record)
            if len(self._records) == 1:
                self._ready.notify()

    def take(self, seconds: float) -> Batch:
        """Return what there is, waiting for it."""
        with self._ready:
            if not self._records:
                self._ready.wait(seconds)
            batch = Batch(self._records, self._lost)
            self._records, self._lost = [], 0
            return batch


def properties(name: str) -> "ctypes.Array[ctypes.c_char]":
    """Return a buffer with the properties of a session, with room for its name."""
    size = ctypes.sizeof(EventTraceProperties)
    if len(name) * 2 + 2 > EXTRA:
        raise ValueError("the name of a session is too long")
    buffer = ctypes.create_string_buffer(size + EXTRA)
    made = EventTraceProperties.from_buffer(buffer)
    made.Wnode.BufferSize = len(buffer)
    made.Wnode.Flags = TRACED_GUID
    made.Wnode.ClientContext = PERFORMANCE_COUNTER
    made.BufferSize = BUFFER_KB
    made.MinimumBuffers, made.MaximumBuffers = BUFFERS
    made.LogFileMode = REAL_TIME
    made.FlushTimer = 1
    made.LoggerNameOffset = size
    return buffer


FILTER_EVENT_ID, PARAMETERS_VERSION = 0x8000_0200, 2
MOST_FILTERED = 64
"""Events that a filter can have."""


def event_filter(events: Sequence[int]) -> bytes:
    """Return an `EVENT_FILTER_EVENT_ID` that lets *events* pass; see ``<evntprov.h>``."""
    if not 0 < len(events) <= MOST_FILTERED:
        raise ValueError(f"a filter has 1 to {MOST_FILTERED} events, not {len(events)}")
    return struct.pack(f"<BBH{len(events)}H", 1, 0, len(events), *events)


def lost(buffer: "ctypes.Array[ctypes.c_char]") -> int:
    """Return how many events and buffers a session has lost, by its properties."""
    made = EventTraceProperties.from_buffer(buffer)
    return int(made.EventsLost) + int(made.RealTimeBuffersLost)


if sys.platform == "win32":
    Callback = ctypes.WINFUNCTYPE(None, ctypes.POINTER(EventRecord))

    class Trace:
        """A session of its own, which outlives a process that is killed: an old one is ended."""

        def __init__(self, name: str, providers: Sequence[Provider]) -> None:
            """Trace *providers* once opened."""
            self._name, self._providers = name, providers
            self._wanted = frozenset(event for each in providers for event in each.events)
            self._queue = Queue()
            self._session = ctypes.c_uint64()
            self._trace = ctypes.c_uint64(INVALID)
            self._thread: threading.Thread | None = None
            self._told = 0
            self._callback = Callback(self._received)
            self._ended = 0
            self._api = ctypes.WinDLL("advapi32")
            self._declare()

        def _declare(self) -> None:
            handle, pointer, dword = ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint32
            for name, result, *arguments in (
                ("StartTraceW", dword, ctypes.POINTER(handle), ctypes.c_wchar_p, pointer),
                ("ControlTraceW", dword, handle, ctypes.c_wchar_p, pointer, dword),
                (
                    "EnableTraceEx2", dword, handle, ctypes.POINTER(Guid), dword, ctypes.c_uint8,
                    handle, handle, dword, pointer,
                ),
                ("OpenTraceW", handle, ctypes.POINTER(EventTraceLogfile)),
                ("ProcessTrace", dword, ctypes.POINTER(handle), dword, pointer, pointer),
                ("CloseTrace", dword, handle),
            ):  # fmt: skip
                function = getattr(self._api, name)
                function.restype, function.argtypes = result, arguments

        def open(self) -> None:
            """Start the session, switch the providers on, and receive in a thread."""
            error = self._start()
            if error == ALREADY_EXISTS:
                self._api.ControlTraceW(0, self._name, properties(self._name), STOP)
                error = self._start()
            _raise(error, "StartTrace")
            for provider in self._providers:
                # Kernels that know no such filter give all events: `_received` looks as well.
                if self._enable(provider, is_filtered=True):
                    _raise(self._enable(provider, is_filtered=False), "EnableTraceEx2")
            self._receive()

        def _enable(self, provider: Provider, *, is_filtered: bool) -> int:
            raw = ctypes.create_string_buffer(event_filter(provider.events))
            chosen = EventFilterDescriptor(ctypes.addressof(raw), len(raw) - 1, FILTER_EVENT_ID)
            parameters = EnableTraceParameters(
                Version=PARAMETERS_VERSION,
                EnableFilterDesc=ctypes.addressof(chosen),
                FilterDescCount=1,
            )
            error = self._api.EnableTraceEx2(
                self._session,
                ctypes.byref(Guid.from_buffer_copy(provider.guid)),
                ENABLE,
                LEVEL_INFORMATION,
                provider.keywords,
                0,
                0,
                ctypes.byref(parameters) if is_filtered else None,
            )
            return int(error)

        def _start(self) -> int:
            made = properties(self._name)
            started = self._api.StartTraceW(ctypes.byref(self._session), self._name, made)
            return int(started)

        def _receive(self) -> None:
            name = ctypes.create_unicode_buffer(self._name)
            log = EventTraceLogfile(
                LoggerName=ctypes.addressof(name),
                ProcessTraceMode=REAL_TIME | EVENT_RECORDS,
                EventRecordCallback=ctypes.cast(self._callback, ctypes.c_void_p).value,
            )
            self._trace = ctypes.c_uint64(self._api.OpenTraceW(ctypes.byref(log)))
            if self._trace.value == INVALID:
                raise ctypes.WinError()
            self._thread = threading.Thread(
                target=self._process, name=f"trace {self._name}", daemon=True
            )
            self._thread.start()

        def _process(self) -> None:
            self._api.ProcessTrace(ctypes.byref(self._trace), 1, None, None)
            self._ended = 1

        def _received(self, pointer: "ctypes._Pointer[EventRecord]") -> None:
            record = pointer.contents
            header = record.EventHeader
            if header.EventDescriptor.Id not in self._wanted:
                return
            self._queue.put(
                Record(
                    bytes(header.ProviderId),
                    header.EventDescriptor.Id,
                    header.EventDescriptor.Version,
                    header.TimeStamp,
                    ctypes.string_at(record.UserData, record.UserDataLength),
                )
            )

        def read(self, seconds: float) -> Sequence[Batch]:
            """Return what has come."""
            batch = self._queue.take(seconds)
            if self._ended:
                raise OSError(errno.EPIPE, "the session was ended by somebody else")
            made = properties(self._name)
            if self._api.ControlTraceW(self._session, None, made, QUERY) == 0:
                before, self._told = self._told, lost(made)
                batch = batch._replace(lost=batch.lost + max(self._told - before, 0))
            return [batch] if batch.records or batch.lost else ()

        def close(self) -> None:
            """End the session and what receives."""
            if self._session.value:
                self._api.ControlTraceW(self._session, None, properties(self._name), STOP)
                self._session.value = 0
            if self._trace.value != INVALID:
                self._api.CloseTrace(self._trace)
                self._trace.value = INVALID
            if self._thread is not None:
                self._thread.join(JOIN_SECONDS)

    def _raise(error: int, what: str) -> None:
        if error:
            raise OSError(errno.EPERM, f"{what}: {ctypes.FormatError(error).strip()}")
