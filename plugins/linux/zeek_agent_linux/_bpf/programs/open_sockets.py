"""Iterators over IP sockets: those that processes hold, and all of a network namespace.

Sources: kernel/bpf/task_iter.c, net/ipv4/tcp_ipv4.c, net/ipv4/udp.c, include/net/sock.h.
"""

from zeek_agent_linux._bpf.assembler import (
    R0,
    R1,
    R2,
    R6,
    R7,
    R8,
    R9,
    R10,
    Assembler,
    Helper,
    Writer,
)  # fmt: skip
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs.sockets import IPV4, IPV6, copy_addresses, probe
from zeek_agent_linux._bpf.programs.tasks import start_time, write
from zeek_agent_linux._bpf.record import Record

HELD, TCP_SOCKETS, UDP_SOCKETS, PROCESSES = (
    "bpf_iter_task_file", "bpf_iter_tcp", "bpf_iter_udp", "bpf_iter_task",
)  # fmt: skip
TASK, FILE = Member(8, 8), Member(24, 8)
LISTED = Member(8, 8)
TCP, UDP = 6, 17
TIME_WAIT = 6

OPEN = Record(
    socket="Q", start="Q", inode="Q", pid="I", netns="I", local="16s", remote="16s", name="16s",
    number="H", remote_port="H", protocol="H", family="B", kind="B", state="B", list="B",
)  # fmt: skip
"""A socket and a process that holds it, with the start of the process in ns since boot. `kind` is
that of socket(2), `number` the local port or what stands in its place, `state` 0 but for TCP,
`protocol` `RAW` if that is the kind, and `list` one of the lists below."""
NO_LIST, TCP_LIST, UDP_LIST, OTHER_LIST = 0, 1, 2, 3
"""In which of its lists the kernel has a socket: once it is bound or connects."""
RAW_KIND, RAW, CLOSED = 3, 255, 7
OTHERS = (1, 58, 136)
"""Ping sockets of both families, and UDP-Lite."""


def open_sockets(kernel: Kernel) -> bytes:
    """Return the program that writes `OPEN` for each descriptor of an IP socket.

    R6 is what the kernel gives, R7 the process, R8 the socket, R9 the file.
    """
    a = Assembler()
    a.move(R6, R1)
    a.load(R7, R6, TASK)
    a.jump_if(R7, "==", 0, "end")
    a.load(R9, R6, FILE)
    a.jump_if(R9, "==", 0, "end")
    a.move(R1, R9)
    a.call(Helper.SOCK_FROM_FILE)
    a.jump_if(R0, "==", 0, "end")
    a.load(R8, R0, kernel.member("socket", "sk"))
    a.jump_if(R8, "==", 0, "end")
    a.load(R1, R8, kernel.member("sock_common", "skc_family"))
    a.jump_if(R1, "==", IPV4, "is IP")
    a.jump_if(R1, "!=", IPV6, "end")
    a.label("is IP")
    row = Writer(a, OPEN)
    row.clear()
    row.put("socket", R8)
    row.copy("start", R7, start_time(kernel))
    row.copy("pid", R7, kernel.member("task_struct", "tgid"))
    a.load(R2, R7, kernel.member("task_struct", "group_leader"))
    row.copy("name", R2, kernel.member("task_struct", "comm"))
    a.load(R2, R9, kernel.member("file", "f_inode"))
    row.copy("inode", R2, kernel.member("inode", "i_ino"))
    row.copy("protocol", R8, kernel.member("sock", "sk_protocol"))
    row.copy("kind", R8, kernel.member("sock", "sk_type"))
    row.copy("state", R8, kernel.member("sock_common", "skc_state"))
    row.copy("number", R8, kernel.member("sock_common", "skc_num"))
    copy_addresses(a, row, kernel, R8, "socket")
    _put_list(a, row)
    write(a, row.start, OPEN.size)
    a.label("end")
    a.end()
    return a.code()


def _put_list(a: Assembler, row: Writer) -> None:
    """Put the list in which a socket is, by what the record has of it already; uses R1 and R2."""
    a.load(R1, R10, row.offset("protocol"), 2)
    a.load(R2, R10, row.offset("kind"), 1)
    a.jump_if(R2, "==", RAW_KIND, "is raw")
    a.jump_if(R1, "==", TCP, "is TCP")
    row.put("state", 0)
    a.load(R2, R10, row.offset("number"), 2)
    a.jump_if(R2, "==", 0, "no list")
    a.jump_if(R1, "==", UDP, "is UDP")
    for protocol in OTHERS:
        a.jump_if(R1, "==", protocol, "is other")
    a.jump("no list")
    a.label("is TCP")
    a.load(R1, R10, row.offset("state"), 1)
    a.jump_if(R1, "==", CLOSED, "no list")
    row.put("list", TCP_LIST)
    a.jump("no list")
    a.label("is UDP")
    row.put("list", UDP_LIST)
    a.jump("no list")
    a.label("is raw")
    row.put("state", 0)
    row.put("protocol", RAW)
    a.label("is other")
    row.put("list", OTHER_LIST)
    a.label("no list")


