"""A Windows host that is made up: recorded buffers and events behind the same calls."""

import ctypes
import ipaddress
import struct
import uuid

from zeek_agent_windows import _layouts as layouts
from zeek_agent_windows._native import AF_INET
from zeek_agent_windows._sockets import STATES
from zeek_agent_windows._trace import Batch
from zeek_agent_windows._tracing import KERNEL_NETWORK, KERNEL_PROCESS, Record

NOON = 1_795_813_200_000_000
"""2026-11-27 21:00:00 UTC, in µs since the epoch."""
NUMBERS = {name: number for number, name in STATES.items()}


def filetime(micros):
    """Return µs since the epoch as FILETIME."""
    return micros * 10 + layouts.FILETIME_EPOCH


def port(number):
    """Return a port as it lies in a DWORD."""
    return int.from_bytes(number.to_bytes(2, "big"), "little")


def packed(address):
    """Return an address as bytes."""
    return ipaddress.ip_address(address).packed


def table(rows):
    """Return a table of *rows*."""
    return len(rows).to_bytes(4, "little") + bytes(4) + b"".join(map(bytes, rows))


def tcp(state, local, local_port, remote="0.0.0.0", remote_port=0, *, pid=0, opened=None):
    """Return a row of TCP over IPv4."""
    row = layouts.TcpRow(dwState=NUMBERS[state], dwOwningPid=pid)
    row.dwLocalAddr[:], row.dwRemoteAddr[:] = packed(local), packed(remote)
    row.dwLocalPort, row.dwRemotePort = port(local_port), port(remote_port)
    row.liCreateTimestamp = 0 if opened is None else filetime(opened)
    return row


def tcp6(state, local, local_port, remote="::", remote_port=0, *, pid=0):
    """Return a row of TCP over IPv6."""
    row = layouts.Tcp6Row(dwState=NUMBERS[state], dwOwningPid=pid)
    row.ucLocalAddr[:], row.ucRemoteAddr[:] = packed(local), packed(remote)
    row.dwLocalPort, row.dwRemotePort = port(local_port), port(remote_port)
    return row


def udp(local, local_port, *, pid=0):
    """Return a row of UDP, of the family of *local*."""
    address = packed(local)
    row = (layouts.UdpRow if len(address) == 4 else layouts.Udp6Row)(dwOwningPid=pid)
    (row.dwLocalAddr if len(address) == 4 else row.ucLocalAddr)[:] = address
    row.dwLocalPort = port(local_port)
    return row


class ScriptedNative:
    """Answers from lists."""

    def __init__(self):
        self.entries = [(0, 0, "[System Process]"), (4, 0, "System"), (900, 4, "svchost.exe")]
        self.entries.append((4000, 900, "chrome.exe"))
        self.tcp4 = [
            tcp("LISTEN", "0.0.0.0", 445, "0.0.0.0", 99, pid=4),
            tcp("ESTABLISHED", "192.0.2.5", 50001, "198.51.100.7", 443, pid=4000, opened=NOON),
            tcp("TIME_WAIT", "192.0.2.5", 50000, "198.51.100.7", 443),
        ]
        self.tcp6 = [tcp6("SYN_SENT", "2001:db8::5", 50002, "2001:db8::1", 443, pid=4000)]
        self.udp4 = [udp("0.0.0.0", 5353, pid=900)]
        self.udp6 = [udp("::", 5353, pid=900), udp("fe80::1", 1900, pid=5555)]

    def processes(self):
        """Return a snapshot."""
        entries = []
        for pid, ppid, name in self.entries:
            entry = layouts.ProcessEntry(th32ProcessID=pid, th32ParentProcessID=ppid)
            entry.dwSize = ctypes.sizeof(entry)
            units = struct.unpack(f"<{len(name)}H", name.encode("utf-16-le"))
            entry.szExeFile[: len(units)] = units
            entries.append(bytes(entry))
        return b"".join(entries)

    def tcp(self, family):
        """Return a table."""
        return table(self.tcp4 if family == AF_INET else self.tcp6)

    def udp(self, family):
        """Return a table."""
        return table(self.udp4 if family == AF_INET else self.udp6)


def image(pid):
    """Return the path of a program."""
    return {4000: r"C:\Program Files\Chrome\chrome.exe"}.get(pid)


class ScriptedReader:
    """Gives batches that a test has prepared, then nothing."""

    def __init__(self, *batches):
        self.batches = list(batches)
        self.asked = None
        self.opened = self.closed = 0

    def __call__(self, *asked):
        """Stand in for the maker of a reader."""
        self.asked = asked
        return self

    def open(self):
        """Count."""
        self.opened += 1

    def read(self, seconds):
        """Return the next batch, or wait a little."""
        import time

        if self.batches:
            batch = self.batches.pop(0)
            if isinstance(batch, Exception):
                raise batch
            return batch
        time.sleep(min(seconds, 0.05))
        return ()

    def close(self):
        """Count."""
        self.closed += 1


def wide(text):
    """Return UTF-16 text with its NUL."""
    return text.encode("utf-16-le") + b"\0\0"


DEVICE = r"\Device\HarddiskVolume3"
SID = bytes((1, 1, 0, 0, 0, 0, 0, 16)) + (8192).to_bytes(4, "little")


def started(pid, ppid, image, *, version=3, micros=NOON, cut=None):
    """Return the start of a process."""
    data = struct.pack("<I", pid)
    data += struct.pack("<Q", 7001) if version >= 3 else b""
    data += struct.pack("<QI", filetime(micros), ppid)
    data += struct.pack("<Q", 7000) if version >= 3 else b""
    data += struct.pack("<I", 1)
    data += struct.pack("<I", 0) if version >= 1 else b""
    data += struct.pack("<II", 1, 0) + SID if version >= 3 else b""
    data += wide(image)
    if version >= 2:
        data += struct.pack("<II", 0x1234, 0x5678) + wide("") + wide("")
    return Record(KERNEL_PROCESS, 1, version, filetime(micros), data[:cut])


def stopped(pid, image, code, *, version=2, created=NOON, micros=NOON + 2_000_000, cut=None):
    """Return the end of a process."""
    data = struct.pack("<I", pid)
    data += struct.pack("<Q", 7001) if version >= 2 else b""
    data += struct.pack("<QQIII", filetime(created), filetime(micros), code, 1, 55)
    data += struct.pack("<QQ", 1 << 20, 2 << 20)
    data += struct.pack("<QIIIII", 10**9, 1, 2, 3, 4, 5) if version >= 1 else b""
    data += image.encode() + b"\0"
    return Record(KERNEL_PROCESS, 2, version, filetime(micros), data[:cut])


def network(number, pid, here, there, *, micros=NOON, cut=None):
    """Return an event of the network."""
    (local, local_port), (remote, remote_port) = here, there
    data = struct.pack("<II", pid, 0) + packed(remote) + packed(local)
    data += remote_port.to_bytes(2, "big") + local_port.to_bytes(2, "big")
    data += bytes(12)  # sequence number, connection: of no use
    return Record(KERNEL_NETWORK, number, 0, filetime(micros), data[:cut])


OTHER = Record(uuid.UUID(int=1).bytes_le, 1, 0, filetime(NOON), b"")


def batch(*records, lost=0):
    """Return what a trace gives."""
    return [Batch(records, lost)]
