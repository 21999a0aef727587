"""Traces of traffic that never was: TCP and UDP conversations written as a pcap file.

The format is that of libpcap (pcap-savefile(5)): microseconds, raw IP frames in
Ethernet. Checksums are left out; Zeek is told to ignore them (`-C`).
"""

import ipaddress
import struct
from pathlib import Path

START = 1_800_000_000.0
"""Moment 0 of a trace, in seconds since the epoch."""
SYN, ACK, PSH, FIN, RST = 2, 16, 8, 1, 4
TCP, UDP = 6, 17


class Trace:
    """Packets in any order; `write` sorts them. Moments are seconds since *start*."""

    def __init__(self, start=START):
        self._start = start
        self._packets = []

    def tcp(self, at, client, server, *, lasts=0.02, end="fin", data=b"hello"):
        """Add a connection between two (address, port): it ends as *end* says.

        `fin` closes, `rst` is reset by the client, `refused` by the server at once, `silent`
        gets no answer at all.
        """
        self._tcp(at, client, server, SYN, 0, 0)
        if end == "silent":
            return
        if end == "refused":
            self._tcp(at + 0.001, server, client, RST | ACK, 0, 1)
            return
        self._tcp(at + 0.001, server, client, SYN | ACK, 0, 1)
        self._tcp(at + 0.002, client, server, ACK, 1, 1)
        self._tcp(at + 0.003, client, server, PSH | ACK, 1, 1, data)
        sent = 1 + len(data)
        self._tcp(at + 0.004, server, client, PSH | ACK, 1, sent, data)
        over = at + lasts
        if end == "rst":
            self._tcp(over, client, server, RST | ACK, sent, sent)
            return
        self._tcp(over, client, server, FIN | ACK, sent, sent)
        self._tcp(over + 0.001, server, client, FIN | ACK, sent, sent + 1)
        self._tcp(over + 0.002, client, server, ACK, sent + 1, sent + 1)

    def stream(self, at, client, server, to_server, to_client=b""):
        """Add a connection in which the client sends, then the server."""
        self._tcp(at, client, server, SYN, 0, 0)
        self._tcp(at + 0.001, server, client, SYN | ACK, 0, 1)
        self._tcp(at + 0.002, client, server, ACK, 1, 1)
        up = down = 1
        moment = at + 0.003
        turns = [(client, server, to_server), (server, client, to_client)]
        for source, target, text in turns:
            for begin in range(0, len(text), 1000):
                piece = text[begin : begin + 1000]
                mine, theirs = (up, down) if source == client else (down, up)
                self._tcp(moment, source, target, PSH | ACK, mine, theirs, piece)
                up += len(piece) * (source == client)
                down += len(piece) * (source == server)
                moment += 0.001
        self._tcp(moment, client, server, FIN | ACK, up, down)
        self._tcp(moment + 0.001, server, client, FIN | ACK, down, up + 1)
        self._tcp(moment + 0.002, client, server, ACK, up + 1, down + 1)

    def udp(self, at, client, server, *, answered=True, data=b"?"):
        """Add a question from one (address, port) to another, and the answer."""
        self._udp(at, client, server, data)
        if answered:
            self._udp(at + 0.01, server, client, data)

    def wait(self, until):
        """Let time pass: add a packet that has nothing to do with anything."""
        self._udp(until, ("192.0.2.254", 9), ("192.0.2.253", 9), b".")

    def moments(self):
        """Return when packets are sent."""
        return [at for at, _ in self._packets]

    def write(self, path: Path):
        """Write the file, and return its path."""
        frames = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
        for at, frame in sorted(self._packets, key=lambda packet: packet[0]):
            moment = round((self._start + at) * 1e6)
            sizes = len(frame), len(frame)
            frames += [struct.pack("<IIII", moment // 10**6, moment % 10**6, *sizes), frame]
        path.write_bytes(b"".join(frames))
        return path

    def _tcp(self, at, source, target, flags, seq, ack, data=b""):  # noqa: PLR0917
        segment = struct.pack(
            "!HHIIBBHHH", source[1], target[1], 1000 + seq, 1000 + ack if flags & ACK else 0,
            5 << 4, flags, 65535, 0, 0,
        )  # fmt: skip
        self._add(at, source[0], target[0], TCP, segment + data)

    def _udp(self, at, source, target, data):
        datagram = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data
        self._add(at, source[0], target[0], UDP, datagram)

    def _add(self, at, source, target, protocol, payload):
        one, other = ipaddress.ip_address(source), ipaddress.ip_address(target)
        if one.version == 4:
            kind = 0x0800
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        else:
            kind = 0x86DD
            header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        ethernet = bytes(range(12)) + struct.pack("!H", kind)
        self._packets.append((at, ethernet + header + one.packed + other.packed + payload))
