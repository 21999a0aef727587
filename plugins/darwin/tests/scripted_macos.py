"""A macOS host that is made up: recorded buffers behind the same calls."""

import ctypes
import ipaddress

from zeek_agent_darwin import _libproc as libproc
from zeek_agent_darwin._sockets import AF_INET, AF_INET6, STATES


def port(number):
    """Return a port as the kernel has it in an `int`."""
    return int.from_bytes(number.to_bytes(2, "big"), "little")


def padded(address):
    """Return the 16 bytes of an address."""
    raw = ipaddress.ip_address(address).packed
    return raw if len(raw) == 16 else bytes(12) + raw


def socket_of(
    number,
    local,
    local_port,
    remote="0.0.0.0",
    remote_port=0,
    *,
    protocol=6,
    state=None,
    family=AF_INET,
    vflag=libproc.INI_IPV4,
):
    """Return a `socket_fdinfo` as bytes."""
    info = libproc.SocketFdInfo()
    found = info.psi
    found.soi_so, found.soi_family, found.soi_protocol = number, family, protocol
    found.soi_kind = libproc.SOCKINFO_IN if state is None else libproc.SOCKINFO_TCP
    ip = found.soi_proto.pri_in
    ip.insi_vflag = vflag
    ip.insi_lport, ip.insi_fport = port(local_port), port(remote_port)
    ip.insi_laddr[:], ip.insi_faddr[:] = padded(local), padded(remote)
    if state is not None:
        found.soi_proto.pri_tcp.tcpsi_state = STATES.index(state)
    return bytes(info)


def unix_socket(number):
    """Return a `socket_fdinfo` of a socket that is no IP socket."""
    info = libproc.SocketFdInfo()
    info.psi.soi_so, info.psi.soi_family, info.psi.soi_kind = number, 1, 3
    return bytes(info)


def process_of(pid, ppid, name, *, uid=501, gid=20, started=1_795_000_000):
    """Return a `proc_bsdinfo` as bytes."""
    info = libproc.ProcBsdInfo(pbi_pid=pid, pbi_ppid=ppid, pbi_uid=uid, pbi_gid=gid)
    info.pbi_name = name.encode()[:31]
    info.pbi_comm = name.encode()[:15]
    info.pbi_start_tvsec, info.pbi_start_tvusec = started, 250_000
    return bytes(info)


class ScriptedLibproc:
    """Answers from dictionaries."""

    def __init__(self):
        self.processes = {}
        self.sockets = {}
        """By process: by descriptor."""

    def add(self, pid, name, sockets, ppid=1, **more):
        """Add a process with *sockets*, by descriptor."""
        self.processes[pid] = process_of(pid, ppid, name, **more)
        self.sockets[pid] = sockets

    def pids(self):
        """Return the IDs, in the kernel's order: the newest first."""
        return sorted(self.processes, reverse=True)

    def descriptors(self, pid):
        """Return the sockets and a file."""
        held = self.sockets.get(pid, {})
        infos = [libproc.ProcFdInfo(number, libproc.PROX_FDTYPE_SOCKET) for number in held]
        infos.append(libproc.ProcFdInfo(99, 1))
        return b"".join(map(bytes, infos)) if pid in self.sockets else b""

    def process(self, pid):
        """Return one process."""
        return self.processes.get(pid, b"")

    def socket(self, pid, descriptor):
        """Return one socket."""
        return self.sockets[pid].get(descriptor, b"")


def laptop():
    """Return a host with a web server and its child, a browser and a resolver."""
    system = ScriptedLibproc()
    listening = socket_of(0xA1, "0.0.0.0", 80, state="LISTEN")
    served = socket_of(0xA2, "192.0.2.5", 80, "198.51.100.7", 50123, state="ESTABLISHED")
    system.add(100, "httpd", {3: listening}, uid=0, gid=0)
    system.add(120, "httpd", {3: listening, 5: served}, ppid=100, uid=70, gid=70)
    v6 = {"family": AF_INET6, "vflag": libproc.INI_IPV6}
    browsing = socket_of(0xB1, "2001:db8::5", 51000, "2001:db8::1", 443, state="SYN_SENT", **v6)
    mapped = socket_of(
        0xB2, "192.0.2.5", 51001, "198.51.100.9", 443, state="CLOSE_WAIT", family=AF_INET6
    )
    system.add(300, "Safari", {7: browsing, 8: mapped, 9: unix_socket(0xB3)})
    scoped = socket_of(0xC2, "fe80:4::1", 5353, "::", protocol=17, **v6)
    system.add(
        400, "mDNSResponder", {4: socket_of(0xC1, "0.0.0.0", 5353, protocol=17), 5: scoped}, uid=65
    )
    system.add(500, "ping", {3: socket_of(0xD1, "0.0.0.0", 0, protocol=1)})
    system.sockets[500][77] = b""  # closed meanwhile
    system.processes[600] = process_of(600, 1, "private")  # another user's: no descriptors
    return system


assert ctypes.sizeof(libproc.SocketFdInfo) == 792
