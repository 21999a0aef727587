"""Structures of the Windows API, for 64-bit systems.

Fields have fixed widths, so that sizes can be checked and recorded buffers read
on any system. Names are those of the headers.
"""

import ctypes
from collections.abc import Iterator
from ctypes import c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64
from typing import TypeVar

Pointer = c_uint64

MAX_PATH = 260


class ProcessEntry(ctypes.Structure):
    """`PROCESSENTRY32W` of ``<tlhelp32.h>``: one process of a snapshot."""

    _fields_ = (
        ("dwSize", c_uint32),
        ("cntUsage", c_uint32),
        ("th32ProcessID", c_uint32),
        ("th32DefaultHeapID", c_uint64),
        ("th32ModuleID", c_uint32),
        ("cntThreads", c_uint32),
        ("th32ParentProcessID", c_uint32),
        ("pcPriClassBase", c_int32),
        ("dwFlags", c_uint32),
        ("szExeFile", c_uint16 * MAX_PATH),
    )


class TcpRow(ctypes.Structure):
    """`MIB_TCPROW_OWNER_MODULE` of ``<tcpmib.h>``."""

    _fields_ = (
        ("dwState", c_uint32),
        ("dwLocalAddr", c_uint8 * 4),
        ("dwLocalPort", c_uint32),
        ("dwRemoteAddr", c_uint8 * 4),
        ("dwRemotePort", c_uint32),
        ("dwOwningPid", c_uint32),
        ("liCreateTimestamp", c_int64),
        ("OwningModuleInfo", c_uint64 * 16),
    )


class Tcp6Row(ctypes.Structure):
    """`MIB_TCP6ROW_OWNER_MODULE` of ``<tcpmib.h>``."""

    _fields_ = (
        ("ucLocalAddr", c_uint8 * 16),
        ("dwLocalScopeId", c_uint32),
        ("dwLocalPort", c_uint32),
        ("ucRemoteAddr", c_uint8 * 16),
        ("dwRemoteScopeId", c_uint32),
        ("dwRemotePort", c_uint32),
        ("dwState", c_uint32),
        ("dwOwningPid", c_uint32),
        ("liCreateTimestamp", c_int64),
        ("OwningModuleInfo", c_uint64 * 16),
    )


class UdpRow(ctypes.Structure):
    """`MIB_UDPROW_OWNER_MODULE` of ``<udpmib.h>``."""

    _fields_ = (
        ("dwLocalAddr", c_uint8 * 4),
        ("dwLocalPort", c_uint32),
        ("dwOwningPid", c_uint32),
        ("liCreateTimestamp", c_int64),
        ("dwFlags", c_int32),
        ("OwningModuleInfo", c_uint64 * 16),
    )


class Udp6Row(ctypes.Structure):
    """`MIB_UDP6ROW_OWNER_MODULE` of ``<udpmib.h>``."""

    _fields_ = (
        ("ucLocalAddr", c_uint8 * 16),
        ("dwLocalScopeId", c_uint32),
        ("dwLocalPort", c_uint32),
        ("dwOwningPid", c_uint32),
        ("liCreateTimestamp", c_int64),
        ("dwFlags", c_int32),
        ("OwningModuleInfo", c_uint64 * 16),
    )


class NotifyInformation(ctypes.Structure):
    """`FILE_NOTIFY_INFORMATION` of ``<winnt.h>``; the name follows at its end."""

    _fields_ = (
        ("NextEntryOffset", c_uint32),
        ("Action", c_uint32),
        ("FileNameLength", c_uint32),
        ("FileName", c_uint16 * 1),
    )


class Guid(ctypes.Structure):
    """`GUID` of ``<guiddef.h>``."""

    _fields_ = (
        ("Data1", c_uint32),
        ("Data2", c_uint16),
        ("Data3", c_uint16),
        ("Data4", c_uint8 * 8),
    )


class EventDescriptor(ctypes.Structure):
    """`EVENT_DESCRIPTOR` of ``<evntprov.h>``."""

    _fields_ = (
        ("Id", c_uint16),
        ("Version", c_uint8),
        ("Channel", c_uint8),
        ("Level", c_uint8),
        ("Opcode", c_uint8),
        ("Task", c_uint16),
        ("Keyword", c_uint64),
    )


class EventHeader(ctypes.Structure):
    """`EVENT_HEADER` of ``<evntcons.h>``."""

    _fields_ = (
        ("Size", c_uint16),
        ("HeaderType", c_uint16),
        ("Flags", c_uint16),
        ("EventProperty", c_uint16),
        ("ThreadId", c_uint32),
        ("ProcessId", c_uint32),
        ("TimeStamp", c_int64),
        ("ProviderId", Guid),
        ("EventDescriptor", EventDescriptor),
        ("ProcessorTime", c_uint64),
        ("ActivityId", Guid),
    )


class EventRecord(ctypes.Structure):
    """`EVENT_RECORD` of ``<evntcons.h>``."""

    _fields_ = (
        ("EventHeader", EventHeader),
        ("BufferContext", c_uint32),
        ("ExtendedDataCount", c_uint16),
        ("UserDataLength", c_uint16),
        ("ExtendedData", Pointer),
        ("UserData", Pointer),
        ("UserContext", Pointer),
    )


