"""Programs that tell of TCP connections and listening sockets, and whose they are.

`inet_sock_set_state` sees every change of state. A connection that is opened,
and a socket that begins to listen, is that of the process at work. One that is
accepted comes to be while packets are taken in, so its process is not known
then. It is the one that first receives, sends, or closes: at each of these the
kernel passes a tracepoint in the process itself. That is exact where several
processes accept from one socket or hand connections on, and costs nothing
where no TCP is spoken; the exits of system calls would cost every call of
every process a fifth more.

The programs share a map of all sockets that are not closed, by address. Sources:
include/trace/events/sock.h and tcp.h, net/ipv4/tcp.c, net/ipv4/tcp_input.c.
"""

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
from zeek_agent_linux._bpf.programs.sockets import (
    TCP,
    copy_addresses,
    jump_if_at_work,
    jump_if_not_at_work,
    probe,
    put_process,
)  # fmt: skip
from zeek_agent_linux._bpf.record import Record
from zeek_agent_linux._bpf.session import Maps, MapSpec, Program

UDP = 17
ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, CLOSE, LAST_ACK, LISTEN = 1, 2, 3, 4, 7, 9, 10
OPENED, ACCEPTED, OWNED, FAILED, LISTENS, CLOSED = 1, 2, 3, 4, 5, 6
"""Kinds of events; `ACCEPTED` has no process yet, and `OWNED` tells it later."""
OUT, IN = 1, 2

EVENT = Record(
    time="Q", socket="Q", first="Q", since="Q", acked="Q", sent="Q", again="Q", received="Q",
    kind="I", netns="I", pid="I", uid="I", gid="I", direction="I", error="I", flags="I",
    family="H", local_port="H", remote_port="H", protocol="H", local="16s", remote="16s",
    name="16s",
)  # fmt: skip
"""Times in ns since boot: of the event, of the first one of the socket, and of the connection.
Then bytes; 0 for a process that is not known. Addresses are in network order."""

KNOWN = Record(
    first="Q", since="Q", pid="I", uid="I", gid="I", direction="I", name="16s",
)  # fmt: skip
"""What the map keeps of a socket."""
MOST_SOCKETS = 1 << 20
MOST_PEERS = 16_384
MAPS = {
    "sockets": MapSpec(syscall.HASH, 8, KNOWN.size, MOST_SOCKETS, syscall.GROWING),
    "peers": MapSpec(syscall.LRU_HASH, 8, 24, MOST_PEERS),
}

FIRST, SECOND, THIRD = Member(0, 8), Member(8, 4), Member(16, 4)
"""The arguments: a socket; at a change of state the old and the new one."""
KEY = -(EVENT.size + 8)
SCRATCH = KEY - 32


def by_process(kernel: Kernel, maps: Maps) -> bytes:
    """Tell of changes of state that are the work of a process."""
    return _set_state(kernel, maps, is_process=True)


def by_packets(kernel: Kernel, maps: Maps) -> bytes:
    """Tell of changes of state while packets are taken in."""
    return _set_state(kernel, maps, is_process=False)


def _set_state(kernel: Kernel, maps: Maps, *, is_process: bool) -> bytes:
    """Tell of sockets that change their state.

    The kernel skips a program that it would have to run while the same one is
    at work on that processor, and packets may come at any moment. So what a
    process does and what packets do are told by two programs, of which one has
    nothing to do at any time.

    R6 is what the map knows of the socket or 0, R7 the socket, R8 the old and R9
    the new state; the event is at the end of the stack.
    """
    a = Assembler()
    a.load(R7, R1, FIRST)
    a.load(R8, R1, SECOND)
    a.load(R9, R1, THIRD)
    a.load(R2, R7, kernel.member("sock", "sk_protocol"))
    a.jump_if(R2, "!=", TCP, "end")
    if is_process:
        jump_if_not_at_work(a, kernel, R7, "end")
    else:
        jump_if_at_work(a, kernel, R7, "end")
    row = _begin(a, maps)
    a.jump_if(R9, "==", SYN_SENT, "connects")
    a.jump_if(R9, "==", ESTABLISHED, "established")
    a.jump_if(R9, "==", LISTEN, "listens")
    a.jump_if(R9, "==", CLOSE, "closes")
    a.jump_if(R6, "!=", 0, "is used")
    # A connection from before: whoever closes it owns it.
    a.jump_if(R9, "==", FIN_WAIT1, "unseen")
    a.jump_if(R9, "!=", LAST_ACK, "end")
    a.label("unseen")
    jump_if_not_at_work(a, kernel, R7, "end")
    put_process(a, row, kernel, SCRATCH, "end")
    _remember(a, row, maps)
    a.jump("end")

    a.label("connects")
    row.put("direction", OUT)
    set_times(a, row, "first")
    put_process(a, row, kernel, SCRATCH, None)
    _remember(a, row, maps)
    a.jump("end")

    a.label("listens")
    row.put("kind", LISTENS)
    set_times(a, row, "first", "since")
    put_process(a, row, kernel, SCRATCH, None)
    _remember(a, row, maps)
    a.jump("addresses")

    _establish(a, row, maps)
    _close(a, row, kernel, maps)
    a.label("addresses")
    _finish(a, row, kernel, maps)
    a.label("is used")
    jump_if_not_at_work(a, kernel, R7, "end")
    _find_owner(a, row, kernel)
    return a.code()


