"""What programs read of a socket.

Sources: include/net/sock.h, include/net/inet_sock.h, include/linux/tcp.h.
"""

from zeek_agent_linux._bpf.assembler import R0, R1, R2, R3, R10, Assembler, Helper, R, Writer
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.kernel import Kernel

IPV4, IPV6 = 2, 10
TCP = 6
KERNEL_THREAD = 0x200000


def copy_addresses(a: Assembler, row: Writer, kernel: Kernel, sock: R, label: str) -> None:
    """Put addresses, the remote port and the namespace of a socket into a record.

    Uses R1 and R2.
    """
    row.copy("family", sock, kernel.member("sock_common", "skc_family"), through=R2)
    a.load(R1, sock, kernel.member("sock_common", "skc_dport"))
    a.from_network(R1)
    row.put("remote_port", R1)
    a.jump_if(R2, "==", IPV6, f"{label} IPv6")
    row.copy("local", sock, kernel.member("sock_common", "skc_rcv_saddr"))
    row.copy("remote", sock, kernel.member("sock_common", "skc_daddr"))
    a.jump(f"{label} addresses")
    a.label(f"{label} IPv6")
    if kernel.has("sock_common", "skc_v6_daddr"):  # there is none where IPv6 is not built in
        row.copy("local", sock, kernel.member("sock_common", "skc_v6_rcv_saddr"))
        row.copy("remote", sock, kernel.member("sock_common", "skc_v6_daddr"))
    a.label(f"{label} addresses")
    a.load(R1, sock, kernel.member("sock_common", "skc_net.net"))
    row.copy("netns", R1, kernel.member("net", "ns.inum"), through=R2)


def probe(a: Assembler, row: Writer, field: str, address: R, place: Member) -> None:
    """Put what lies behind a plain address into a field; zero if it cannot be read.

    Uses R0 to R5. To the kernel a pointer to `sock` is no pointer to the larger
    struct that begins with it, so what comes after is read in this way.
    """
    a.move(R3, address)
    a.add(R3, place.offset)
    a.stack(R1, row.offset(field))
    a.move(R2, place.size)
    a.call(Helper.PROBE_READ_KERNEL)


def jump_if_not_at_work(a: Assembler, kernel: Kernel, sock: R, label: str) -> None:
    """Go on at *label* unless what happens is the work of the current process; uses R1.

    Packets are often taken in while some process happens to run. A process that
    works on a socket locks it, and the kernel leaves a locked socket alone.
    """
    a.load(R1, sock, kernel.member("sock", "sk_lock.owned"))
    a.jump_if(R1, "==", 0, label)


def jump_if_at_work(a: Assembler, kernel: Kernel, sock: R, label: str) -> None:
    """Go on at *label* if what happens is the work of the current process; uses R1."""
    a.load(R1, sock, kernel.member("sock", "sk_lock.owned"))
    a.jump_if(R1, "!=", 0, label)


def put_process(a: Assembler, row: Writer, kernel: Kernel, scratch: int, label: str | None) -> None:
    """Put the current process, with its effective IDs, into a record.

    Uses 32 bytes of the stack from *scratch* up, and R0 to R3. With a *label*,
    goes on there if the process is a thread of the kernel.
    """
    credentials = kernel.member("task_struct", "cred")
    user, group = kernel.member("cred", "euid"), kernel.member("cred", "egid")
    a.call(Helper.CURRENT_TASK)
    a.store(R10, scratch, R0)
    if label is not None:
        read_kernel(a, scratch + 8, R0, kernel.member("task_struct", "flags").offset, 4)
        a.load(R1, R10, scratch + 8, 4)
        a.jump_if(R1, "&", KERNEL_THREAD, label)
    a.load(R0, R10, scratch, 8)
    read_kernel(a, scratch, R0, credentials.offset, 8)
    a.load(R0, R10, scratch, 8)
    a.store(R10, scratch + 8, R0)
    read_kernel(a, scratch + 16, R0, user.offset, 4)
    a.load(R1, R10, scratch + 16, 4)
    row.put("uid", R1)
    a.load(R0, R10, scratch + 8, 8)
    read_kernel(a, scratch + 16, R0, group.offset, 4)
    a.load(R1, R10, scratch + 16, 4)
    row.put("gid", R1)
    a.call(Helper.CURRENT_PID_TGID)
    a.math(R0, ">>", 32)
    row.put("pid", R0)
    a.call(Helper.CURRENT_TASK)
    read_kernel(a, scratch, R0, kernel.member("task_struct", "group_leader").offset, 8)
    a.load(R3, R10, scratch, 8)
    probe(a, row, "name", R3, kernel.member("task_struct", "comm"))


def read_kernel(a: Assembler, to: int, address: R, offset: int, size: int) -> None:
    """Read behind a plain address to the stack."""
    a.move(R3, address)
    a.add(R3, offset)
    a.stack(R1, to)
    a.move(R2, size)
    a.call(Helper.PROBE_READ_KERNEL)
