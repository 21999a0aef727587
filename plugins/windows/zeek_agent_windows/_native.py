"""What the Windows API is asked for through ctypes: raw buffers, nothing parsed."""

import ctypes
import errno
import sys
from typing import Protocol

from zeek_agent_windows._layouts import ProcessEntry

AF_INET, AF_INET6 = 2, 23
"""As on Windows, wherever a buffer is read."""
TCP_TABLE_OWNER_MODULE_ALL = 8
UDP_TABLE_OWNER_MODULE = 2
TH32CS_SNAPPROCESS = 2
ERROR_INSUFFICIENT_BUFFER = 122
ATTEMPTS = 8
"""Tables grow between asking for their size and reading them."""


class Native(Protocol):
    """The calls; each raises `OSError` when it fails."""

    def processes(self) -> bytes:
        """Return the `PROCESSENTRY32W` of all processes, one behind the other."""

    def tcp(self, family: int) -> bytes:
        """Return a `MIB_TCPTABLE_OWNER_MODULE` or `MIB_TCP6TABLE_OWNER_MODULE`."""

    def udp(self, family: int) -> bytes:
        """Return a `MIB_UDPTABLE_OWNER_MODULE` or `MIB_UDP6TABLE_OWNER_MODULE`."""


def native() -> Native:
    """Return the API of this host; `OSError` where it is another system."""
    if sys.platform == "win32":
        return SystemNative()
    raise OSError(errno.ENOSYS, "this exists on Windows only")


if sys.platform == "win32":

    class SystemNative:
        """kernel32 and iphlpapi of this host."""

        def __init__(self) -> None:
            """Load the libraries."""
            if ctypes.sizeof(ctypes.c_void_p) != ctypes.sizeof(ctypes.c_uint64):
                raise OSError(errno.ENOSYS, "a 64-bit Python is needed")
            kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            helper = ctypes.WinDLL("iphlpapi")
            handle, dword = ctypes.c_void_p, ctypes.c_uint32
            self._snapshot = kernel.CreateToolhelp32Snapshot
            self._snapshot.argtypes, self._snapshot.restype = (dword, dword), handle
            self._first, self._next = kernel.Process32FirstW, kernel.Process32NextW
            for function in (self._first, self._next):
                function.argtypes = (handle, ctypes.POINTER(ProcessEntry))
                function.restype = ctypes.c_int
            self._close = kernel.CloseHandle
            self._close.argtypes, self._close.restype = (handle,), ctypes.c_int
            self._tcp, self._udp = helper.GetExtendedTcpTable, helper.GetExtendedUdpTable
            for function in (self._tcp, self._udp):
                function.argtypes = (
                    ctypes.c_void_p,
                    ctypes.POINTER(dword),
                    ctypes.c_int,
                    dword,
                    ctypes.c_int,
                    dword,
                )
                function.restype = dword

        def processes(self) -> bytes:
            """Take a snapshot and walk through it."""
            snapshot = self._snapshot(TH32CS_SNAPPROCESS, 0)
            if snapshot in (None, ctypes.c_void_p(-1).value):
                raise ctypes.WinError(ctypes.get_last_error())
            entry, found = ProcessEntry(dwSize=ctypes.sizeof(ProcessEntry)), bytearray()
            try:
                more = self._first(snapshot, ctypes.byref(entry))
                while more:
                    found += bytes(entry)
                    more = self._next(snapshot, ctypes.byref(entry))
            finally:
                self._close(snapshot)
            return bytes(found)

        def tcp(self, family: int) -> bytes:
            """Return the table of TCP."""
            return self._table(self._tcp, family, TCP_TABLE_OWNER_MODULE_ALL)

        def udp(self, family: int) -> bytes:
            """Return the table of UDP."""
            return self._table(self._udp, family, UDP_TABLE_OWNER_MODULE)

        @staticmethod
        def _table(function: "ctypes._NamedFuncPointer", family: int, kind: int) -> bytes:
            size = ctypes.c_uint32(1 << 16)
            for _ in range(ATTEMPTS):
                buffer = ctypes.create_string_buffer(size.value)
                error = function(buffer, ctypes.byref(size), 0, family, kind, 0)
                if error == 0:
                    return buffer.raw[: size.value]
                if error != ERROR_INSUFFICIENT_BUFFER:
                    raise ctypes.WinError(error)
                size.value += 1 << 14
            raise OSError(errno.EAGAIN, "the table grows faster than it can be read")