class WnodeHeader(ctypes.Structure):
    """`WNODE_HEADER` of ``<wmistr.h>``."""

    _fields_ = (
        ("BufferSize", c_uint32),
        ("ProviderId", c_uint32),
        ("HistoricalContext", c_uint64),
        ("TimeStamp", c_int64),
        ("Guid", Guid),
        ("ClientContext", c_uint32),
        ("Flags", c_uint32),
    )


class EventTraceProperties(ctypes.Structure):
    """`EVENT_TRACE_PROPERTIES` of ``<evntrace.h>``."""

    _fields_ = (
        ("Wnode", WnodeHeader),
        ("BufferSize", c_uint32),
        ("MinimumBuffers", c_uint32),
        ("MaximumBuffers", c_uint32),
        ("MaximumFileSize", c_uint32),
        ("LogFileMode", c_uint32),
        ("FlushTimer", c_uint32),
        ("EnableFlags", c_uint32),
        ("AgeLimit", c_int32),
        ("NumberOfBuffers", c_uint32),
        ("FreeBuffers", c_uint32),
        ("EventsLost", c_uint32),
        ("BuffersWritten", c_uint32),
        ("LogBuffersLost", c_uint32),
        ("RealTimeBuffersLost", c_uint32),
        ("LoggerThreadId", Pointer),
        ("LogFileNameOffset", c_uint32),
        ("LoggerNameOffset", c_uint32),
    )


class EventTraceLogfile(ctypes.Structure):
    """`EVENT_TRACE_LOGFILEW` of ``<evntrace.h>``; parts that are not used are bytes."""

    _fields_ = (
        ("LogFileName", Pointer),
        ("LoggerName", Pointer),
        ("CurrentTime", c_int64),
        ("BuffersRead", c_uint32),
        ("ProcessTraceMode", c_uint32),
        ("CurrentEvent", c_uint64 * 11),
        ("LogfileHeader", c_uint64 * 35),
        ("BufferCallback", Pointer),
        ("BufferSize", c_uint32),
        ("Filled", c_uint32),
        ("EventsLost", c_uint32),
        ("EventRecordCallback", Pointer),
        ("IsKernelTrace", c_uint32),
        ("Context", Pointer),
    )


class EventFilterDescriptor(ctypes.Structure):
    """`EVENT_FILTER_DESCRIPTOR` of ``<evntprov.h>``."""

    _fields_ = (("Ptr", c_uint64), ("Size", c_uint32), ("Type", c_uint32))


class EnableTraceParameters(ctypes.Structure):
    """`ENABLE_TRACE_PARAMETERS` of ``<evntrace.h>``."""

    _fields_ = (
        ("Version", c_uint32),
        ("EnableProperty", c_uint32),
        ("ControlFlags", c_uint32),
        ("SourceId", Guid),
        ("EnableFilterDesc", Pointer),
        ("FilterDescCount", c_uint32),
    )


C_NAMES = {
    "ProcessEntry": "PROCESSENTRY32W",
    "TcpRow": "MIB_TCPROW_OWNER_MODULE",
    "Tcp6Row": "MIB_TCP6ROW_OWNER_MODULE",
    "UdpRow": "MIB_UDPROW_OWNER_MODULE",
    "Udp6Row": "MIB_UDP6ROW_OWNER_MODULE",
    "NotifyInformation": "FILE_NOTIFY_INFORMATION",
    "Guid": "GUID",
    "EventDescriptor": "EVENT_DESCRIPTOR",
    "EventHeader": "EVENT_HEADER",
    "EventRecord": "EVENT_RECORD",
    "WnodeHeader": "WNODE_HEADER",
    "EventTraceProperties": "EVENT_TRACE_PROPERTIES",
    "EventTraceLogfile": "EVENT_TRACE_LOGFILEW",
    "EventFilterDescriptor": "struct _EVENT_FILTER_DESCRIPTOR",
    "EnableTraceParameters": "ENABLE_TRACE_PARAMETERS",
}
"""The names that the headers have for the structures."""

STRUCTURES: tuple[type[ctypes.Structure], ...] = (
    ProcessEntry, TcpRow, Tcp6Row, UdpRow, Udp6Row, NotifyInformation, Guid, EventDescriptor,
    EventHeader, EventRecord, WnodeHeader, EventTraceProperties, EventTraceLogfile,
    EventFilterDescriptor, EnableTraceParameters,
)  # fmt: skip

Struct = TypeVar("Struct", bound=ctypes.Structure)


def rows(kind: type[Struct], table: bytes) -> Iterator[Struct]:
    """Yield the rows of a table of ``<iphlpapi.h>``: a count, padded to 8 bytes, and rows.

    What is cut short is left out.
    """
    size = ctypes.sizeof(kind)
    count = min(int.from_bytes(table[:4], "little"), max(len(table) - 8, 0) // size)
    for number in range(count):
        yield kind.from_buffer_copy(table, 8 + number * size)


def wide(units: bytes) -> str:
    """Return UTF-16 text up to its NUL; what is no character is replaced."""
    text = units[: len(units) & ~1].decode("utf-16-le", "replace")
    return text.partition("\0")[0]


FILETIME_EPOCH = 116_444_736_000_000_000
"""1970-01-01 as FILETIME: 100 ns since 1601-01-01."""


def filetime(value: int) -> int | None:
    """Return a FILETIME as µs since the epoch; None for zero and what lies before 1970."""
    return (value - FILETIME_EPOCH) // 10 if FILETIME_EPOCH < value < 1 << 63 else None
