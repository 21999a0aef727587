"""Iterator over the open files of all processes: which are IP sockets, and whose.

Sources: kernel/bpf/task_iter.c, include/net/sock.h.
"""

from zeek_agent_linux._bpf.assembler import (
    R0,
    R1,
    R2,
    R6,
    R7,
    R8,
    R9,
    Assembler,
    Helper,
    Writer,
)  # fmt: skip
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs.sockets import IPV4, IPV6, copy_addresses
from zeek_agent_linux._bpf.programs.tasks import start_time, write
from zeek_agent_linux._bpf.record import Record

TARGET = "bpf_iter_task_file"
TASK, FILE = Member(8, 8), Member(24, 8)

OPEN = Record(
    socket="Q", start="Q", inode="Q", pid="I", netns="I", local="16s", remote="16s", name="16s",
    remote_port="H", family="H", protocol="H", kind="H", number="H", state="B",
)  # fmt: skip
"""A socket and a process that holds it, with the start of the process in ns since boot. `kind` is
that of socket(2), `number` the local port or what stands in its place, in the host's order; the
other ports and the addresses are in network order."""


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
    write(a, row.start, OPEN.size)
    a.label("end")
    a.end()
    return a.code()