def _establish(a: Assembler, row: Writer, maps: Maps) -> None:
    """Tell of a connection that is there now: an accepted one is new, and has no process yet."""
    a.label("established")
    a.jump_if(R6, "==", 0, "is new")
    row.put("kind", OPENED)
    _recall(a, row)
    set_times(a, row, "since")
    a.load(R1, R10, row.offset("since"), 8)
    a.store(R6, KNOWN.places["since"][0], R1)
    a.jump("addresses")
    a.label("is new")
    set_times(a, row, "first", "since")
    row.put("kind", OPENED)
    row.put("direction", OUT)
    a.jump_if(R8, "!=", SYN_RECV, "remember")
    row.put("kind", ACCEPTED)
    row.put("direction", IN)
    a.label("remember")
    _remember(a, row, maps)
    a.jump("addresses")


def _begin(a: Assembler, maps: Maps) -> Writer:
    """Clear the event, and look the socket in R7 up: R6 is what is known of it."""
    row = Writer(a, EVENT)
    row.clear()
    row.put("socket", R7)
    row.put("protocol", TCP)
    a.store(R10, KEY, R7)
    a.stack(R2, KEY)
    a.load_map(R1, maps.extra["sockets"])
    a.call(Helper.MAP_LOOKUP)
    a.move(R6, R0)
    return row


def set_times(a: Assembler, row: Writer, *fields: str) -> None:
    """Put the present moment as the event's time, and into *fields*; uses R0 to R5."""
    a.call(Helper.KTIME_BOOT)
    for field in ("time", *fields):
        row.put(field, R0)


def _remember(a: Assembler, row: Writer, maps: Maps) -> None:
    """Write what the event has of `KNOWN` to the map; if there is no room, it is not known later.

    The fields lie on the stack below the event, where nothing else is needed any more.
    """
    start = SCRATCH - KNOWN.size
    for field, (offset, size) in KNOWN.places.items():
        for at in range(0, size, 8):
            width = min(size, 8)
            a.load(R1, R10, row.offset(field) + at, width)
            a.store(R10, start + offset + at, R1, width)
    a.load_map(R1, maps.extra["sockets"])
    a.stack(R2, KEY)
    a.stack(R3, start)
    a.move(R4, 0)
    a.call(Helper.MAP_UPDATE)


def _recall(a: Assembler, row: Writer) -> None:
    """Put what is known, at R6, into the event."""
    for field, (offset, size) in KNOWN.places.items():
        for at in range(0, size, 8):
            width = min(size, 8)
            a.load(R1, R6, offset + at, width)
            a.store(R10, row.offset(field) + at, R1, width)


def _close(a: Assembler, row: Writer, kernel: Kernel, maps: Maps) -> None:
    """Tell of the end: with counts of bytes, and the error if there never was a connection."""
    a.label("closes")
    set_times(a, row)
    a.jump_if(R6, "==", 0, "is unknown")
    _recall(a, row)
    a.load_map(R1, maps.extra["sockets"])
    a.stack(R2, KEY)
    a.call(Helper.MAP_DELETE)
    a.label("is unknown")
    a.jump_if(R8, "==", SYN_RECV, "end")
    a.jump_if(R8, "==", CLOSE, "end")
    a.load(R1, R10, row.offset("pid"), 4)
    a.jump_if(R1, "!=", 0, "has owner")
    jump_if_not_at_work(a, kernel, R7, "has owner")
    put_process(a, row, kernel, SCRATCH, "has owner")
    a.label("has owner")
    row.put("kind", CLOSED)
    row.copy("error", R7, kernel.member("sock", "sk_err"))
    a.jump_if(R8, "!=", SYN_SENT, "was connected")
    row.put("kind", FAILED)
    a.label("was connected")
    a.jump_if(R8, "==", LISTEN, "addresses")
    row.copy("flags", R7, kernel.member("sock_common", "skc_flags"))
    for field, member in (
        ("acked", "bytes_acked"), ("sent", "bytes_sent"), ("again", "bytes_retrans"),
        ("received", "bytes_received"),
    ):  # fmt: skip
        if kernel.has("tcp_sock", member):
            probe(a, row, field, R7, kernel.member("tcp_sock", member))


def _finish(a: Assembler, row: Writer, kernel: Kernel, maps: Maps) -> None:
    """Add the addresses and hand the event over.

    The local port is taken from where it stays when a connection has ended.
    """
    probe(a, row, "local_port", R7, kernel.member("inet_sock", "inet_sport"))
    a.load(R1, R10, row.offset("local_port"), 2)
    a.from_network(R1)
    row.put("local_port", R1)
    copy_addresses(a, row, kernel, R7, "event")
    a.label("hand over")
    hand_over(a, maps, R10, row.start, EVENT.size)