WORD = 8


def all_sockets(kernel: Kernel, protocol: int, told: int | None) -> bytes:
    """Return the program that writes each socket of a protocol, held by a process or not.

    Those of the network namespace in which it is read. A word of 0 is followed by
    an `OPEN` without a process. With *told*, a hash map with addresses as keys,
    a socket that a file belongs to is told by its address alone, since mostly a
    process holds it, unless the map has it. R6 is what the kernel gives, R7 the
    state, R8 the socket.
    """
    a = Assembler()
    a.move(R6, R1)
    a.load(R8, R6, LISTED)
    a.jump_if(R8, "==", 0, "end")
    row = Writer(a, OPEN)
    row.clear()
    row.put("socket", R8)
    a.load(R7, R8, kernel.member("sock_common", "skc_state"))
    if protocol == TCP:
        a.move(R1, R8)
        a.call(Helper.SKC_TO_TCP_SOCK)
        a.jump_if(R0, "==", 0, "no socket")
        a.load(R9, R0, kernel.member("sock", "sk_socket"))
    else:
        a.load(R9, R8, kernel.member("sock", "sk_socket"))
    a.jump_if(R9, "==", 0, "write")  # no process has accepted it
    if told is not None:
        _tell_address(a, row, kernel, told)
    _inode(a, row, kernel)
    if protocol == TCP:
        a.jump("write")
        a.label("no socket")  # a connection that comes to be, or what stays of one
        a.jump_if(R7, "!=", TIME_WAIT, "write")
        probe(a, row, "state", R8, kernel.member("inet_timewait_sock", "tw_substate"))
        a.load(R7, R10, row.offset("state"), 1)
    a.label("write")
    row.put("state", R7)
    row.put("protocol", protocol)
    row.put("kind", 1 if protocol == TCP else 2)
    row.copy("number", R8, kernel.member("sock_common", "skc_num"))
    copy_addresses(a, row, kernel, R8, "socket")
    _put_list(a, row)
    a.store(R10, row.start - WORD, 0)
    write(a, row.start - WORD, WORD + OPEN.size)
    a.label("end")
    a.end()
    return a.code()


def _tell_address(a: Assembler, row: Writer, kernel: Kernel, told: int) -> None:
    """Write the address of the socket in R8 if a file belongs to it, and be done with it."""
    a.load(R1, R9, kernel.member("socket", "file"))
    a.jump_if(R1, "==", 0, "in full")
    a.stack(R2, row.offset("socket"))
    a.load_map(R1, told)
    a.call(Helper.MAP_LOOKUP)
    a.jump_if(R0, "!=", 0, "in full")
    write(a, row.offset("socket"), WORD)
    a.jump("end")
    a.label("in full")


def _inode(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put the inode of the socket at R9 into the record.

    It lies beside the `socket` in one allocation. Connections of MPTCP are
    found by it: they have that of the socket above them.
    """
    both = kernel.member("socket_alloc", "socket").offset
    inode = kernel.member("socket_alloc", "vfs_inode").offset
    number = kernel.member("inode", "i_ino")
    probe(a, row, "inode", R9, Member(inode - both + number.offset, number.size))


NAMESPACE = Record(pid="I", netns="I")
"""A process and its network namespace."""


def namespaces(kernel: Kernel) -> bytes:
    """Return the program that writes `NAMESPACE` for each process that has one."""
    a = Assembler()
    a.move(R6, R1)
    a.load(R7, R6, TASK)
    a.jump_if(R7, "==", 0, "end")
    a.load(R1, R7, kernel.member("task_struct", "tgid"))
    a.load(R2, R7, kernel.member("task_struct", "pid"))
    a.jump_if(R1, "!=", R2, "end")
    row = Writer(a, NAMESPACE)
    row.clear()
    row.put("pid", R1)
    a.load(R1, R7, kernel.member("task_struct", "nsproxy"))
    a.jump_if(R1, "==", 0, "end")  # it has ended
    a.load(R1, R1, kernel.member("nsproxy", "net_ns"))
    row.copy("netns", R1, kernel.member("net", "ns.inum"), through=R2)
    write(a, row.start, NAMESPACE.size)
    a.label("end")
    a.end()
    return a.code()
