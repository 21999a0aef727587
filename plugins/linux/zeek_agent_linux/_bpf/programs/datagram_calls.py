"""A program that tells of UDP sockets without a fixed peer: whom they talk with.

Such a socket has its peers in its system calls only: whom it sends to, and from
whom it has received. So the program runs at the end of every system call of the
host, which makes each of them slower by some tens of nanoseconds, and is for
those who ask for it. Sources: include/trace/events/syscalls.h,
arch/*/include/asm/ptrace.h and thread_info.h, include/linux/fdtable.h,
include/linux/socket.h.
"""

import platform
from typing import NamedTuple

from zeek_agent_linux._bpf import syscall
from zeek_agent_linux._bpf.assembler import (
    R0,
    R1,
    R2,
    R3,
    R4,
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
from zeek_agent_linux._bpf.programs.parts import hand_over
from zeek_agent_linux._bpf.programs.socket_events import (
    EVENT,
    IN,
    OPENED,
    OUT,
    SCRATCH,
    UDP,
    set_times,
)
from zeek_agent_linux._bpf.programs.sockets import IPV4, IPV6, probe, put_process, read_kernel
from zeek_agent_linux._bpf.record import Record
from zeek_agent_linux._bpf.session import Maps, MapSpec, Program

MESSAGE = 1 << 8
"""Mark of a call that has the address in a `struct msghdr`."""


class Machine(NamedTuple):
    """Where a processor's registers have what is asked for."""

    calls: dict[int, int]
    """Numbers of system calls, with `OUT` or `IN`, and `MESSAGE`."""
    number: str
    descriptor: str
    second: tuple[str, int]
    """Second argument: the register, and its place in it where that is an array."""
    fifth: tuple[str, int]
    foreign: tuple[str, int]
    """What of `thread_info` says that a call is one of 32 bits, which has other numbers."""


MACHINES = {
    "x86_64": Machine(
        {
            44: OUT, 46: OUT | MESSAGE, 307: OUT | MESSAGE, 45: IN, 47: IN | MESSAGE,
            299: IN | MESSAGE,
        },
        "orig_ax", "di", ("si", 0), ("r8", 0), ("thread_info.status", 1 << 1),
    ),
    "aarch64": Machine(
        {
            206: OUT, 211: OUT | MESSAGE, 269: OUT | MESSAGE, 207: IN, 212: IN | MESSAGE,
            243: IN | MESSAGE,
        },
        "syscallno", "orig_x0", ("regs", 8), ("regs", 32), ("thread_info.flags", 1 << 22),
    ),
}  # fmt: skip
"""sendto, sendmsg, sendmmsg, recvfrom, recvmsg, recvmmsg; of the two that take several messages
the first one counts."""

FLOW = Record(socket="Q", remote="16s", pid="I", local_port="H", remote_port="H")
"""Keys of the map of what was told."""
MAPS = {"flows": MapSpec(syscall.LRU_HASH, FLOW.size, 8, 16_384)}
KEY = SCRATCH - FLOW.size

REGISTERS, RESULT = Member(0, 8), Member(8, 8)
"""The arguments of the tracepoint."""
NAME, SOCKADDR_PORT, SOCKADDR_IPV4, SOCKADDR_IPV6 = 0, 2, 4, 8
"""Where `struct msghdr` has the address, and where an address has its parts."""
KIND_MASK, SOCKET_KIND = 0xF000, 0xC000
"""Of the mode of an inode: S_IFMT and S_IFSOCK."""


def calls(kernel: Kernel, maps: Maps) -> bytes:
    """Tell of each peer of an unconnected UDP socket once.

    R6 has the registers at first, R7 the descriptor and then the socket, R8 the
    address of the peer in the process's memory, R9 what the call is.
    """
    machine = MACHINES[platform.machine()]
    a = Assembler()
    a.load(R6, R1, REGISTERS)
    a.load(R8, R1, RESULT)
    a.jump_if(R8, "s<", 0, "end")
    a.load(R2, R6, kernel.member("pt_regs", machine.number))
    for number in machine.calls:
        a.jump_if(R2, "==", number, f"call {number}")
    a.jump("end")
    for number, meaning in machine.calls.items():
        a.label(f"call {number}")
        a.move(R9, meaning)
        a.jump("found")
    a.label("found")
    _peer(a, kernel, machine)
    a.load(R7, R6, kernel.member("pt_regs", machine.descriptor))
    row = Writer(a, EVENT)
    row.clear()
    _socket(a, kernel, machine)
    row.put("socket", R7)
    _ends(a, row, kernel)
    a.math(R9, "&", OUT | IN)
    row.put("direction", R9)
    put_process(a, row, kernel, SCRATCH, "end")
    _end_if_told(a, row, maps)
    set_times(a, row, "first", "since")
    row.put("kind", OPENED)
    hand_over(a, maps, R10, row.start, EVENT.size)
    return a.code()


def _argument(kernel: Kernel, place: tuple[str, int]) -> Member:
    return Member(kernel.member("pt_regs", place[0]).offset + place[1], 8)


def _peer(a: Assembler, kernel: Kernel, machine: Machine) -> None:
    """Let R8 be where the process has the peer's address; end if it gave no place for one."""
    a.load(R8, R6, _argument(kernel, machine.fifth))
    a.jump_if(R9, "<", MESSAGE, "has peer")
    a.load(R3, R6, _argument(kernel, machine.second))
    a.add(R3, NAME)
    a.stack(R1, SCRATCH)
    a.move(R2, 8)
    a.call(Helper.PROBE_READ_USER)
    a.jump_if(R0, "!=", 0, "end")
    a.load(R8, R10, SCRATCH, 8)
    a.label("has peer")
    a.jump_if(R8, "==", 0, "end")


def _socket(a: Assembler, kernel: Kernel, machine: Machine) -> None:
    """Let R7, a descriptor, be the socket it is; end if it is none, or the call of 32 bits."""
    field, bit = machine.foreign
    a.call(Helper.CURRENT_TASK)
    read_kernel(a, SCRATCH, R0, kernel.member("task_struct", field).offset, 4)
    a.load(R1, R10, SCRATCH, 4)
    a.jump_if(R1, "&", bit, "end")
    a.call(Helper.CURRENT_TASK)
    for struct, member in (("task_struct", "files"), ("files_struct", "fdt")):
        _follow(a, kernel, struct, member)
    a.move(R6, R0)
    read_kernel(a, SCRATCH, R6, kernel.member("fdtable", "max_fds").offset, 4)
    a.load(R1, R10, SCRATCH, 4)
    a.math(R7, "<<", 32)
    a.math(R7, ">>", 32)
    a.jump_if(R7, ">=", R1, "end")
    a.move(R0, R6)
    _follow(a, kernel, "fdtable", "fd")
    a.math(R7, "<<", 3)
    a.add(R0, R7)
    read_kernel(a, SCRATCH, R0, 0, 8)
    a.load(R6, R10, SCRATCH, 8)
    a.jump_if(R6, "==", 0, "end")  # closed by another thread
    a.move(R0, R6)
    _follow(a, kernel, "file", "f_inode")
    read_kernel(a, SCRATCH, R0, kernel.member("inode", "i_mode").offset, 2)
    a.load(R1, R10, SCRATCH, 2)
    a.math(R1, "&", KIND_MASK)
    a.jump_if(R1, "!=", SOCKET_KIND, "end")
    a.move(R0, R6)
    for struct, member in (("file", "private_data"), ("socket", "sk")):
        _follow(a, kernel, struct, member)
    a.move(R7, R0)


def _follow(a: Assembler, kernel: Kernel, struct: str, member: str) -> None:
    """Let R0, the address of a struct, be what a pointer in it points to; end if that is 0."""
    read_kernel(a, SCRATCH, R0, kernel.member(struct, member).offset, 8)
    a.load(R0, R10, SCRATCH, 8)
    a.jump_if(R0, "==", 0, "end")


def _ends(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put both ends of the socket at R7 and its peer at R8; end if it is not for this program."""
    probe(a, row, "protocol", R7, kernel.member("sock", "sk_protocol"))
    a.load(R1, R10, row.offset("protocol"), 2)
    a.jump_if(R1, "!=", UDP, "end")
    probe(a, row, "remote_port", R7, kernel.member("sock_common", "skc_dport"))
    a.load(R1, R10, row.offset("remote_port"), 2)
    a.jump_if(R1, "!=", 0, "end")  # it has a peer, and is told of when it sends
    probe(a, row, "local_port", R7, kernel.member("sock_common", "skc_num"))
    probe(a, row, "family", R7, kernel.member("sock_common", "skc_family"))
    read_kernel(a, SCRATCH, R7, kernel.member("sock_common", "skc_net.net").offset, 8)
    a.load(R6, R10, SCRATCH, 8)
    probe(a, row, "netns", R6, kernel.member("net", "ns.inum"))
    _read_user(a, SCRATCH, 0, 8)
    a.load(R1, R10, SCRATCH + SOCKADDR_PORT, 2)
    a.from_network(R1)
    a.jump_if(R1, "==", 0, "end")
    row.put("remote_port", R1)
    a.load(R1, R10, SCRATCH, 2)
    a.load(R2, R10, row.offset("family"), 2)
    a.jump_if(R1, "!=", R2, "end")
    a.jump_if(R1, "==", IPV6, "IPv6")
    a.jump_if(R1, "!=", IPV4, "end")
    a.load(R1, R10, SCRATCH + SOCKADDR_IPV4, 4)
    a.store(R10, row.offset("remote"), R1, 4)
    probe(a, row, "local", R7, kernel.member("sock_common", "skc_rcv_saddr"))
    a.jump("has ends")
    a.label("IPv6")
    _read_user(a, row.offset("remote"), SOCKADDR_IPV6, 16)
    if kernel.has("sock_common", "skc_v6_rcv_saddr"):
        probe(a, row, "local", R7, kernel.member("sock_common", "skc_v6_rcv_saddr"))
    a.label("has ends")


def _read_user(a: Assembler, to: int, place: int, size: int) -> None:
    """Read to the stack what the process has at a place behind R8; end if that cannot be read."""
    a.stack(R1, to)
    a.move(R2, size)
    a.move(R3, R8)
    a.add(R3, place)
    a.call(Helper.PROBE_READ_USER)
    a.jump_if(R0, "!=", 0, "end")


def _end_if_told(a: Assembler, row: Writer, maps: Maps) -> None:
    """Be done if this peer of this socket was told already; note it otherwise."""
    for field, (offset, size) in FLOW.places.items():
        for at in range(0, size, 8):
            width = min(size, 8)
            a.load(R1, R10, row.offset(field) + at, width)
            a.store(R10, KEY + offset + at, R1, width)
    a.load_map(R1, maps.extra["flows"])
    a.stack(R2, KEY)
    a.call(Helper.MAP_LOOKUP)
    a.jump_if(R0, "!=", 0, "end")
    a.load_map(R1, maps.extra["flows"])
    a.stack(R2, KEY)
    a.stack(R3, row.offset("socket"))
    a.move(R4, 0)
    a.call(Helper.MAP_UPDATE)


PROGRAM = Program("sys_exit", calls)