def _find_owner(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Tell whose the accepted connection at R6 is, if that is not known and is seen now."""
    places = KNOWN.places
    a.load(R1, R6, places["pid"][0], 4)
    a.jump_if(R1, "!=", 0, "end")
    a.load(R1, R6, places["direction"][0], 4)
    a.jump_if(R1, "!=", IN, "end")
    put_process(a, row, kernel, SCRATCH, "end")
    for field in ("pid", "uid", "gid"):
        a.load(R1, R10, row.offset(field), 4)
        a.store(R6, places[field][0], R1, 4)
    for at in (0, 8):
        a.load(R1, R10, row.offset("name") + at, 8)
        a.store(R6, places["name"][0] + at, R1)
    row.put("kind", OWNED)
    for field in ("first", "since"):
        a.load(R1, R6, places[field][0], 8)
        row.put(field, R1)
    set_times(a, row)
    a.jump("hand over")


def receive(kernel: Kernel, maps: Maps) -> bytes:
    """Tell whose an accepted connection is when it first receives; reads the socket."""
    a = Assembler()
    a.load(R7, R1, FIRST)
    jump_if_not_at_work(a, kernel, R7, "end")
    row = _begin(a, maps)
    a.jump_if(R6, "==", 0, "end")
    _find_owner(a, row, kernel)
    a.label("hand over")
    hand_over(a, maps, R10, row.start, EVENT.size)
    return a.code()


def send(kernel: Kernel, maps: Maps) -> bytes:
    """Tell whose an accepted connection is when it has first sent; and of new peers over UDP.

    Reads the socket, and whether sending failed. A UDP socket has no end that
    the kernel tells of, so another one may lie where one has been: it is a new
    one if process, ports or peer are others.
    """
    a = Assembler()
    a.load(R7, R1, FIRST)
    a.load(R9, R1, SECOND)
    a.load(R8, R7, kernel.member("sock", "sk_protocol"))
    a.jump_if(R8, "==", UDP, "is UDP")
    a.jump_if(R8, "!=", TCP, "end")
    row = _begin(a, maps)
    a.jump_if(R6, "==", 0, "end")
    _find_owner(a, row, kernel)

    a.label("is UDP")
    a.load(R2, R7, kernel.member("sock_common", "skc_dport"))
    a.jump_if(R2, "==", 0, "end")  # it sends to anybody
    a.jump_if(R9, "&", -(1 << 31), "end")  # an error, which is negative
    row.clear()
    row.put("protocol", UDP)
    row.put("socket", R7)
    row.put("kind", OPENED)
    row.put("direction", OUT)
    copy_addresses(a, row, kernel, R7, "datagram")
    row.copy("local_port", R7, kernel.member("sock_common", "skc_num"))
    put_process(a, row, kernel, SCRATCH, "end")
    _end_if_told(a, row, maps)
    set_times(a, row, "first", "since")
    a.label("hand over")
    hand_over(a, maps, R10, row.start, EVENT.size)
    return a.code()


PEER = Record(pid="I", local_port="H", remote_port="H", remote="16s")
"""What the map of UDP sockets has of each."""


def _end_if_told(a: Assembler, row: Writer, maps: Maps) -> None:
    """Be done if the peer of a UDP socket was told already; note it otherwise."""
    start = SCRATCH - PEER.size
    for field, (offset, size) in PEER.places.items():
        for at in range(0, size, 8):
            width = min(size, 8)
            a.load(R1, R10, row.offset(field) + at, width)
            a.store(R10, start + offset + at, R1, width)
    a.store(R10, KEY, R7)
    a.stack(R2, KEY)
    a.load_map(R1, maps.extra["peers"])
    a.call(Helper.MAP_LOOKUP)
    a.jump_if(R0, "==", 0, "is new")
    for at in range(0, PEER.size, 8):
        a.load(R1, R0, at, 8)
        a.load(R2, R10, start + at, 8)
        a.jump_if(R1, "!=", R2, "is new")
    a.jump("end")
    a.label("is new")
    a.load_map(R1, maps.extra["peers"])
    a.stack(R2, KEY)
    a.stack(R3, start)
    a.move(R4, 0)
    a.call(Helper.MAP_UPDATE)


SENDS = "sock_send_length"
"""Where a process has sent, from 6.3 on."""


def programs(kernel: Kernel) -> list[Program]:
    """Return the programs to attach: those whose tracepoints the kernel has."""
    found = [
        # A process's work is skipped only where packets come between, which is not its business.
        Program("inet_sock_set_state", by_process, may_miss=True),
        Program("inet_sock_set_state", by_packets),
        Program("tcp_rcv_space_adjust", receive, may_miss=True),
    ]
    if kernel.has_tracepoint(SENDS):
        found.append(Program(SENDS, send))
    return found
